"""Sums of a day are the sums of its rows, hot and sealed; counts are of the span and no more."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.hotspots import HOTSPOT_COLUMNS
from dbplanmon_pipeline.core.kpis.rules import KpiResult, KpiState
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, Engine
from dbplanmon_pipeline.core.ports import Alert, CollectedDatabase
from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, HR, NOON, SALES, ticks

MIDNIGHT = NOON.replace(hour=0)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def filled(store):
    """Two databases from before midnight to the early hours, one of them over noon too."""
    for ref in (SALES, HR):
        for item in ticks(ref, MIDNIGHT - 4 * FIVE_MINUTES, 30, [1, -2, 3]):
            store.record([item])
    for item in ticks(SALES, NOON, 3, [1, 9], plan_hash=5, executions=4.0)[1:]:
        store.record([replace(item, previous_read_at=None, reading=None)])
    return store


def by_statement(work):
    """(database, query) -> totals."""
    found = {}
    for number, query, row in zip(work.database_ids, work.query_hashes, work.totals, strict=True):
        key = (work.databases[int(number)], int(query))
        found[key] = found.get(key, np.zeros(4)) + row
    return found


def assert_equals_rows(store, work, day_start):
    frame = store.interval_frame(day_start, day_start + DAY, columns=HOTSPOT_COLUMNS)
    groups = frame.rows.groupby(["database_id", "query_hash"])[list(HOTSPOT_COLUMNS)].sum()
    expected = {(frame.databases[n], q): row for (n, q), row in zip(groups.index, groups.to_numpy(), strict=True)}
    found = by_statement(work)
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert found[key] == pytest.approx(row)


def test_work_of_a_day_is_the_sum_of_its_rows(filled):
    work = filled.day_work(NOON.date())
    assert_equals_rows(filled, work, MIDNIGHT)
    assert set(work.hours.tolist()) == {0, 1, 2, 12}
    assert_equals_rows(filled, filled.day_work((NOON - DAY).date()), MIDNIGHT - DAY)


def test_work_of_a_sealed_day_is_the_same(filled):
    before = by_statement(filled.day_work(NOON.date()))
    filled.roll_up_day(NOON.date())
    filled.seal_day(NOON.date())
    after = filled.day_work(NOON.date())
    assert_equals_rows(filled, after, MIDNIGHT)
    assert by_statement(after).keys() == before.keys()


def test_what_an_engine_does_not_tell_is_unknown_and_not_nothing(store):
    first, second = ticks(SALES, NOON, 1, [1])
    second.rows.values[:, COUNTERS.index("worker_time_us")] = np.nan
    store.record([first])
    store.record([second])
    (row,) = by_statement(store.day_work(NOON.date())).values()
    assert np.isnan(row).tolist() == [False, False, True, False]


def test_a_day_without_rows_has_no_work(store):
    work = store.day_work(NOON.date())
    assert (len(work.hours), work.totals.shape) == (0, (0, 4))


def logged(ref, at, status, **more):
    return CollectedDatabase(CollectionOutcome(ref, at, status, **more), Engine.POSTGRES)


def test_watches_count_the_readings_of_the_span(store):
    store.record([logged(SALES, MIDNIGHT, CollectionStatus.OK, gap_seconds=60.0, cost_ms=2.0, duration_ms=5.0)])
    store.record([logged(SALES, MIDNIGHT + MINUTE, CollectionStatus.FAILED, duration_ms=5.0)])
    store.record([logged(HR, MIDNIGHT + MINUTE, CollectionStatus.SKIPPED)])
    store.record([logged(SALES, MIDNIGHT + DAY, CollectionStatus.OK)])
    store.record([logged(SALES, MIDNIGHT - MINUTE, CollectionStatus.OK)])
    hr, sales = store.watches(MIDNIGHT, MIDNIGHT + DAY)
    assert (hr.ref, hr.readings, hr.good, hr.failed, hr.gap_seconds) == (HR, 1, 0, 0, 0.0)
    assert (sales.ref, sales.readings, sales.good, sales.failed) == (SALES, 2, 1, 1)
    assert (sales.gaps, sales.gap_seconds, sales.cost_ms, sales.duration_ms) == (1, 60.0, 2.0, 10.0)


def read_kpi(store, name, at, state, value=5.0, message=""):
    memory = store.kpi_memories([name])[name]
    assert store.lease_kpi(memory, at, at + MINUTE)
    assert store.record_kpi(KpiResult(name, at, 1.0, state, value, message=message), memory, [])


def test_kpis_count_readings_of_the_span_and_show_the_last(store):
    read_kpi(store, "orders", MIDNIGHT, KpiState.OK)
    read_kpi(store, "orders", MIDNIGHT + MINUTE, KpiState.BREACH, 9.0, "above 8")
    read_kpi(store, "orders", MIDNIGHT + DAY, KpiState.OK)
    read_kpi(store, "backups", MIDNIGHT + MINUTE, KpiState.ERROR, None, "timed out")
    backups, orders = store.kpi_spans(MIDNIGHT, MIDNIGHT + DAY)
    assert (backups.name, backups.readings, backups.errors, backups.value) == ("backups", 1, 1, None)
    assert (orders.readings, orders.breaches, orders.errors) == (2, 1, 0)
    assert (orders.state, orders.value, orders.message) == ("breach", 9.0, "above 8")


def test_messages_are_counted_by_what_became_of_them_but_not_summaries(store):
    def alert(number, about="abc", at=NOON):
        return Alert(f"id{number}", about, "opened", "log", "high", at, "subject", "body", {})

    store.add_alerts([alert(1), alert(2), alert(3, at=NOON + DAY), alert(4, "summary:2026-03-09")], decided_at=NOON)
    store.suppress_alerts({"id2": "cooldown"}, NOON)
    assert store.alert_totals(MIDNIGHT, MIDNIGHT + DAY) == {"pending": 1, "suppressed": 1}
