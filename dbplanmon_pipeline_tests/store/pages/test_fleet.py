"""Contract: what the status page reads, on each engine of the store."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import CollectionStatus, Severity, StatementText
from dbplanmon_pipeline.core.ports import ImportedDay, ImportStatus
from dbplanmon_pipeline.core.ports.pages import IncidentFilter
from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import NOON, SALES, collected, incident, rows, ticks

HOUR = timedelta(hours=1)


def test_work_of_a_database_is_added_up_by_hour(store: SqlStore) -> None:
    for item in ticks(SALES, NOON, 14, [1, 2]):
        store.record([item])

    hours = store.database_hours(NOON, NOON + 2 * HOUR)[SALES]

    found = store.interval_frame(NOON - HOUR, NOON + 2 * HOUR).rows
    in_hour = (found["interval_end_us"] - 1) // 3_600_000_000
    expected = found.groupby(in_hour)[["execution_count", "elapsed_time_us"]].sum().to_numpy()
    assert len(expected) == 2
    assert hours[:, :2] == pytest.approx(expected)


def test_unknown_work_stays_unknown(store: SqlStore) -> None:
    first, second = ticks(SALES, NOON, 1, [1])
    values = second.rows.values.copy()
    values[:, COUNTERS.index("worker_time_us")] = np.nan
    for item in (first, replace(second, rows=replace(second.rows, values=values))):
        store.record([item])

    (hour,) = store.database_hours(NOON, NOON + HOUR)[SALES]
    assert np.isnan(hour).tolist() == [False, False, True, False]


def test_history_that_is_imported_again_counts_once(store: SqlStore) -> None:
    yesterday = NOON - timedelta(days=1)
    for item in ticks(SALES, NOON, 1, [1]):
        store.record([item])
    for executions in (10.0, 30.0):
        day = rows(yesterday, yesterday + HOUR, [1], executions=executions)
        store.record_history(ImportedDay(SALES, yesterday.date(), ImportStatus.IMPORTED, rows=day))

    hours = store.database_hours(yesterday, yesterday + HOUR)[SALES]

    assert hours[0, 0] == pytest.approx(30.0)


def test_the_fleet_shows_the_last_attempt_beside_the_last_success(store: SqlStore) -> None:
    good, second = ticks(SALES, NOON, 2, [1])[:2]
    store.record([good])
    failure = replace(
        second.outcome, status=CollectionStatus.FAILED, error_class="unreachable", message="no answer", rows=0
    )
    store.record([replace(second, outcome=failure, rows=None, reading=None)])

    (row,) = store.fleet()

    assert (row.ref, row.status, row.message) == (SALES, CollectionStatus.FAILED, "no answer")
    assert row.read_at == good.outcome.started_at
    assert row.tried_at == second.outcome.started_at


def _open(store: SqlStore, number: int, **facts: object) -> None:
    one = incident(**({"incident_id": f"{number:012x}", "query_hash": number} | facts))
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, one, one.opened_at)])


def test_incidents_come_dearest_first_a_page_at_a_time(store: SqlStore) -> None:
    for number, cost in enumerate([5.0, 50.0, 5.0, 500.0], 1):
        _open(store, number, extra_seconds_per_hour=cost)

    first = store.incident_page(IncidentFilter(), limit=2)
    second = store.incident_page(IncidentFilter(), after=first.following, limit=2)

    costs = [i.extra_seconds_per_hour for page in (first, second) for i in page.incidents]
    assert costs == [500.0, 50.0, 5.0, 5.0]
    assert len({i.incident_id for page in (first, second) for i in page.incidents}) == 4
    assert (first.total, second.following) == (4, None)


def test_incidents_that_fail_come_before_dear_ones_on_every_page(store: SqlStore) -> None:
    for number, metric in enumerate(["elapsed_time_us", FAILED_EXECUTIONS, "elapsed_time_us", FAILED_EXECUTIONS], 1):
        cost = 0.0 if metric == FAILED_EXECUTIONS else 100.0 * number
        _open(store, number, metric=metric, extra_seconds_per_hour=cost)

    found, after = [], None
    for _ in range(4):
        page = store.incident_page(IncidentFilter(), after=after, limit=1)
        found += [one.query_hash for one in page.incidents]
        after = page.following

    assert (found, after) == ([2, 4, 3, 1], None)


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (IncidentFilter(), 2),
        (IncidentFilter(severities=[Severity.CRITICAL]), 1),
        (IncidentFilter(states=[IncidentState.DISMISSED]), 0),
        (IncidentFilter(instance="elsewhere"), 0),
        (IncidentFilter(text="FROM ORDERS"), 1),
        (IncidentFilter(text="100%"), 0),
        (IncidentFilter(since=NOON + timedelta(days=2)), 0),
    ],
    ids=["everything", "severity", "state", "instance", "text", "no wildcard", "period"],
)
def test_a_filter_narrows_the_list(store: SqlStore, chosen: IncidentFilter, expected: int) -> None:
    store.record([collected(SALES, NOON, [1], texts=[StatementText(1, "select * from orders where id = ?")])])
    _open(store, 1, instance=SALES.instance, database=SALES.database, query_hash=1, severity=Severity.CRITICAL)
    _open(store, 2, instance=SALES.instance, database=SALES.database, query_hash=2, severity=Severity.LOW)

    assert store.incident_page(chosen).total == expected
