"""The simulated fleet: the same history for everybody, and a truth that its counters agree with."""

import itertools
import threading
import time
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.ports import DatabaseReader, Provider, StatementKey
from dbplanmon_pipeline.core.readings.counters import COUNTERS, ELAPSED, EXECUTIONS, EXTREMA, READS, WORKER
from dbplanmon_pipeline.core.readings.deltas import difference
from dbplanmon_pipeline.errors import CannotConnect, QueryTimedOut, SettingsError
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault
from dbplanmon_pipeline.providers.simulated.stretches import AT
from dbplanmon_pipeline.providers.simulated.workload import HISTORY_BEGINS, cost_pattern
from dbplanmon_pipeline_tests.providers.simulated_histories import (
    NOON,
    added,
    assert_same_work,
    budget,
    fault,
    fleet,
    history,
    minutes,
    read,
    reading_of,
    work_between,
)

KNOWN = ~np.isin(COUNTERS, ["elapsed_time_us_sumsq", "worker_time_us_sumsq", "io_time_us", "wait_time_us"])
LOW, HIGH = EXTREMA.index("elapsed_time_us_min"), EXTREMA.index("elapsed_time_us_max")
PINNED_EXECUTIONS = [21599768.0, 93856388.0, 128546494.0]
PINNED_ELAPSED_US = [66411634877.7182, 1466593971848.5588, 12854649538.469229]


def test_satisfies_the_ports():
    provider: Provider = fleet()
    with provider.open("sim0001", budget()) as reader:
        as_port: DatabaseReader = reader
        assert as_port.capabilities().missing == ()
        assert as_port.cost_ms is None
    assert provider.engine == "simulated"


def test_two_instances_see_the_same_history():
    first, second = read(fleet()), read(fleet(databases=9))
    assert (first.keys, first.lives) == (second.keys, second.lives)
    np.testing.assert_array_equal(first.values, second.values)
    np.testing.assert_array_equal(first.extrema, second.extrema)


def test_the_history_is_the_same_for_ever():
    values = reading_of(history(), NOON).values
    assert values[:3, EXECUTIONS].tolist() == PINNED_EXECUTIONS
    np.testing.assert_allclose(values[:3, ELAPSED], PINNED_ELAPSED_US, rtol=1e-9)


def test_earlier_questions_do_not_change_later_answers():
    asked_before, fresh = history(), history()
    for step in range(5):
        reading_of(asked_before, NOON - minutes(7 * step))
    np.testing.assert_array_equal(reading_of(asked_before, NOON).values, reading_of(fresh, NOON).values)


@pytest.mark.parametrize("other", [{"seed": 2}, {"database": "sim0002"}], ids=["seed", "database"])
def test_another_seed_or_database_is_another_history(other):
    assert not np.array_equal(reading_of(history(), NOON).values, reading_of(history(**other), NOON).values)


def test_counters_only_ever_grow_within_a_life():
    same = history(fault("instance_slow", at=NOON + minutes(2), until=NOON + minutes(4)))
    readings = np.array([reading_of(same, NOON + timedelta(seconds=11 * step)).values for step in range(60)])
    steps = np.diff(readings, axis=0)
    assert np.nanmin(steps) >= 0
    assert (steps[:, :, EXECUTIONS].sum(axis=0) > 0).sum() > 25


