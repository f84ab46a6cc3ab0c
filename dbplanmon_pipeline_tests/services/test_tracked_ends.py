"""PagerDuty keeps an alert open until it is told of the end: whatever the rules do, every alert there finds its end."""

from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.alerts.incident_alerts import ALERTING_EVENTS
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import MuteRule
from dbplanmon_pipeline.services.decide_incident import decide_incident
from dbplanmon_pipeline_tests.services.alert_stories import HOUR, MINUTE, level
from dbplanmon_pipeline_tests.services.paged_stories import NOON


def test_a_group_is_one_alert_that_ends_with_its_last_statement(paged):
    story = paged()
    incidents = story.open(*range(1, 7))
    story.go_on()
    (key,) = story.open_keys()
    assert key.startswith("group:")
    for one in incidents[:-1]:
        story.resolve(one)
        story.go_on()
        assert story.open_keys() == {key}
    story.resolve(incidents[-1])
    story.go_on()
    assert story.events() == [("trigger", key), ("resolve", key)]


def test_later_news_of_a_group_opens_no_second_alert(paged):
    story = paged(levels=(level(HOUR),))
    incidents = story.open(*range(1, 7))
    story.go_on()
    (key,) = story.open_keys()
    story.step(IncidentEvent.ESCALATED, *[replace(one, severity=Severity.CRITICAL) for one in incidents])
    story.go_on()
    story.go_on(2 * HOUR)
    assert story.events() == [("trigger", key)] * 3
    story.resolve(*incidents)
    story.go_on()
    assert story.open_keys() == set()


def test_what_joins_a_group_later_opens_no_second_alert_and_keeps_the_first_one_open(paged):
    story = paged()
    first = story.open(1, 2, 3, causes=("statistics",))
    story.go_on()
    (key,) = story.open_keys()
    (late,) = story.open(4, causes=("statistics",))
    story.go_on(5 * MINUTE)
    story.resolve(*first)
    story.go_on()
    assert story.open_keys() == {key}
    story.resolve(late)
    story.go_on()
    assert story.events() == [("trigger", key), ("trigger", key), ("resolve", key)]


def test_what_was_told_one_by_one_is_not_resolved_as_a_group(paged):
    story = paged()
    incidents = []
    for number in range(1, 7):
        incidents += story.open(number)
        story.go_on(10 * MINUTE)
    assert len(story.open_keys()) == 6
    story.resolve(*incidents)
    story.go_on()
    assert sorted(key for action, key in story.events() if action == "resolve") == sorted(
        one.incident_id for one in incidents
    )


def test_the_notice_about_the_rest_ends_with_the_last_of_them(paged):
    story = paged(max_per_hour=2)
    incidents = story.open_apart(6)
    story.go_on()
    story.go_on(HOUR)
    assert len(story.open_keys()) == 3
    (notice,) = [key for key in story.open_keys() if key.startswith("more:")]
    for one in incidents[:-1]:
        story.resolve(one)
    story.go_on()
    assert notice in story.open_keys()
    story.resolve(incidents[-1])
    story.go_on()
    assert story.open_keys() == set()


def test_what_ended_while_the_cap_held_it_opens_nothing(paged):
    story = paged(max_per_hour=1)
    incidents = story.open_apart(3)
    story.go_on()
    story.resolve(*incidents)
    story.go_on()
    story.go_on(HOUR)
    assert [action for action, _ in story.events()].count("trigger") == 1
    assert story.open_keys() == set()


def test_a_figure_in_a_notice_keeps_it_open_until_it_is_well(paged):
    story = paged(max_per_hour=1)

    def figure(event: str) -> None:
        facts = {"scope": "kpi", "instance": "prod"}
        word = Alert(f"kpi {event}", "kpi:orders", event, "dba", "high", story.clock(), event, event, facts)
        story.store.add_alerts([word])

    (one, two) = story.open_apart(2)
    story.go_on()
    figure("opened")
    story.go_on()
    story.go_on(HOUR)
    story.resolve(one, two)
    story.go_on()
    (notice,) = story.open_keys()
    assert notice.startswith("more:")
    figure("auto_resolved")
    story.go_on()
    assert story.open_keys() == set()


def test_no_cap_stands_against_an_end(paged):
    story = paged(max_per_hour=3)
    incidents = story.open_apart(3)
    story.go_on()
    story.resolve(*incidents)
    story.go_on()
    assert story.open_keys() == set()


def test_no_mute_rule_stands_against_the_end_of_what_was_told(paged):
    story = paged()
    (one,) = story.open(1)
    story.go_on()
    story.store.add_mute(MuteRule("m1", NOON, "ann", "known"))
    (silent,) = story.open(2)
    story.go_on()
    story.resolve(one, silent)
    story.go_on()
    assert story.events() == [("trigger", one.incident_id), ("resolve", one.incident_id)]


@pytest.mark.parametrize("event", [IncidentEvent.RESOLVED, IncidentEvent.DISMISSED])
def test_a_person_who_closes_an_incident_closes_it_there(paged, event):
    story = paged()
    (one, untold) = story.open(1), story.open(2, instance="muted")
    assert event not in ALERTING_EVENTS
    story.store.add_mute(MuteRule("m1", NOON, "ann", "known", instance="muted"))
    story.go_on()
    for (found,) in (one, untold):
        decide_incident(
            story.store, found.incident_id, event, actor="ann", at=story.clock(), note="cured", trackers=("dba",)
        )
    story.go_on()
    assert story.events() == [("trigger", one[0].incident_id), ("resolve", one[0].incident_id)]


def test_a_person_who_closes_the_last_of_a_group_closes_the_group(paged):
    story = paged()
    incidents = story.open(*range(1, 6))
    story.go_on()
    story.resolve(*incidents[:-1])
    story.go_on()
    last = incidents[-1].incident_id
    decide_incident(story.store, last, IncidentEvent.DISMISSED, actor="ann", at=story.clock(), trackers=("dba",))
    story.go_on()
    assert [action for action, _ in story.events()] == ["trigger", "resolve"]
    assert story.open_keys() == set()


def test_what_a_person_takes_is_acknowledged_there_once(paged):
    story = paged()
    (one,) = story.open(1)
    story.go_on()
    decide_incident(
        story.store, one.incident_id, IncidentEvent.ACKNOWLEDGED, actor="ann", at=story.clock(), trackers=("dba",)
    )
    story.go_on()
    story.go_on()
    assert story.events() == [("trigger", one.incident_id), ("acknowledge", one.incident_id)]


def test_a_channel_that_keeps_nothing_open_hears_of_no_decision(paged):
    story = paged(trackers=frozenset())
    (one,) = story.open(1)
    story.go_on()
    decide_incident(story.store, one.incident_id, IncidentEvent.RESOLVED, actor="ann", at=story.clock())
    story.go_on()
    assert story.events() == [("trigger", one.incident_id)]
