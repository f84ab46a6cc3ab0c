from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent, IncidentScope, IncidentState
from dbplanmon_pipeline.core.incidents.machine import IllegalTransition, IncidentPolicy, incident_id, transition
from dbplanmon_pipeline.core.model import DatabaseRef, Label, Severity
from dbplanmon_pipeline.core.verdict.telling.evidence import plan_sentence
from dbplanmon_pipeline.core.verdict.warm_up import HELD_BACK
from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline_tests.core.incidents.ledger import (
    POLICY,
    REF,
    STEP,
    Ledger,
    evaluation,
    slow_instance,
    tick,
    verdict,
)


def test_the_first_verdict_opens_one_incident_with_its_figures():
    ledger = Ledger()
    assert ledger.judge(evaluation(0, verdict(0))) == ["opened"]
    incident = ledger.only
    assert incident.incident_id == incident_id(IncidentScope.QUERY, ("shop", "orders", 42), tick(0))
    assert len(incident.incident_id) == 12
    assert (incident.state, incident.label, incident.severity) == (
        IncidentState.NEW,
        Label.PLAN_REGRESSION,
        Severity.HIGH,
    )
    assert (incident.plan_hash, incident.previous_plan_hash, incident.extra_seconds_per_hour) == (6, 5, 100.0)
    assert (incident.began_at, incident.opened_at, incident.last_bad_at) == (tick(-3), tick(0), tick(0))


def test_the_same_evaluation_twice_changes_nothing_at_any_stage():
    ledger = Ledger()
    said = [evaluation(0, verdict(0)), evaluation(1, verdict(1, severity=Severity.CRITICAL))]
    said += [evaluation(number) for number in range(2, 5)] + [evaluation(5, verdict(5))]
    for one in said:
        assert ledger.judge(one)
        assert ledger.judge(one) == []


def test_further_verdicts_update_the_figures_and_keep_the_start():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    assert ledger.judge(evaluation(1, verdict(1, label=Label.UNKNOWN, previous_plan=0))) == ["updated"]
    incident = ledger.only
    assert (incident.extra_seconds_per_hour, incident.began_at, incident.opened_at) == (101.0, tick(-3), tick(0))
    assert (incident.label, incident.previous_plan_hash) == (Label.PLAN_REGRESSION, 5)


def test_what_goes_on_without_figures_stays_bad_and_may_have_begun_earlier():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ledger.judge(evaluation(1))
    assert ledger.only.calm_intervals == 1
    assert ledger.judge(replace(evaluation(2), unchanged={(REF, 42): tick(-9)})) == ["updated"]
    assert ledger.judge(replace(evaluation(3), unchanged={(REF, 42): tick(-1)})) == ["updated"]
    incident = ledger.only
    assert (incident.began_at, incident.last_bad_at, incident.calm_intervals) == (tick(-9), tick(3), 0)
    assert incident.extra_seconds_per_hour == 100.0


def test_the_way_back_to_the_plan_before_does_not_turn_the_incident_round():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    said = ("Elapsed time rose.", plan_sentence((6, 5)))
    ledger.judge(evaluation(1, replace(verdict(1), plan_hash=5, previous_plan_hash=6, evidence=said)))
    assert (ledger.only.plan_hash, ledger.only.previous_plan_hash) == (6, 5)
    assert ledger.only.evidence == ("Elapsed time rose.", plan_sentence((5, 6)))


def test_a_label_is_learnt_later_where_it_was_unknown():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0, label=Label.UNKNOWN)))
    ledger.judge(evaluation(1, verdict(1, label=Label.PLAN_REGRESSION)))
    assert ledger.only.label is Label.PLAN_REGRESSION


def test_a_plan_regression_stays_one_whatever_it_looks_like_later():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ledger.judge(evaluation(1, verdict(1, label=Label.CONTENTION)))
    assert ledger.only.label is Label.PLAN_REGRESSION
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0, label=Label.CONTENTION)))
    ledger.judge(evaluation(1, verdict(1, label=Label.UNKNOWN)))
    assert ledger.only.label is Label.CONTENTION


