"""Groups and notices end at PagerDuty when all they told of is over, whatever happened on the way."""

from dataclasses import replace
from datetime import timedelta

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.services.decide_alerts import ends_due
from dbplanmon_pipeline.services.decide_incident import decide_incident
from dbplanmon_pipeline_tests.services.alert_stories import HOUR, MINUTE


def test_an_incident_that_was_closed_without_a_word_ends_there(paged):
    story = paged()
    (one,) = story.open(1)
    story.go_on()
    decide_incident(story.store, one.incident_id, IncidentEvent.RESOLVED, actor="ann", at=story.clock())
    assert ends_due(story.store, story.policy, story.clock())
    story.go_on()
    assert story.events() == [("trigger", one.incident_id), ("resolve", one.incident_id)]
    assert not ends_due(story.store, story.policy, story.clock())


def test_an_incident_that_was_never_stored_ends_after_an_hour(paged):
    story = paged()
    (one,) = story.open(1)
    lost = replace(one, incident_id="f" * 12)
    story.store.add_alerts([replace(story.alert(IncidentEvent.OPENED, lost), alert_id="lost")])
    story.go_on()
    story.go_on()
    assert story.open_keys() == {one.incident_id, lost.incident_id}
    story.go_on(HOUR)
    assert story.open_keys() == {one.incident_id}


def test_the_end_of_a_group_waits_until_what_opened_it_is_there(paged):
    story = paged()
    incidents = story.open(*range(1, 7))
    story.decide()
    story.resolve(*incidents)
    story.decide(MINUTE)
    assert [row.alert.event for row in story.rows() if ":" in row.alert.incident_id] == ["opened"]
    story.go_on()
    story.go_on()
    assert [action for action, _ in story.events()] == ["trigger", "resolve"]


def test_an_end_that_was_given_up_is_told_again_an_hour_later(paged):
    story = paged()
    incidents = story.open(*range(1, 7))
    story.go_on()
    (key,) = story.open_keys()
    story.resolve(*incidents)
    story.decide(MINUTE)
    story.fail_all()
    story.go_on()
    assert story.open_keys() == {key}
    story.go_on(HOUR)
    assert story.open_keys() == set()


def test_an_end_that_is_never_taken_is_told_for_a_week(paged):
    story = paged()
    incidents = story.open(*range(1, 7))
    story.go_on()
    story.resolve(*incidents)
    for _ in range(9 * 8):
        story.decide(3 * HOUR)
        story.fail_all()
    ends = [row for row in story.rows("auto_resolved") if row.alert.incident_id.startswith("group:")]
    assert len(ends) == 7 * 8 + 1


def test_what_comes_and_goes_stays_open_until_it_rests(paged):
    story = paged(flap_returns=1)
    incidents = story.open(*range(1, 7))
    story.go_on()
    (group,) = story.open_keys()
    (over,) = story.resolve(incidents[0])
    story.go_on()
    (again,) = story.reopen(over)
    story.go_on()
    story.resolve(again, *incidents[1:])
    story.go_on()
    assert story.open_keys() == {group, again.incident_id}
    story.go_on(24 * HOUR)
    assert story.open_keys() == set()


def test_a_statement_that_returned_quietly_still_ends_the_notice_about_it(paged):
    story = paged(max_per_hour=1, cooldown=9 * HOUR)
    notice, (one, two) = story.capped(3)
    (over,) = story.resolve(one)
    story.go_on()
    (again,) = story.reopen(over)
    story.go_on()
    story.resolve(two)
    story.go_on()
    assert notice in story.open_keys()
    story.resolve(again)
    story.go_on()
    assert notice not in story.open_keys()


def test_a_notice_about_a_whole_group_ends_with_the_group(paged):
    story = paged(max_per_hour=1)
    (first,) = story.open(1, instance="elsewhere")
    story.go_on()
    group = story.open(*range(11, 17))
    story.go_on()
    story.go_on(HOUR)
    (notice,) = story.open_keys() - {first.incident_id}
    assert notice.startswith("more:")
    story.resolve(*group[:-1])
    story.go_on()
    assert notice in story.open_keys()
    story.resolve(group[-1])
    story.go_on()
    assert story.open_keys() == {first.incident_id}


