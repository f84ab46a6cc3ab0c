"""What people are told of, what they are spared, and that each step of an incident has one fate per channel."""

from datetime import UTC, datetime, time, timedelta

import pytest

from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports.alert_rules import MaintenanceWindow, MuteRule
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.alert_stories import HOUR, MINUTE, AlertStory, level

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
"""A Monday."""


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def story(store, clock) -> AlertStory:
    return AlertStory(store, clock)


def mute(**scope) -> MuteRule:
    return MuteRule("m1", NOON, "ann", "known", **scope)


def window(starts=time(12), ends=time(13), **scope) -> MaintenanceWindow:
    return MaintenanceWindow("w1", frozenset({0}), starts, ends, "UTC", NOON, "ann", "patches", **scope)


class TestLettingThrough:
    def test_an_opening_is_told_once(self, story):
        story.open(1)
        assert story.decide().let_through == 1
        assert story.told() == ["opened"]
        assert story.decide().batches == 0

    def test_nothing_is_sent_before_it_was_decided(self, story):
        story.open(1)
        assert story.store.pending_alerts(story.clock() + HOUR, 10) == []
        story.decide()
        assert len(story.store.pending_alerts(story.clock(), 10)) == 1

    def test_the_store_says_when_there_is_something_to_do(self, story):
        assert not story.store.decisions_due(story.clock())
        story.open(1)
        assert story.store.decisions_due(story.clock())
        story.decide()
        assert not story.store.decisions_due(story.clock())
        story.store.add_window(window(instance="prod"))
        story.open(2)
        story.decide()
        assert not story.store.decisions_due(story.clock())
        assert story.store.decisions_due(story.clock() + HOUR)


class TestMute:
    @pytest.mark.parametrize(
        "scope",
        [
            {},
            {"instance": "prod"},
            {"instance": "prod", "database": "Shop", "query_hash": 1, "label": "plan_regression"},
            {"text": "FROM Orders"},
            {"expires_at": NOON + MINUTE},
        ],
        ids=str,
    )
    def test_what_a_rule_names_is_muted_with_its_reason(self, story, scope):
        story.store.add_mute(mute(**scope))
        story.open(1)
        story.decide()
        (row,) = story.rows("opened")
        assert (row.state, row.rule) == ("muted", "mute")
        assert row.reason == "mute rule m1 of ann: known"

    @pytest.mark.parametrize(
        "scope",
        [
            {"instance": "test"},
            {"instance": "prod", "database": "Other"},
            {"query_hash": 2},
            {"label": "contention"},
            {"text": "customers"},
            {"expires_at": NOON},
        ],
        ids=str,
    )
    def test_every_part_of_a_rule_must_apply(self, story, scope):
        story.store.add_mute(mute(**scope))
        story.open(1)
        story.decide()
        assert story.told() == ["opened"]

    def test_a_removed_rule_mutes_nothing_and_both_acts_stand_in_the_audit(self, story):
        story.store.add_mute(mute())
        assert story.store.remove_mute("m1", "bob", "over")
        assert not story.store.remove_mute("m1", "bob", "over")
        story.open(1)
        story.decide()
        assert story.told() == ["opened"]
        entries = [e for e in story.store.audit(NOON - HOUR) if e.subject == "m1"]
        assert [(e.actor, e.action, e.detail["reason"]) for e in entries] == [
            ("bob", "mute removed", "over"),
            ("ann", "mute added", "known"),
        ]


class TestMaintenance:
    def test_a_message_waits_for_the_end_and_is_sent_if_still_true(self, story):
        story.store.add_window(window())
        story.open(1)
        story.decide()
        assert story.fates("opened") == [("held", "maintenance")]
        story.decide(by=HOUR)
        assert story.told() == ["opened"]

    def test_the_time_of_a_reminder_runs_from_the_end_of_the_window(self, clock, store):
        story = AlertStory(store, clock, levels=(level(30 * MINUTE),))
        story.store.add_window(window())
        story.open(1)
        story.decide()
        story.decide(by=30 * MINUTE)
        story.decide(by=30 * MINUTE)
        assert story.told() == ["opened"]
        story.decide(by=30 * MINUTE)
        assert story.told() == ["opened", "unacknowledged"]

    def test_what_ended_in_the_window_is_not_told_at_all(self, story):
        story.store.add_window(window())
        found = story.open(1)
        story.decide()
        story.clock.advance(30 * MINUTE)
        story.resolve(*found)
        story.decide()
        story.decide(by=HOUR)
        assert story.told() == []
        assert story.fates("opened") == [("suppressed", "ended")]

    def test_windows_of_other_places_do_not_matter(self, story):
        story.store.add_window(window(instance="test"))
        story.open(1)
        story.decide()
        assert story.told() == ["opened"]


class TestCooldown:
    def test_a_return_within_it_is_not_told(self, story):
        found = story.open(1)
        story.decide()
        story.clock.advance(HOUR)
        found = story.resolve(*found)
        story.decide(by=HOUR)
        story.reopen(*found)
        story.decide()
        assert story.told() == ["opened", "auto_resolved"]
        assert story.fates("reopened") == [("suppressed", "cooldown")]

    def test_a_return_after_it_is(self, story):
        found = story.open(1)
        story.decide()
        story.clock.advance(MINUTE)
        found = story.resolve(*found)
        story.decide()
        story.clock.advance(4 * HOUR)
        story.reopen(*found)
        story.decide()
        assert story.told() == ["opened", "auto_resolved", "reopened"]

    def test_a_rise_in_severity_passes(self, story):
        (found,) = story.open(1)
        story.decide()
        story.clock.advance(MINUTE)
        story.worsen(found, Severity.CRITICAL)
        story.decide()
        assert story.told() == ["opened", "escalated"]