def test_a_third_plan_becomes_that_of_the_incident():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ledger.judge(evaluation(1, replace(verdict(1), plan_hash=7, previous_plan_hash=6)))
    assert (ledger.only.plan_hash, ledger.only.previous_plan_hash) == (7, 6)


def test_that_it_was_held_back_is_told_once():
    ledger = Ledger()
    told = f"{HELD_BACK}restart at noon"
    ledger.judge(evaluation(0, replace(verdict(0), evidence=("slow", told))))
    ledger.judge(evaluation(1, replace(verdict(1), evidence=("slower",))))
    assert ledger.only.evidence == ("slower", told)
    ledger.judge(evaluation(2, replace(verdict(2), evidence=("slower", told))))
    assert ledger.only.evidence == ("slower", told)


def test_rising_severity_escalates_and_falling_severity_is_ignored():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0, severity=Severity.MEDIUM)))
    assert ledger.judge(evaluation(1, verdict(1, severity=Severity.CRITICAL))) == ["escalated"]
    assert ledger.judge(evaluation(2, verdict(2, severity=Severity.LOW))) == ["updated"]
    assert ledger.only.severity is Severity.CRITICAL


def test_calm_activity_ends_an_incident():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    assert [ledger.judge(evaluation(number)) for number in (1, 2, 3)] == [["updated"], ["updated"], ["auto_resolved"]]
    incident = ledger.only
    assert (incident.state, incident.closed_at, incident.calm_since, incident.calm_intervals) == (
        IncidentState.AUTO_RESOLVED,
        tick(3),
        tick(1),
        3,
    )


def test_a_statement_that_rests_does_not_become_calm():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    assert [ledger.judge(evaluation(number, active=False)) for number in range(1, 50)] == [[]] * 49
    assert ledger.only.state is IncidentState.NEW


def test_a_bad_interval_starts_the_calm_anew():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    for number in (1, 2):
        ledger.judge(evaluation(number))
    ledger.judge(evaluation(3, verdict(3)))
    assert (ledger.only.calm_since, ledger.only.calm_intervals) == (None, 0)
    assert [ledger.judge(evaluation(number)) for number in (4, 5, 6)][-1] == ["auto_resolved"]


def test_calm_is_counted_once_per_step_however_often_one_looks():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    looks = [replace(evaluation(1), as_of=tick(1) + timedelta(seconds=second)) for second in (*range(18), 149)]
    assert [ledger.judge(look) for look in looks] == [["updated"]] + [[]] * 18
    assert ledger.only.calm_intervals == 1
    assert ledger.judge(replace(evaluation(1), as_of=tick(1) + STEP / 2)) == ["updated"]


def test_the_default_calm_is_three_hours_of_activity_and_one_for_instances():
    policy = IncidentPolicy(step=STEP)
    assert [policy.calm_intervals(scope) for scope in (IncidentScope.QUERY, IncidentScope.INSTANCE)] == [36, 12]


def test_what_returns_soon_is_reopened_under_its_old_name():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    for number in (1, 2, 3):
        ledger.judge(evaluation(number))
    assert ledger.judge(evaluation(10, verdict(10))) == ["reopened"]
    incident = ledger.only
    assert (incident.state, incident.reopened_count, incident.closed_at) == (IncidentState.NEW, 1, None)
    assert (incident.opened_at, incident.last_bad_at) == (tick(0), tick(10))


def test_what_returns_late_is_a_new_incident():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    for number in (1, 2, 3):
        ledger.judge(evaluation(number))
    in_time = Ledger()
    in_time.incidents = dict(ledger.incidents)
    assert in_time.judge(evaluation(3 + 288, verdict(291))) == ["reopened"]
    assert ledger.judge(evaluation(4 + 288, verdict(292))) == ["opened"]
    assert len(ledger.incidents) == 2


