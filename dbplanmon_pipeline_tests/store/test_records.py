"""Contract: baselines, incidents, plan changes, hotspots, alerts, suggestions, jobs and the audit."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Alert, Delivery, Hotspot, JobState, PlanChange, Suggestion
from dbplanmon_pipeline.core.verdict.model import BASELINE_COLUMNS, BaselineSet
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import CRM, FIVE_MINUTES, HR, NOON, SALES, incident

DAY = timedelta(days=1)


def baselines(as_of, keys, *, start=0.0, layout="v1") -> BaselineSet:
    table = pd.DataFrame({name: np.arange(len(keys)) + start for name in BASELINE_COLUMNS})
    table["database_id"] = np.array([key[0] for key in keys], np.int32)
    table["query_hash"] = np.array([key[1] for key in keys], np.int64)
    table["active_intervals"] = np.int64(40)
    table["reads_mean_pages"] = np.nan
    return BaselineSet(as_of, table, np.full((len(keys), 3), start), layout)


def test_baselines_come_back_as_saved(store: SqlStore) -> None:
    saved = baselines(NOON, [(1, -5), (1, 7), (2, 7)], start=0.5)
    assert store.save_baselines(saved) == 3
    assert store.save_baselines(saved) == 3
    found = store.baselines(NOON, "v1")
    pd.testing.assert_frame_equal(found.table, saved.table)
    np.testing.assert_array_equal(found.parameters, saved.parameters)
    assert (found.as_of, found.layout) == (NOON, "v1")


def test_newest_baseline_of_each_statement_that_is_not_too_young(store: SqlStore) -> None:
    store.save_baselines(baselines(NOON, [(1, 1), (1, 2)], start=10.0))
    store.save_baselines(baselines(NOON + DAY, [(1, 2)], start=20.0))
    store.save_baselines(baselines(NOON + 2 * DAY, [(1, 1), (1, 2)], start=30.0))
    store.save_baselines(baselines(NOON, [(1, 9)], layout="v2"))
    found = store.baselines(NOON + DAY + FIVE_MINUTES, "v1")
    assert found.table["query_hash"].tolist() == [1, 2]
    assert found.parameters[:, 0].tolist() == [10.0, 20.0]
    assert found.as_of == NOON + DAY


def test_no_baseline_is_an_empty_set(store: SqlStore) -> None:
    found = store.baselines(NOON, "v1")
    assert tuple(found.table.columns) == BASELINE_COLUMNS
    assert len(found.table) == len(found.parameters) == 0


def step(event: IncidentEvent, at=NOON + FIVE_MINUTES, **changes) -> IncidentChange:
    return IncidentChange(event, incident(updated_at=at, **changes), at, note=event.value)


def test_incident_comes_back_as_saved(store: SqlStore) -> None:
    opened = step(IncidentEvent.OPENED)
    store.save_incident_changes([opened])
    store.save_incident_changes([opened])
    assert store.open_incidents() == [opened.incident]
    began, key = opened.incident.began_at, opened.incident.key
    assert store.incident_ids(NOON + timedelta(days=9), began) == {key: opened.incident.incident_id}
    assert store.incident_ids(NOON, began - FIVE_MINUTES) == {}
    assert store.incident(opened.incident.incident_id) == opened.incident
    assert store.incident_events(opened.incident.incident_id) == [opened]
    assert store.incident("nothing") is None
    assert store.incident_events("nothing") == []


def test_closed_incident_is_recent_and_no_longer_open(store: SqlStore) -> None:
    end = NOON + timedelta(hours=4)
    closed = step(IncidentEvent.AUTO_RESOLVED, end, state=IncidentState.AUTO_RESOLVED, closed_at=end)
    store.save_incident_changes([step(IncidentEvent.OPENED), closed])
    assert store.open_incidents() == []
    assert store.recent_incidents(end) == [closed.incident]
    assert store.recent_incidents(end + FIVE_MINUTES) == []
    assert store.incident_ids(end, end) == {closed.incident.key: closed.incident.incident_id}
    assert store.incident_ids(end + FIVE_MINUTES, end + FIVE_MINUTES) == {}
    assert [change.event for change in store.incident_events(closed.incident.incident_id)] == [
        "opened",
        "auto_resolved",
    ]


def test_older_form_of_an_incident_never_replaces_a_newer_one(store: SqlStore) -> None:
    opened = step(IncidentEvent.OPENED)
    worse = step(IncidentEvent.ESCALATED, NOON + 3 * FIVE_MINUTES, severity=Severity.CRITICAL)
    store.save_incident_changes([opened, worse])
    store.save_incident_changes([opened])
    assert store.open_incidents() == [worse.incident]
    assert len(store.incident_events(worse.incident.incident_id)) == 2


def test_analysis_that_did_not_see_it_keeps_an_acknowledgement(store: SqlStore) -> None:
    acknowledged = step(
        IncidentEvent.ACKNOWLEDGED, NOON + 2 * FIVE_MINUTES, state=IncidentState.ACKNOWLEDGED, note="looking into it"
    )
    update = step(IncidentEvent.UPDATED, NOON + 3 * FIVE_MINUTES, score=99.0)
    store.save_incident_changes([step(IncidentEvent.OPENED), acknowledged])
    store.save_incident_changes([update])
    found = store.open_incidents()[0]
    assert (found.state, found.score, found.note) == (IncidentState.ACKNOWLEDGED, 99.0, "looking into it")


@pytest.mark.parametrize("state", [IncidentState.RESOLVED, IncidentState.DISMISSED])
def test_analysis_that_did_not_see_it_leaves_an_ended_incident_ended(store: SqlStore, state: IncidentState) -> None:
    end = NOON + 2 * FIVE_MINUTES
    store.save_incident_changes(
        [step(IncidentEvent.OPENED), step(IncidentEvent(state.value), end, state=state, closed_at=end)]
    )
    store.save_incident_changes([step(IncidentEvent.UPDATED, NOON + 3 * FIVE_MINUTES)])
    assert store.open_incidents() == []
    reopened = step(IncidentEvent.REOPENED, NOON + 4 * FIVE_MINUTES, reopened_count=1)
    store.save_incident_changes([reopened])
    assert store.open_incidents() == [reopened.incident]


def test_incidents_are_listed_by_state_and_time(store: SqlStore) -> None:
    for number in range(4):
        state = IncidentState.RESOLVED if number % 2 else IncidentState.NEW
        changed = NOON + number * FIVE_MINUTES
        store.save_incident_changes(
            [step(IncidentEvent.OPENED, changed, incident_id=f"i{number}", query_hash=number, state=state)]
        )
    ids = [found.incident_id for found in store.incidents(limit=3)]
    assert ids == ["i3", "i2", "i1"]
    assert [found.incident_id for found in store.incidents(states=[IncidentState.NEW])] == ["i2", "i0"]
    assert [found.incident_id for found in store.incidents(since=NOON + 3 * FIVE_MINUTES)] == ["i3"]


def test_plan_changes_are_stored_once(store: SqlStore) -> None:
    changes = [PlanChange(ref, 5, NOON, -2, 1, "seq scan instead of index") for ref in (SALES, CRM)]
    assert store.save_plan_changes(changes[:1]) == 1
    assert store.save_plan_changes(changes) == 1
    assert store.plan_changes(NOON) == changes
    assert store.plan_changes(NOON, CRM) == changes[1:]
    assert store.plan_changes(NOON + FIVE_MINUTES) == []


def hotspot(ref, rank, rank_by="worker_time_us") -> Hotspot:
    return Hotspot(ref, -rank, rank_by, rank, 10.0, 2.0, float("nan"), 7.0, 0.25)


def test_hotspots_of_a_window_are_replaced(store: SqlStore) -> None:
    start = NOON - timedelta(hours=1)
    store.save_hotspots(start, NOON, [hotspot(SALES, 1), hotspot(HR, 2), hotspot(HR, 1, "combined")])
    store.save_hotspots(start, NOON, [hotspot(CRM, 1), hotspot(SALES, 2), hotspot(HR, 1, "combined")])
    assert [(found.rank_by, found.ref) for found in store.hotspots()] == [
        ("combined", HR),
        ("worker_time_us", CRM),
        ("worker_time_us", SALES),
    ]
    assert len(store.hotspots(NOON, "worker_time_us", limit=1)) == 1
    assert store.hotspots(NOON + FIVE_MINUTES) == []


def alert(number: int, at=NOON) -> Alert:
    return Alert(f"a{number}", "i1", "opened", "log", "high", at, "slow", "body", {"ratio": 2.5, "names": ["x"]})


def test_alert_is_queued_once_and_due_until_delivered(store: SqlStore) -> None:
    assert store.add_alerts([alert(1), alert(2, NOON + FIVE_MINUTES)], decided_at=NOON) == 2
    assert store.add_alerts([alert(1)]) == 0
    assert store.pending_alerts(NOON, 1) == [alert(1)]
    store.record_deliveries([Delivery("a1", NOON, succeeded=True)])
    assert store.pending_alerts(NOON + FIVE_MINUTES, 10) == [alert(2, NOON + FIVE_MINUTES)]
    assert store.alerts(NOON) == [alert(2, NOON + FIVE_MINUTES), alert(1)]


def test_failed_delivery_waits_for_its_next_attempt(store: SqlStore) -> None:
    store.add_alerts([alert(1)], decided_at=NOON)
    store.record_deliveries([Delivery("a1", NOON, succeeded=False, error="503", next_attempt_at=NOON + FIVE_MINUTES)])
    assert store.pending_alerts(NOON + timedelta(minutes=4), 10) == []
    assert store.pending_alerts(NOON + FIVE_MINUTES, 10) == [alert(1)]
    store.record_deliveries([Delivery("a1", NOON + FIVE_MINUTES, succeeded=False, error="410")])
    assert store.pending_alerts(NOON + DAY, 10) == []
    assert [attempt.error for attempt in store.deliveries("a1")] == ["503", "410"]


def test_suggestions_are_stored_once_newest_first(store: SqlStore) -> None:
    first = Suggestion("s1", "i1", "force_plan", "low", "why", "do", "undo", NOON)
    second = replace(first, suggestion_id="s2", incident_id="i2", created_at=NOON + FIVE_MINUTES)
    assert store.save_suggestions([first, second]) == 2
    assert store.save_suggestions([first]) == 0
    assert store.suggestions() == [second, first]
    assert store.suggestions(["i1"]) == [first]


def test_job_state_is_replaced(store: SqlStore) -> None:
    state = JobState("collection", 2, NOON, None, NOON + FIVE_MINUTES, "breaker open")
    store.save_job_states([replace(state, consecutive_failures=1)])
    store.save_job_states([state])
    assert store.job_states(["collection", "other"]) == {"collection": state, "other": JobState("other")}


def test_audit_keeps_every_entry_in_order(store: SqlStore, clock) -> None:
    store.append_audit("dba", "acknowledge", "i1", {"note": "mine"})
    clock.moment += FIVE_MINUTES
    store.append_audit("dba", "resolve", "i1", {})
    entries = store.audit(clock.moment - DAY)
    assert [entry.action for entry in entries] == ["resolve", "acknowledge"]
    assert entries[1].detail == {"note": "mine"}


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"])
def test_audit_cannot_be_changed(store: SqlStore, statement: str) -> None:
    store.append_audit("dba", "acknowledge", "i1", {})
    with pytest.raises(StoreError, match="append-only"), store._database.write() as connection:
        connection.exec_driver_sql(statement)


def test_unknown_figures_come_back_unknown(store: SqlStore) -> None:
    unknown = float("nan")
    store.save_incident_changes([step(IncidentEvent.OPENED, score=unknown, extra_seconds_per_hour=unknown)])
    store.save_hotspots(NOON - DAY, NOON, [hotspot(SALES, 1)])
    found = store.open_incidents()[0]
    assert np.isnan([found.score, found.extra_seconds_per_hour, store.hotspots()[0].worker_time_us]).all()
    assert np.isnan(store.incident_events(found.incident_id)[0].incident.extra_seconds_per_hour)


def test_purge_removes_old_rows_only(store: SqlStore) -> None:
    store.save_plan_changes([PlanChange(SALES, number, NOON + number * DAY, 2, 1) for number in range(4)])
    assert store.purge("plan_change", NOON + 2 * DAY) == 2
    assert [change.query_hash for change in store.plan_changes(NOON)] == [3, 2]


def test_purge_works_in_batches(store: SqlStore) -> None:
    count = 5_003
    store.save_plan_changes([PlanChange(SALES, number, NOON, 2, 1) for number in range(count)])
    assert store.purge("plan_change", NOON + DAY) == count
    assert store.plan_changes(NOON) == []


def test_purge_keeps_the_newest_baseline_of_each_statement(store: SqlStore) -> None:
    store.save_baselines(baselines(NOON, [(1, 1), (1, 2)], start=1.0))
    store.save_baselines(baselines(NOON + DAY, [(1, 2)], start=2.0))
    assert store.purge("baseline", NOON + 5 * DAY) == 1
    assert store.baselines(NOON + DAY, "v1").parameters[:, 0].tolist() == [1.0, 2.0]


@pytest.mark.parametrize("table", ["counter_state", "monitored_database", "nothing"])
def test_purge_refuses_what_does_not_expire(store: SqlStore, table: str) -> None:
    with pytest.raises(StoreError, match="do not expire"):
        store.purge(table, NOON)
