from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.incidents.incident import (
    Incident,
    IncidentChange,
    IncidentEvent,
    IncidentState,
)
from dbplanmon_pipeline.core.incidents.machine import IllegalTransition
from dbplanmon_pipeline.core.model import Label, Severity
from dbplanmon_pipeline.services.decide_incident import UnknownIncident, decide_incident, find_incident
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

AT = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = replace(
    PLAN_REGRESSION,
    incident_id="aaaa00000001",
    instance="pg",
    database="shop",
    query_hash=1,
    label=Label.UNKNOWN,
    severity=Severity.LOW,
    metric="elapsed_time_us",
    plan_hash=0,
    previous_plan_hash=0,
    effect_ratio=2.0,
    extra_seconds_per_hour=1.0,
    extra_seconds_low=0.5,
    extra_seconds_high=1.5,
    baseline_us=1.0,
    observed_us=2.0,
    score=8.0,
    began_at=AT,
    opened_at=AT,
    updated_at=AT,
    last_bad_at=AT,
)


@pytest.fixture
def clock():
    return FixedClock(AT)


def save(store, incidents: Sequence[Incident]):
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, incident, AT) for incident in incidents])


def test_incident_is_found_by_the_start_of_its_id(store):
    save(store, [OPEN, replace(OPEN, incident_id="aabb00000002", query_hash=2)])
    assert find_incident(store, "AAAA").incident_id == "aaaa00000001"
    with pytest.raises(UnknownIncident, match="start of 2 incidents"):
        find_incident(store, "aa")


@pytest.mark.parametrize("wanted", ["", "ffff", "%", "aaaa000000010"])
def test_unknown_incident_is_refused(store, wanted):
    save(store, [OPEN])
    with pytest.raises(UnknownIncident, match="no incident"):
        find_incident(store, wanted)


def test_decision_is_stored_with_its_audit(store):
    save(store, [OPEN])
    later = AT + timedelta(minutes=5)
    decide_incident(store, "aaaa", IncidentEvent.RESOLVED, actor="dba", at=later, note="index is back")
    saved = store.incident(OPEN.incident_id)
    assert (saved.state, saved.closed_at, saved.note) == (IncidentState.RESOLVED, later, "index is back")
    entry, opening = store.audit(AT - timedelta(days=1))
    assert (entry.actor, entry.action, entry.subject) == ("dba", "incident resolved", OPEN.incident_id)
    assert (entry.detail["before"], entry.detail["after"], entry.detail["note"]) == ("new", "resolved", "index is back")
    assert (opening.actor, opening.action) == ("analysis", "incident opened")


def test_illegal_decision_leaves_no_trace(store):
    save(store, [OPEN])
    decide_incident(store, "aaaa", IncidentEvent.DISMISSED, actor="dba", at=AT + timedelta(minutes=1))
    with pytest.raises(IllegalTransition):
        decide_incident(store, "aaaa", IncidentEvent.ACKNOWLEDGED, actor="dba", at=AT + timedelta(minutes=2))
    assert [entry.action for entry in store.audit(AT - timedelta(days=1))] == ["incident dismissed", "incident opened"]


def test_reopening_is_stored_with_who_and_why(store):
    save(store, [OPEN])
    decide_incident(store, "aaaa", IncidentEvent.RESOLVED, actor="ann", at=AT + timedelta(minutes=1))
    again = AT + timedelta(minutes=2)
    decide_incident(store, "aaaa", IncidentEvent.REOPENED, actor="bob", at=again, note="still slow for customers")
    saved = store.incident(OPEN.incident_id)
    assert (saved.state, saved.closed_at, saved.updated_at) == (IncidentState.NEW, None, again)
    entry = store.audit(AT - timedelta(days=1))[0]
    assert (entry.actor, entry.action) == ("bob", "incident reopened")
    assert (entry.detail["before"], entry.detail["after"]) == ("resolved", "new")
    assert entry.detail["note"] == "still slow for customers"


def test_nothing_is_reopened_beside_a_newer_incident_about_the_same(store):
    save(store, [OPEN])
    decide_incident(store, "aaaa", IncidentEvent.DISMISSED, actor="ann", at=AT + timedelta(minutes=1))
    save(store, [replace(OPEN, incident_id="bbbb00000002", severity=Severity.HIGH)])
    with pytest.raises(IllegalTransition, match="bbbb00000002 about the same is open"):
        decide_incident(store, "aaaa", IncidentEvent.REOPENED, actor="bob", at=AT + timedelta(minutes=2), note="it is")
    assert store.incident("aaaa00000001").state is IncidentState.DISMISSED


def test_an_analysis_opens_no_second_incident_beside_the_one_a_person_has_just_reopened(store):
    save(store, [OPEN, replace(OPEN, incident_id="bbbb00000002")])
    assert [incident.incident_id for incident in store.open_incidents()] == [OPEN.incident_id]
    assert store.incident("bbbb00000002") is None


@pytest.mark.parametrize(
    ("event", "changes", "why"),
    [
        (IncidentEvent.OPENED, {"evidence": ("12 intervals above normal",)}, "12 intervals above normal"),
        (IncidentEvent.REOPENED, {"reopened_count": 2}, "slow again, return number 2"),
        (IncidentEvent.ESCALATED, {"severity": Severity.HIGH}, "severity rose to high"),
        (
            IncidentEvent.AUTO_RESOLVED,
            {"state": IncidentState.AUTO_RESOLVED, "calm_intervals": 36},
            "normal in 36 intervals in a row",
        ),
    ],
)
def test_what_happens_by_itself_stands_in_the_audit_once_with_its_reason(store, event, changes, why):
    change = IncidentChange(event, replace(OPEN, **changes), AT)
    store.save_incident_changes([change])
    store.save_incident_changes([change])
    (entry,) = store.audit(AT - timedelta(days=1))
    assert (entry.actor, entry.action, entry.detail["note"]) == ("analysis", f"incident {event.value}", why)


def test_new_figures_are_no_decision(store):
    store.save_incident_changes([IncidentChange(IncidentEvent.UPDATED, OPEN, AT)])
    assert store.audit(AT - timedelta(days=1)) == []