def test_a_whole_group_that_ended_while_the_cap_held_it_opens_nothing(paged):
    story = paged(max_per_hour=1)
    (first,) = story.open(1, instance="elsewhere")
    story.go_on()
    group = story.open(*range(11, 17))
    story.go_on()
    story.resolve(*group)
    story.go_on()
    story.go_on(HOUR)
    assert story.events() == [("trigger", first.incident_id)]


def test_news_of_one_statement_of_a_group_ends_beside_the_group(paged):
    story = paged()
    incidents = story.open(*range(1, 7))
    story.go_on()
    (group,) = story.open_keys()
    worse = story.worsen(incidents[0], Severity.CRITICAL)
    story.go_on()
    assert story.open_keys() == {group, worse.incident_id}
    story.resolve(worse)
    story.go_on()
    assert story.open_keys() == {group}
    story.resolve(*incidents[1:])
    story.go_on()
    assert story.open_keys() == set()


def test_a_statement_that_came_back_after_its_group_had_ended_ends_by_itself(paged):
    story = paged(cooldown=timedelta())
    group = story.open(*range(1, 7))
    story.go_on()
    ended = story.resolve(*group)
    story.go_on()
    (again,) = story.reopen(ended[0])
    story.go_on()
    assert story.open_keys() == {again.incident_id}
    story.resolve(again)
    story.go_on()
    assert story.open_keys() == set()


def test_a_notice_that_told_of_groups_ends_whichever_of_them_ends_last(paged):
    story = paged(max_per_hour=1)
    (first,) = story.open(1, instance="elsewhere")
    story.go_on()
    early, late = story.open(*range(11, 17), instance="a"), story.open(*range(21, 27), instance="b")
    story.go_on()
    story.go_on(HOUR)
    (notice,) = story.open_keys() - {first.incident_id}
    story.resolve(*early)
    story.go_on()
    story.go_on(HOUR)
    assert notice in story.open_keys()
    story.resolve(*late)
    story.go_on()
    assert story.open_keys() == {first.incident_id}


def test_a_notice_about_what_joined_a_group_waits_for_the_whole_group(paged):
    story = paged(max_per_hour=1)
    group = story.open(1, 2, 3, causes=("statistics",))
    story.go_on()
    (late,) = story.open(4, causes=("statistics",))
    story.go_on(5 * MINUTE)
    story.go_on(HOUR)
    (notice,) = [key for key in story.open_keys() if key.startswith("more:")]
    story.resolve(late)
    story.go_on()
    assert notice in story.open_keys()
    story.resolve(*group)
    story.go_on()
    assert story.open_keys() == set()


def test_the_end_of_a_group_waits_for_news_of_it_that_is_on_its_way(paged):
    story = paged()
    group = story.open(1, 2, 3, causes=("statistics",))
    story.go_on()
    (late,) = story.open(4, causes=("statistics",))
    story.decide(5 * MINUTE)
    story.resolve(late, *group)
    story.go_on()
    story.go_on()
    assert [action for action, _ in story.events()] == ["trigger", "trigger", "resolve"]


def test_what_was_told_by_itself_ends_in_its_own_words(paged):
    story = paged()
    one = story.open(1)
    story.go_on()
    story.resolve(*one)
    story.go_on()
    (end,) = story.rows("auto_resolved")
    assert end.state is AlertState.DELIVERED
    assert "is normal again" in end.alert.subject


def test_what_ended_by_itself_before_it_was_told_with_others_ends_only_with_them(paged):
    story = paged(cooldown=timedelta())
    one = story.open(1)
    story.go_on()
    five = story.open(*range(2, 7))
    story.go_on()
    over = story.resolve(*one, *five)
    story.go_on()
    back = story.reopen(*over)
    story.go_on()
    (group,) = story.open_keys()
    before = len(story.events())
    story.resolve(*back)
    story.go_on()
    assert story.events()[before:] == [("resolve", group)]


def test_what_has_ended_is_looked_at_no_more(paged):
    story = paged(max_per_hour=1)
    incidents = [*story.open_apart(3), *story.open(*range(11, 17))]
    story.go_on()
    story.go_on(HOUR)
    assert len(story.open_keys()) == 2
    story.resolve(*incidents)
    story.go_on()
    story.go_on()
    assert story.open_keys() == set()
    assert [row.alert.subject for row in story.rows() if row.tracked_as] == []
