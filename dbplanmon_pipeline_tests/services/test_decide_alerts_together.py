"""Many messages at once: those of one cause become one, and beyond the cap one notice tells how many more."""

from datetime import UTC, datetime

import pytest

from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.alert_stories import HOUR, MINUTE, AlertStory

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
"""A Monday."""


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def story(store, clock) -> AlertStory:
    return AlertStory(store, clock)


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