def test_values_are_those_of_single_executions():
    same, pattern = history(fault("restart", at=NOON - timedelta(days=3))), cost_pattern()
    reading, load = reading_of(same, NOON), same.workload
    inner = np.diff(pattern.inner_sum, axis=1)
    present = np.flatnonzero(same.parts.life == 1)
    work = same.work.totals(same.work.executions(np.array([int(NOON.timestamp() * 1e6)]), present)[0], present)
    for statement in range(50):
        executions = int(reading.values[statement, EXECUTIONS])
        index, kind = np.arange(executions), load.pattern[statement]
        costs = load.elapsed_us[statement] * inner[kind, index % 64] * pattern.outer[kind, index // 64 % 64]
        assert reading.values[statement, ELAPSED] == np.rint(costs.sum())
        assert work[statement, AT["elapsed_time_us_sumsq"]] == pytest.approx((costs**2).sum(), rel=1e-9)
        low, high = reading.extrema[statement, [LOW, HIGH]]
        assert 0.85 * costs.min() - 1 <= low <= costs.min()
        assert costs.max() <= high <= 1.15 * costs.max() + 1


def test_bounds_of_some_executions_hold_each_of_them():
    pattern, random = cost_pattern(), np.random.default_rng(1)
    inner = np.diff(pattern.inner_sum, axis=1)
    begin = random.integers(0, 10_000, 500)
    end = begin + random.integers(1, 300, 500)
    kind = random.integers(0, 16, 500)
    low, high = pattern.bounds(kind, begin, end)
    for row in range(500):
        index = np.arange(begin[row], end[row])
        costs = inner[kind[row], index % 64] * pattern.outer[kind[row], index // 64 % 64]
        assert 0.85 * costs.min() <= low[row] <= costs.min() * (1 + 1e-12)
        assert costs.max() * (1 - 1e-12) <= high[row] <= 1.15 * costs.max()


def test_costs_rates_and_day_are_realistic():
    provider = fleet()
    profiles = [profile for name in provider.databases() for profile in provider.profiles(name)]
    costs = [profile.elapsed_us for profile in profiles]
    assert min(costs) >= 100
    assert max(costs) <= 5_000_000
    assert 3_000 < np.median(costs) < 20_000
    assert max(profile.executions_per_hour for profile in profiles) <= 72_000
    same = history()
    day = [
        sum(w.executions for w in same.truth(NOON + minutes(60 * h), NOON + minutes(60 * h + 60)).values())
        for h in range(24)
    ]
    assert 1.5 < max(day) / min(day) < 6


@pytest.mark.parametrize("step_s", [17, 300, 3_333], ids=["17s", "5min", "55min"])
def test_truth_is_the_difference_of_readings_at_any_cadence(step_s):
    same = history(
        fault("plan_regression", at=NOON + minutes(10), until=NOON + minutes(31)),
        fault("slower_same_plan", at=NOON + minutes(20), statement=9),
        fault("instance_slow", at=NOON + minutes(25), until=NOON + minutes(44), factor=2.0),
    )
    moments = [NOON + timedelta(seconds=step_s * n) for n in range(3_600 // step_s + 2)]
    readings = [reading_of(same, moment) for moment in moments]
    recorded = added(work_between(*pair) for pair in itertools.pairwise(readings))
    assert_same_work(recorded, same.truth(moments[0], moments[-1]))


def test_what_the_package_records_is_the_truth():
    """Through the real differencing, with a new plan, its way back and a restart between two readings."""
    same = history(
        fault("plan_regression", at=NOON + minutes(12), until=NOON + minutes(26)),
        fault("restart", at=NOON + minutes(40)),
    )
    moments = [NOON + minutes(5 * n) for n in range(13)]
    recorded, resets = {}, 0
    for before, after in itertools.pairwise([reading_of(same, moment) for moment in moments]):
        delta = difference(before, after)
        assert delta.accepted
        resets += delta.resets
        for row in range(len(delta.rows)):
            name = (int(delta.rows.query_hash[row]), int(delta.rows.plan_hash[row]))
            work = delta.rows.values[row, [EXECUTIONS, ELAPSED, WORKER, READS]]
            recorded[name] = recorded.get(name, 0.0) + work
    # A restart at the very moment of a reading loses nothing but what ran in the instant before it.
    lost = same.truth(NOON + minutes(35), NOON + minutes(40) - timedelta(microseconds=1))
    truth = same.truth(moments[0], moments[-1])
    expected = {name: work for name, work in truth.items() if name in recorded}
    assert expected.keys() == truth.keys()
    for name, work in expected.items():
        missing = lost[name].executions if name in lost else 0
        assert recorded[name][0] == work.executions - missing
    assert resets >= 50


def test_truth_adds_up_over_adjoining_windows():
    same = history(fault("restart", at=NOON + minutes(3)))
    whole = same.truth(NOON, NOON + minutes(10))
    parts = [same.truth(NOON, NOON + minutes(4)), same.truth(NOON + minutes(4), NOON + minutes(10))]
    for name, work in whole.items():
        found = [part[name] for part in parts if name in part]
        assert sum(part.executions for part in found) == work.executions
        assert sum(part.elapsed_us for part in found) == pytest.approx(work.elapsed_us)


def test_failing_databases_are_always_the_same_ones():
    provider = fleet(databases=40, failing=5)
    assert provider.failing_databases == fleet(databases=40, failing=5).failing_databases
    assert len(provider.failing_databases) == 5
    with pytest.raises(CannotConnect, match="fleet/sim"), provider.open(min(provider.failing_databases), budget()):
        pass


def test_unknown_database_cannot_be_opened():
    with pytest.raises(CannotConnect, match="no such simulated database"), fleet().open("other", budget()):
        pass


def test_latency_gives_way_to_the_budget():
    began = time.monotonic()
    with pytest.raises(QueryTimedOut), fleet(latency_ms=60_000).open("sim0001", budget(0.1)):
        pass
    assert time.monotonic() - began < 20


def test_cancel_ends_waits_and_only_those():
    provider = fleet(latency_ms=1_500)
    timer = threading.Timer(0.05, provider.cancel)
    timer.start()
    began = time.monotonic()
    with pytest.raises(QueryTimedOut), provider.open("sim0001", budget()):
        pass
    assert time.monotonic() - began < 1.5
    timer.join()
    with provider.open("sim0001", budget()):
        pass


def test_texts_are_read_for_known_statements_only():
    with fleet().open("sim0001", budget()) as reader:
        reading = reader.read_counters()
        keys = [
            StatementKey(int(q), int(p), k)
            for q, p, k in zip(reading.query_hash, reading.plan_hash, reading.keys, strict=True)
        ]
        texts = reader.read_texts([*keys, StatementKey(1, 1, "gone")])
    assert [text.query_hash for text in texts] == reading.query_hash.tolist()
    assert len({text.text for text in texts}) == 50
    assert all("@p1" in text.text and "dbo." in text.text for text in texts)


def test_plans_come_with_a_body_or_a_reason():
    with fleet().open("sim0001", budget()) as reader:
        reading = reader.read_counters()
        key = StatementKey(int(reading.query_hash[2]), int(reading.plan_hash[2]), reading.keys[2])
        good, unknown = reader.read_plans([key, StatementKey(key.query_hash, 5, "gone")])
    assert (good.plan_hash, good.format, good.origin, good.reason) == (key.plan_hash, "showplan", "estimated", "")
    assert (unknown.plan_hash, unknown.body) == (0, "")
    assert "no such plan" in unknown.reason


def test_statements_beyond_fifty_are_all_different():
    provider = fleet(statements=120)
    with provider.open("sim0001", budget()) as reader:
        reading = reader.read_counters()
        texts = reader.read_texts([StatementKey(int(q), 0, "") for q in reading.query_hash])
    assert len({text.text for text in texts}) == 120


def test_nothing_is_counted_before_the_history_begins():
    assert len(reading_of(history(), HISTORY_BEGINS - minutes(1))) == 0


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: fleet(fault("restart", database="nowhere")), "names database 'nowhere'"),
        (lambda: fleet(fault("plan_regression", statement=50)), "names statement 50 of 50"),
        (lambda: fleet(failing=5), "failing must be between 0 and 4"),
        (lambda: fleet(statements=0), "statements must be at least 1"),
        (lambda: fault("plan_regression", until=NOON), "ends_at must be later"),
        (lambda: SimulatedFault("x", "", 0, "flood", NOON), "kind must be one of plan_regression"),
        (lambda: fault("plan_regression", factor=0), "factor must be above 0"),
        (lambda: fault("plan_regression", at=NOON.replace(tzinfo=None)), "need a time zone"),
    ],
)
def test_wrong_orders_are_refused(build, message):
    with pytest.raises(SettingsError, match=message):
        build()


def test_the_kind_of_a_fault_may_be_a_plain_text():
    assert SimulatedFault("x", "", 0, "restart", NOON).kind is FaultKind.RESTART


def test_reading_does_not_live_through_the_history_again():
    # A millisecond for fifty statements with 240 million executions behind them; ten on a slow machine.
    same = history(fault("plan_regression"))
    reading_of(same, NOON)
    began = time.process_time()
    for second in range(200):
        reading_of(same, NOON + timedelta(seconds=second))
    assert (time.process_time() - began) / 200 < 0.01
