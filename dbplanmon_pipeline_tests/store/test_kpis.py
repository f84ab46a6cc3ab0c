from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.kpis.rules import KpiMemory, KpiResult, KpiState, same_hours
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline_tests.store.samples import NOON

MINUTE = timedelta(minutes=1)
UNTIL = NOON + 10 * MINUTE


def result(at=NOON, value=5.0, state=KpiState.OK, name="orders", **more):
    return KpiResult(name, at, 12.5, state, value, **more)


def alert(alert_id="a"):
    facts = {"instance": "alpha", "kpi": "orders"}
    return Alert(alert_id, "kpi:orders", "opened", "log", "high", NOON, "subject", "body", facts)


def read(store, at, value=5.0, name="orders"):
    """One whole reading."""
    memory = store.kpi_memories([name])[name]
    assert store.lease_kpi(memory, at, at + MINUTE)
    assert store.record_kpi(result(at, value, name=name), memory, [])


def test_a_kpi_that_nobody_read_has_a_fresh_memory(store):
    assert store.kpi_memories(["a", "b"]) == {"a": KpiMemory("a"), "b": KpiMemory("b")}
    assert store.kpi_results("a") == []
    assert store.latest_kpi_results(["a"]) == {}


def test_a_lease_is_given_once(store):
    memory = KpiMemory("orders")
    assert store.lease_kpi(memory, NOON, UNTIL)
    assert not store.lease_kpi(memory, NOON + MINUTE, UNTIL)
    found = store.kpi_memories(["orders"])["orders"]
    assert (found.started_at, found.leased_until) == (NOON, UNTIL)
    assert not store.lease_kpi(found, NOON + MINUTE, UNTIL), "it is still under way"


def test_of_many_at_once_one_gets_the_lease(store):
    with ThreadPoolExecutor(8) as pool:
        given = pool.map(
            lambda number: store.lease_kpi(KpiMemory("orders"), NOON + timedelta(microseconds=number), UNTIL), range(16)
        )
    assert sum(given) == 1


def test_a_lease_whose_holder_died_ends_by_itself(store):
    store.lease_kpi(KpiMemory("orders"), NOON, UNTIL)
    assert store.lease_kpi(store.kpi_memories(["orders"])["orders"], UNTIL, UNTIL + MINUTE)


def test_a_reading_its_memory_and_its_alerts_come_together(store):
    store.lease_kpi(KpiMemory("orders"), NOON, UNTIL)
    bad = result(state=KpiState.BREACH, normal=2.0, message="above")
    memory = KpiMemory("orders", trouble=KpiState.BREACH, began_at=NOON, calm=1, errors=2, escalated=True)
    assert store.record_kpi(bad, memory, [alert("a"), alert("b")])
    assert store.kpi_results("orders") == [bad]
    assert store.kpi_memories(["orders"])["orders"] == replace(memory, started_at=NOON)
    assert {(found.alert_id, found.incident_id) for found in store.alerts(NOON)} == {
        ("a", "kpi:orders"),
        ("b", "kpi:orders"),
    }


def test_who_lost_the_lease_stores_and_tells_nothing(store):
    store.lease_kpi(KpiMemory("orders"), NOON, UNTIL)
    store.lease_kpi(store.kpi_memories(["orders"])["orders"], UNTIL, UNTIL + MINUTE)
    assert not store.record_kpi(result(), KpiMemory("orders"), [alert()])
    assert (store.kpi_results("orders"), store.alerts(NOON)) == ([], [])
    assert store.record_kpi(result(UNTIL), KpiMemory("orders"), [])


def test_a_lease_can_be_given_back_by_its_holder_only(store):
    store.lease_kpi(KpiMemory("orders"), NOON, UNTIL)
    store.release_kpi("orders", NOON + MINUTE)
    held = store.kpi_memories(["orders"])["orders"]
    assert held.leased_until == UNTIL
    store.release_kpi("orders", NOON)
    assert store.lease_kpi(store.kpi_memories(["orders"])["orders"], NOON + MINUTE, UNTIL)


def test_readings_come_newest_first_within_their_time(store):
    for number in range(5):
        read(store, NOON + number * MINUTE, float(number))
    read(store, NOON, 99.0, name="other")
    assert [found.value for found in store.kpi_results("orders")] == [4, 3, 2, 1, 0]
    assert [found.value for found in store.kpi_results("orders", NOON + 2 * MINUTE, 2)] == [4, 3]
    assert {name: found.value for name, found in store.latest_kpi_results(["orders", "other", "none"]).items()} == {
        "orders": 4,
        "other": 99,
    }


def test_values_of_the_same_hour_are_those_of_the_weeks_before(store):
    week, hour = timedelta(weeks=1), timedelta(hours=1)
    moments = (
        NOON - 9 * week,
        NOON - 8 * week,
        NOON - week - MINUTE,
        NOON - week + 59 * MINUTE,
        NOON - week + hour,
        NOON,
    )
    for value, at in enumerate(moments):
        read(store, at, float(value))
    assert sorted(store.kpi_values("orders", same_hours(NOON + 30 * MINUTE))) == [1.0, 3.0]
    assert store.kpi_values("orders", []) == []


@pytest.mark.parametrize("value", [None, 0.0, -1e18])
def test_a_value_comes_back_as_it_was(store, value):
    store.lease_kpi(KpiMemory("orders"), NOON, UNTIL)
    store.record_kpi(result(value=value), KpiMemory("orders"), [])
    assert store.kpi_results("orders")[0].value == value