class TestEnds:
    def test_the_end_of_what_was_not_told_is_not_told(self, story):
        story.store.add_mute(mute(expires_at=NOON + MINUTE))
        found = story.open(1)
        story.decide()
        story.clock.advance(HOUR)
        story.resolve(*found)
        story.decide()
        assert story.told() == []
        assert story.fates("auto_resolved") == [("suppressed", "resolution")]

    def test_each_channel_for_itself(self, store, clock):
        story = AlertStory(store, clock, "dba", "ops")
        found = story.open(1)
        story.decide()
        # A channel that did not want the opening is not told of the end.
        opening = next(row for row in story.rows("opened", "ops"))
        store.suppress_alerts({opening.alert.alert_id: "too mild"}, clock())
        clock.advance(HOUR)
        story.resolve(*found)
        story.decide()
        assert story.told("dba") == ["opened", "auto_resolved"]
        assert story.told("ops") == []


class TestFlapping:
    def test_it_is_told_once_that_it_comes_and_goes(self, store, clock):
        story = AlertStory(store, clock, cooldown=timedelta())
        found = story.open(1)
        story.decide()
        for _ in range(6):
            clock.advance(2 * HOUR)
            found = story.resolve(*found)
            story.decide()
            clock.advance(HOUR)
            found = story.reopen(*found)
            story.decide()
        assert story.told().count("flapping") == 1
        assert story.told().count("reopened") == 2
        assert [fate for _, fate in story.fates("reopened")] == ["", "", "flapping", "flapping", "flapping", "flapping"]
        (notice,) = story.rows("flapping")
        assert "3 returns within 24 h" in notice.alert.body

    def test_the_last_end_is_told_when_it_stayed_calm(self, store, clock):
        story = AlertStory(store, clock, cooldown=timedelta())
        found = story.open(1)
        story.decide()
        for _ in range(3):
            clock.advance(HOUR)
            found = story.resolve(*found)
            story.decide()
            clock.advance(HOUR)
            found = story.reopen(*found)
            story.decide()
        clock.advance(HOUR)
        story.resolve(*found)
        story.decide()
        assert story.fates("auto_resolved")[-1] == ("held", "flapping")
        story.decide(by=timedelta(hours=24))
        assert story.told()[-1] == "auto_resolved"

    def test_an_end_that_did_not_hold_is_not_told_when_the_next_one_does(self, store, clock):
        story = AlertStory(store, clock, cooldown=timedelta())
        found = story.open(1)
        story.decide()
        for _ in range(5):
            clock.advance(2 * HOUR)
            found = story.resolve(*found)
            story.decide()
            clock.advance(2 * HOUR)
            found = story.reopen(*found)
            story.decide()
        clock.advance(2 * HOUR)
        story.resolve(*found)
        story.decide()
        told = len(story.told())
        story.decide(by=timedelta(hours=23))
        assert story.told()[told:] == []
        story.decide(by=HOUR)
        assert story.told()[told:] == ["auto_resolved"]

    def test_worse_is_told_all_the_same(self, store, clock):
        story = AlertStory(store, clock, cooldown=timedelta())
        found = story.open(1)
        for _ in range(4):
            clock.advance(HOUR)
            found = story.reopen(*story.resolve(*found))
            story.decide()
        clock.advance(HOUR)
        story.worsen(found[0], Severity.CRITICAL)
        story.decide()
        assert story.told()[-1] == "escalated"


class TestEscalation:
    def test_nobody_took_it(self, store, clock):
        story = AlertStory(store, clock, levels=(level(HOUR, "boss"),))
        (found,) = story.open(1)
        story.decide()
        story.decide(by=59 * MINUTE)
        assert story.told("boss") == []
        story.decide(by=MINUTE)
        assert story.told("boss") == ["unacknowledged"]
        (row,) = story.rows("unacknowledged")
        assert row.alert.subject.startswith("[high] Nobody took it: ")
        assert f"dbplanmon incidents ack {found.incident_id}" in row.alert.body
        story.decide(by=24 * HOUR)
        assert story.told("boss") == ["unacknowledged"]

    def test_somebody_took_it(self, store, clock):
        story = AlertStory(store, clock, levels=(level(),))
        (found,) = story.open(1)
        story.decide()
        story.take(found)
        story.decide(by=2 * HOUR)
        assert story.told() == ["opened"]
        assert story.fates("unacknowledged") == [("suppressed", "escalation")]
        assert "acknowledged" in story.rows("unacknowledged")[0].reason

    def test_each_level_in_its_turn_and_only_if_bad_enough(self, store, clock):
        levels = (level(HOUR, "dba"), level(2 * HOUR, "boss"), level(3 * HOUR, "head", least=Severity.CRITICAL))
        story = AlertStory(store, clock, levels=levels)
        story.open(1)
        story.decide()
        for _ in range(5):
            story.decide(by=HOUR)
        assert story.told("dba") == ["opened", "unacknowledged"]
        assert story.told("boss") == ["unacknowledged"]
        assert story.told("head") == []

    def test_a_return_begins_the_time_anew(self, store, clock):
        story = AlertStory(store, clock, levels=(level(),), cooldown=timedelta())
        found = story.open(1)
        story.decide()
        clock.advance(30 * MINUTE)
        found = story.resolve(*found)
        story.decide(by=MINUTE)
        story.reopen(*found)
        story.decide()
        story.decide(by=40 * MINUTE)
        assert "unacknowledged" not in story.told()
        story.decide(by=20 * MINUTE)
        assert story.told()[-1] == "unacknowledged"
