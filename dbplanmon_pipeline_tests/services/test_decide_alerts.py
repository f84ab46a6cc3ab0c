"""What people are told of, what they are spared, and that each step of an incident has one fate per channel."""

import shutil
from datetime import UTC, datetime, time, timedelta

import pytest

from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports.alert_rules import AlertState, MaintenanceWindow, MuteRule
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.alert_stories import HOUR, MINUTE, AlertStory, level

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
"""A Monday."""


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A store without rows, to be copied: making one takes longer than most tests here."""
    folder = tmp_path_factory.mktemp("empty")
    store = open_store(f"sqlite:///{folder}/store.db")
    store.upgrade()
    store.close()
    return folder / "store.db"


@pytest.fixture
def store(empty, tmp_path, clock):
    shutil.copy(empty, tmp_path / "store.db")
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=clock)
    yield store
    store.close()


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


class TestGrouping:
    def test_ten_statements_slowed_by_one_job_are_one_message(self, story):
        story.open(*range(1, 11), causes=("statistics",))
        story.decide()
        assert story.told() == ["opened"]
        assert set(story.fates("opened")) == {("grouped", "grouping"), ("pending", "")}
        (message,) = [row for row in story.rows("opened") if row.state is AlertState.PENDING]
        assert "10 statements got slower together" in message.alert.subject
        assert "statistics" in message.alert.body
        for number in range(1, 11):
            assert f"{number:012x}" in message.alert.body

    def test_two_of_different_cause_stay_two(self, story):
        story.open(1, causes=("statistics",))
        story.open(2, causes=("setting max_dop",))
        story.decide()
        assert story.told() == ["opened", "opened"]

    def test_five_of_one_instance_are_one_and_four_are_not(self, story):
        story.open(*range(1, 5))
        story.open(*range(11, 16), instance="other")
        story.decide()
        assert len(story.told()) == 5

    def test_flips_of_one_database_are_one(self, story):
        story.open(1, 2, 3, previous_plan_hash=9)
        story.decide()
        assert len(story.told()) == 1

    def test_a_group_ends_with_its_last_statement(self, story):
        found = story.open(1, 2, 3, causes=("statistics",))
        story.decide()
        story.clock.advance(HOUR)
        story.resolve(found[0])
        story.decide()
        assert story.told() == ["opened"]
        story.clock.advance(HOUR)
        story.resolve(*found[1:])
        story.decide()
        assert story.told() == ["opened", "auto_resolved"]
        end = story.rows("auto_resolved")[-1].alert
        assert any("all 3 statements" in row.alert.subject for row in story.rows("auto_resolved")), end

    def test_what_is_found_a_step_later_joins_the_group_of_its_cause(self, story):
        first = story.open(1, 2, 3, causes=("statistics",))
        story.decide()
        late = story.open(4, causes=("index", "statistics")) + story.open(5, causes=("index",))
        story.decide(by=5 * MINUTE)
        subjects = [row.alert.subject for row in story.rows("opened") if row.state is AlertState.PENDING]
        (joined,) = [subject for subject in subjects if "told before" in subject]
        assert "1 more statement got slower with the 3 told before (statistics)" in joined
        assert len(subjects) == 3
        story.clock.advance(HOUR)
        story.resolve(*first)
        story.decide()
        assert "auto_resolved" not in story.told()
        story.clock.advance(HOUR)
        story.resolve(*late)
        story.decide()
        assert story.told().count("auto_resolved") == 2
        assert any("all 4 statements" in row.alert.subject for row in story.rows("auto_resolved"))

    @pytest.mark.parametrize(("minutes", "joins"), [(5, True), (30, False)])
    def test_a_changed_plan_joins_those_of_its_database_for_two_steps(self, story, minutes, joins):
        story.open(1, 2, 3, previous_plan_hash=9)
        story.decide()
        story.clock.advance(minutes * MINUTE)
        story.open(4, previous_plan_hash=9)
        story.decide()
        assert any("told before" in row.alert.subject for row in story.rows("opened")) is joins

    @pytest.mark.parametrize("changes", [{"instance": "other"}, {"at": HOUR + MINUTE}], ids=str)
    def test_nothing_joins_a_group_of_elsewhere_or_of_long_ago(self, story, changes):
        story.open(1, 2, causes=("statistics",))
        story.decide()
        story.clock.advance(changes.pop("at", MINUTE))
        story.open(3, causes=("statistics",), **changes)
        story.decide()
        assert not [row for row in story.rows("opened") if "told before" in row.alert.subject]
        assert story.told() == ["opened", "opened"]

    def test_nothing_joins_a_group_that_is_well(self, story):
        first = story.open(1, 2, causes=("statistics",))
        story.decide()
        story.resolve(*first)
        story.open(3, causes=("statistics",))
        story.decide(by=MINUTE)
        story.open(4, causes=("statistics",))
        story.decide(by=MINUTE)
        assert sorted(story.told()) == ["auto_resolved", "opened", "opened", "opened"]
        assert not [row for row in story.rows("opened") if "told before" in row.alert.subject]

    def test_a_group_is_not_torn_by_the_size_of_a_batch(self, store, clock):
        story = AlertStory(store, clock)
        story.open(*range(1, 151), causes=("statistics",))
        story.decide()
        assert story.told() == ["opened"]


class TestCap:
    def test_beyond_it_one_notice_an_hour_tells_how_many_more(self, store, clock):
        story = AlertStory(store, clock, max_per_hour=3)
        for number in range(1, 9):
            story.open(number, instance=f"server{number}")
        story.decide()
        assert story.told() == ["opened"] * 3
        assert story.fates("opened").count(("held", "cap")) == 5
        story.decide(by=HOUR)
        assert story.told() == ["opened"] * 3 + ["more"]
        (notice,) = story.rows("more")
        assert "5 more messages" in notice.alert.subject
        story.decide(by=MINUTE)
        assert len(story.rows("more")) == 1

    def test_the_worst_are_sent_first(self, store, clock):
        story = AlertStory(store, clock, max_per_hour=1)
        story.open(1, severity=Severity.LOW)
        story.open(2, severity=Severity.CRITICAL, instance="other")
        story.decide()
        (sent,) = [row for row in story.rows("opened") if row.state is AlertState.PENDING]
        assert sent.alert.severity == "critical"

    def test_channels_do_not_share_it(self, store, clock):
        story = AlertStory(store, clock, "dba", "ops", max_per_hour=1)
        story.open(1)
        story.open(2, instance="other")
        story.decide()
        assert (len(story.told("dba")), len(story.told("ops"))) == (1, 1)


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
