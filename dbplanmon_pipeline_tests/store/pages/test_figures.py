"""What health and metrics read, on both engines."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.kpis.rules import KpiMemory, KpiResult, KpiState
from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.core.ports import Alert, Delivery, JobState
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline_tests.store.samples import CRM, FIVE_MINUTES, HR, NOON, SALES, collected, incident, ticks


@pytest.fixture
def now(clock):
    clock.moment = NOON
    return clock


def test_the_newest_outcome_and_the_last_success_of_each_database_are_told(store, now):
    for reading in (*ticks(SALES, NOON - FIVE_MINUTES, 1, [1]), collected(CRM, NOON, [2])):
        store.record([reading])
    failed = replace(collected(SALES, NOON + FIVE_MINUTES, []).outcome, status=CollectionStatus.FAILED, cost_ms=7.0)
    store.record([replace(collected(SALES, NOON + FIVE_MINUTES, []), outcome=failed, reading=None)])
    sales, crm = store.database_states()
    assert (sales.ref, sales.status, sales.cost_ms) == (SALES, CollectionStatus.FAILED, 7.0)
    assert (sales.logged_at, sales.last_success_at) == (NOON + FIVE_MINUTES, NOON)
    assert (crm.ref, crm.status, crm.last_success_at) == (CRM, CollectionStatus.FIRST_READING, NOON)


def test_readings_are_found_by_the_moment_at_which_they_were_logged(store, now):
    store.record([collected(SALES, NOON - timedelta(hours=9), [1])])
    now.moment = NOON + FIVE_MINUTES
    store.record([collected(HR, NOON - timedelta(hours=8), [1]), collected(CRM, NOON, [1])])
    assert store.logged_batches(NOON) == {NOON: 1, NOON + FIVE_MINUTES: 2}
    assert store.logged_batches(NOON + timedelta(seconds=1)) == {NOON + FIVE_MINUTES: 2}
    found = store.logged_readings([NOON + FIVE_MINUTES])
    assert {(row.ref, row.recorded_at) for row in found} == {(HR, NOON + FIVE_MINUTES), (CRM, NOON + FIVE_MINUTES)}
    assert {row.duration_ms for row in found} == {1.5}


def test_the_share_of_named_statements_leaves_the_others_out(store, now):
    first, second = ticks(SALES, NOON - FIVE_MINUTES, 1, [1, OTHER_STATEMENTS])
    second.rows.values[:, 1] = np.array([300.0, 100.0])
    for reading in (first, second, *ticks(HR, NOON - FIVE_MINUTES, 1, [1])):
        store.record([reading])
    now.moment = NOON + FIVE_MINUTES
    assert store.named_shares(NOON - timedelta(hours=1)) == {SALES: pytest.approx(0.75), HR: 1.0}
    assert store.named_shares(NOON + timedelta(hours=2)) == {}


def test_the_busiest_databases_come_first(store, now):
    quiet, busy = ticks(SALES, NOON - FIVE_MINUTES, 1, [1]), ticks(HR, NOON - FIVE_MINUTES, 1, [1])
    busy[1].rows.values[:, 1] = 5_000.0
    for both in zip(quiet, busy, strict=True):
        store.record(both)
    assert store.busiest_databases(5) == [HR, SALES]
    assert store.busiest_databases(1) == [HR]


def test_incidents_are_told_when_they_are_found_not_when_they_began(store, now):
    began = NOON - timedelta(days=1)
    one = incident(opened_at=began, updated_at=began)
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, one, began)])
    (found,) = store.logged_incidents(NOON)
    assert (found.at, found.instance, found.severity) == (NOON, one.instance, one.severity.value)
    assert store.logged_incidents(NOON + FIVE_MINUTES) == []
    assert store.store_figures(NOON).open_incidents == {one.severity.value: 1}


def test_attempts_and_what_waits_are_told(store, now):
    store.add_alerts([Alert(f"a{n}", "i", "opened", "dba", "high", NOON, "s", "b") for n in range(3)], decided_at=NOON)
    store.record_deliveries([Delivery("a0", NOON, True), Delivery("a1", NOON, False, "refused")])
    assert {(row.alert_id, row.succeeded) for row in store.logged_deliveries(NOON)} == {("a0", True), ("a1", False)}
    assert store.logged_deliveries(NOON + FIVE_MINUTES) == []
    figures = store.store_figures(NOON + FIVE_MINUTES)
    assert figures.alerts == {("dba", "pending"): 1, ("dba", "given_up"): 1}
    assert figures.overdue_since == {"dba": NOON}
    assert figures.given_up_lately == 1
    assert store.store_figures(NOON + timedelta(days=2)).given_up_lately == 0


def test_kpis_jobs_and_sizes_are_told(store, now):
    memory = KpiMemory("busy")
    assert store.lease_kpi(memory, NOON, NOON + FIVE_MINUTES)
    store.record_kpi(KpiResult("busy", NOON, 1.0, KpiState.OK, 7.0, None, ""), memory, [])
    assert [(row.name, row.at, row.state) for row in store.logged_kpis(NOON)] == [("busy", NOON, "ok")]
    state = JobState("breaker:alpha", 5, NOON, None, NOON + FIVE_MINUTES, "refused")
    store.save_job_states([state])
    figures = store.store_figures(NOON)
    assert list(figures.jobs) == [state]
    assert figures.store_bytes > 100_000
    assert figures.archive_bytes == 0


def test_without_a_baseline_there_is_none(store, now):
    assert store.newest_baseline(NOON, "any") is None