def test_a_slow_instance_has_one_incident_and_holds_its_statements_back():
    ledger = Ledger()
    said = [
        evaluation(number, verdict(number, effect=2.0), instances=[slow_instance(number)], slow=["shop"])
        for number in (0, 1)
    ]
    assert ledger.judge(said[0]) == ["opened"]
    assert (ledger.only.scope, ledger.only.label, ledger.only.key) == (
        IncidentScope.INSTANCE,
        Label.INSTANCE_SLOWDOWN,
        ("shop", "", 0),
    )
    assert ledger.judge(said[1]) == ["updated"]
    assert ledger.judge(evaluation(2, verdict(2, effect=2.0))) == ["updated", "opened"]


@pytest.mark.parametrize(("effect", "opened"), [(2.99, 1), (3.0, 2), (50.0, 2)])
def test_a_statement_far_above_its_slow_instance_is_not_held_back(effect, opened):
    ledger = Ledger()
    said = evaluation(0, verdict(0, effect=effect), instances=[slow_instance(0)], slow=["shop"])
    assert ledger.judge(said) == ["opened"] * opened


def test_no_statement_becomes_calm_while_its_instance_is_slow():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    for number in range(1, 20):
        assert ledger.judge(evaluation(number, slow=["shop"])) == []
    assert ledger.only.calm_intervals == 0


def test_a_slow_database_has_one_incident_and_holds_only_its_own_statements_back():
    ledger = Ledger()
    elsewhere = replace(verdict(0, effect=2.0), ref=DatabaseRef("shop", "billing"))
    slow = replace(slow_instance(0), database="orders")
    said = replace(evaluation(0, verdict(0, effect=2.0), elsewhere, instances=[slow]), slow_databases=frozenset({REF}))
    assert ledger.judge(said) == ["opened", "opened"]
    opened = {incident.key: (incident.scope, incident.label) for incident in ledger.incidents.values()}
    assert opened[("shop", "orders", 0)] == (IncidentScope.DATABASE, Label.DATABASE_SLOWDOWN)
    assert opened[("shop", "billing", 42)][0] is IncidentScope.QUERY


def test_a_slow_database_becomes_calm_by_its_own_statements_while_its_instance_is_well():
    ledger = Ledger()
    ledger.judge(evaluation(0, instances=[replace(slow_instance(0), database="orders")]))
    assert ledger.judge(evaluation(1, active=False)) == []
    assert ledger.judge(evaluation(2, slow=["shop"])) == []
    assert ledger.judge(evaluation(3)) == ["updated"]
    assert ledger.judge(evaluation(4)) == ["auto_resolved"]


def test_an_instance_ends_after_its_own_calm():
    ledger = Ledger()
    ledger.judge(evaluation(0, instances=[slow_instance(0)]))
    assert ledger.judge(evaluation(1, active=False)) == []
    assert [ledger.judge(evaluation(number)) for number in (2, 3)] == [["updated"], ["auto_resolved"]]


def test_an_instance_read_once_an_hour_ends_after_two_calm_intervals():
    ledger = Ledger(replace(POLICY, instance_calm_after=12 * STEP))
    ledger.judge(evaluation(0, instances=[slow_instance(0)]))
    assert [ledger.judge(evaluation(number)) for number in (12, 23)] == [["updated"], ["auto_resolved"]]


def test_a_statement_that_rests_between_two_calm_intervals_does_not_end_by_time():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    assert [ledger.judge(evaluation(number)) for number in (12, 24)] == [["updated"], ["updated"]]


def test_an_acknowledged_incident_stays_so_while_it_lasts():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ledger.decide(IncidentEvent.ACKNOWLEDGED, 1)
    assert ledger.judge(evaluation(2, verdict(2, severity=Severity.CRITICAL))) == ["escalated"]
    assert (ledger.only.state, ledger.only.note) == (IncidentState.ACKNOWLEDGED, "seen")


def test_a_resolved_incident_gets_time_to_show_the_cure():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ledger.decide(IncidentEvent.RESOLVED, 1)
    assert [ledger.judge(evaluation(number, verdict(number))) for number in range(2, 8)] == [[]] * 5 + [["reopened"]]


def test_a_dismissed_incident_stays_away_unless_it_gets_worse():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0, severity=Severity.MEDIUM)))
    ledger.decide(IncidentEvent.DISMISSED, 1)
    assert ledger.judge(evaluation(300, verdict(300, severity=Severity.MEDIUM))) == []
    assert ledger.judge(evaluation(301, verdict(301, severity=Severity.HIGH))) == ["opened"]


def test_a_dismissal_does_not_last_for_ever():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ledger.decide(IncidentEvent.DISMISSED, 1)
    assert ledger.judge(evaluation(1 + 7 * 288, verdict(2017))) == []
    assert ledger.judge(evaluation(2 + 7 * 288, verdict(2018))) == ["opened"]
    assert timedelta(days=7) == POLICY.memory


@pytest.mark.parametrize("event", [IncidentEvent.ACKNOWLEDGED, IncidentEvent.RESOLVED, IncidentEvent.DISMISSED])
def test_a_decision_is_recorded_with_actor_and_time(event):
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    change = transition(ledger.only, event, "dba", tick(1), "index was dropped")
    assert (change.event, change.actor, change.at, change.note) == (event, "dba", tick(1), "index was dropped")
    assert change.incident.state.value == event.value
    assert change.incident.closed_at == (None if event is IncidentEvent.ACKNOWLEDGED else tick(1))
    assert change.incident.updated_at == tick(1)


def test_a_decision_by_a_clock_that_is_behind_does_not_set_the_incident_back():
    ledger = Ledger()
    ledger.judge(evaluation(2, verdict(2)))
    assert transition(ledger.only, IncidentEvent.ACKNOWLEDGED, "dba", tick(1)).incident.updated_at == tick(2)


@pytest.mark.parametrize("state", [state for state in IncidentState if not state.is_open])
@pytest.mark.parametrize("event", [IncidentEvent.ACKNOWLEDGED, IncidentEvent.RESOLVED, IncidentEvent.DISMISSED])
def test_an_ended_incident_takes_no_decision(state, event):
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    with pytest.raises(IllegalTransition, match=f"is {state}"):
        transition(replace(ledger.only, state=state), event, "dba", tick(1))


def test_opening_is_not_for_a_person_to_decide():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    with pytest.raises(DbPlanMonError, match="not for a person"):
        transition(ledger.only, IncidentEvent.OPENED, "dba", tick(1))


@pytest.mark.parametrize("state", [state for state in IncidentState if not state.is_open])
def test_an_ended_incident_is_reopened_by_a_person_with_a_reason(state):
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ended = replace(ledger.only, state=state, closed_at=tick(1), calm_since=tick(1), calm_intervals=3)
    change = transition(ended, IncidentEvent.REOPENED, "dba", tick(2), "the index is gone again")
    again = change.incident
    assert (again.state, again.closed_at, again.calm_since, again.calm_intervals) == (IncidentState.NEW, None, None, 0)
    assert (change.actor, change.reason, again.reopened_count) == ("dba", "the index is gone again", 0)
    with pytest.raises(IllegalTransition, match="say why"):
        transition(ended, IncidentEvent.REOPENED, "dba", tick(2), " ")


@pytest.mark.parametrize("state", [state for state in IncidentState if state.is_open])
def test_what_is_open_cannot_be_reopened(state):
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    with pytest.raises(IllegalTransition, match=f"is {state}"):
        transition(replace(ledger.only, state=state), IncidentEvent.REOPENED, "dba", tick(1), "why not")


def test_what_a_person_reopened_is_judged_as_before():
    ledger = Ledger()
    ledger.judge(evaluation(0, verdict(0)))
    ledger.decide(IncidentEvent.DISMISSED, 1)
    ledger.decide(IncidentEvent.REOPENED, 2)
    assert ledger.judge(evaluation(3, verdict(3, severity=Severity.CRITICAL))) == ["escalated"]
    assert [ledger.judge(evaluation(number)) for number in range(4, 7)] == [["updated"], ["updated"], ["auto_resolved"]]
