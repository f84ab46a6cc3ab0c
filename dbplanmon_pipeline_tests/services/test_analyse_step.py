"""A step from the kept state says what the whole lookback says, whatever happened to rows, baselines and files.

`CheckedSteps` compares every step with the lookback; what is asserted here is when there is one.
"""

import shutil

import numpy as np
import pytest

from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.services.analyse import analyse
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload
from dbplanmon_pipeline_tests.services.fleets import START, Interrupted
from dbplanmon_pipeline_tests.services.running_stories import DETECTOR, POLICY, CheckedSteps, RunningStory

LEARNT, LAST = 47, 76
FIRST = LEARNT + 2


def workload():
    """Calm first; then one statement breaks, another gets a worse plan, some rest."""
    made = Workload(15, LAST, noise=0.15, calm_before=1)
    made.slow_down(3, slice(55, None), 5)
    made.slow_down(4, slice(58, None), 3)
    made.plan[4, 58:] = 77
    made.calls[np.random.default_rng(1).random(made.calls.shape) < 0.1] = 0
    return made


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """Everything up to the first judgement, which has no state yet."""
    folder = tmp_path_factory.mktemp("past")
    story = open_story(folder)
    story.store.upgrade()
    story.write(-300, LEARNT)
    story.learn(story.workload.moment(LEARNT))
    story.write(LEARNT + 1)
    assert story.analyse()[1] == 0
    story.store.close()
    return folder


@pytest.fixture
def story(past, tmp_path):
    shutil.copytree(past, tmp_path, dirs_exist_ok=True)
    story = open_story(tmp_path)
    yield story
    story.store.close()


def open_story(folder):
    store = open_store(f"sqlite:///{folder}/store.db", clock=FixedClock(START))
    return RunningStory(store, folder / "state", workload())


def go_on(story, first, last):
    """Write and judge tick by tick; how often each was a step."""
    stepped = []
    for tick in range(first, last + 1):
        story.write(tick)
        stepped.append(story.analyse()[1])
    return stepped


def test_every_tick_is_a_step_and_none_loses_a_finding(story):
    assert go_on(story, FIRST, 62) == [1] * (62 - FIRST + 1)
    assert {4, 5} <= {incident.query_hash for incident in story.store.incidents()}
    assert any(change.plan_hash == 77 for change in story.store.plan_changes(story.workload.moment(0)))


@pytest.mark.parametrize("age", [1, 40])
def test_work_that_came_late_makes_the_lookback_be_read(story, age):
    rows = story.frame.rows
    late = rows[rows["query_hash"].eq(4) & rows["interval_end_us"].le(story.us(FIRST - 1))].iloc[[-age]]
    story.write(FIRST)
    story.record(late.assign(execution_count=1.0, elapsed_time_us=9e9, worker_time_us=9e9))
    assert story.analyse()[1] == 0
    assert go_on(story, FIRST + 1, FIRST + 2) == [1, 1]


def test_failures_that_came_late_make_the_lookback_be_read(story):
    rows = story.frame.rows
    late = rows[rows["query_hash"].eq(4) & rows["interval_end_us"].le(story.us(FIRST - 1))].iloc[[-1]]
    story.write(FIRST)
    gone = {"execution_count": 0.0, "elapsed_time_us": 0.0, "worker_time_us": 0.0, "plan_hash": 99}
    story.record(late.assign(**gone, aborted_count=30.0, exception_count=0.0))
    assert story.analyse()[1] == 0
    assert go_on(story, FIRST + 1, FIRST + 2) == [1, 1]


def test_new_baselines_are_judged_by_at_once(story):
    go_on(story, FIRST, FIRST)
    story.learn(story.workload.moment(FIRST))
    assert go_on(story, FIRST + 1, FIRST + 2) == [0, 1]


def test_a_version_that_is_written_once_more_counts_as_new(story):
    story.learn(story.workload.moment(LEARNT))
    assert go_on(story, FIRST, FIRST + 1) == [0, 1]


def test_after_an_outage_everything_missed_is_judged_in_full(story):
    for tick in range(FIRST, FIRST + 5):
        story.write(tick)
    report, stepped = story.analyse()
    assert (report.ticks, stepped) == (5, 0)
    assert go_on(story, FIRST + 5, FIRST + 6) == [1, 1]


def test_a_tick_without_a_collection_is_stepped_over(story):
    assert go_on(story, FIRST + 1, FIRST + 2) == [1, 1]


def test_an_analysis_of_nothing_new_keeps_the_state(story):
    story.analyse()
    assert go_on(story, FIRST, FIRST) == [1]


def test_a_database_that_is_silent_or_new_says_nothing_wrong(story):
    story.write(FIRST, databases=[0, 1])
    assert story.analyse()[1] == 1
    story.write(FIRST + 1, databases=[0, 2])
    story.analyse()
    assert go_on(story, FIRST + 2, FIRST + 4)[-1] == 1


def two_ends(story, tick):
    """An interval of the engine ends two seconds before the reading, and some statements run again in between."""
    end = story.us(tick)
    story.write(tick, interval_end_us=end - 2_000_000)
    rows = story.frame.rows
    again = rows[rows["interval_end_us"].eq(end) & rows["query_hash"].lt(9)]
    story.record(again.assign(interval_start_us=end - 2_000_000))


def test_both_ends_of_one_tick_are_judged_from_the_same_state(story):
    go_on(story, FIRST, FIRST)
    two_ends(story, FIRST + 1)
    report, stepped = story.analyse()
    assert (report.ticks, stepped) == (2, 1)
    assert go_on(story, FIRST + 2, FIRST + 4) == [1, 1, 1]


def test_an_end_that_was_judged_by_its_state_and_one_that_was_not(story):
    go_on(story, FIRST, FIRST)
    two_ends(story, FIRST + 1)
    rows = story.frame.rows
    late = rows[rows["interval_end_us"].eq(story.us(FIRST - 5))].head(1)
    story.record(late)
    report, stepped = story.analyse()
    assert (report.ticks, stepped) == (2, 0)
    assert go_on(story, FIRST + 2, FIRST + 3) == [1, 1]


def test_a_statement_never_seen_before_is_counted(story):
    rows = story.frame.rows
    new = rows[rows["query_hash"].eq(1)].tail(1)
    for tick, plan in enumerate((5, 5, 6), FIRST):
        story.write(tick)
        moved = {"interval_start_us": story.us(tick - 1), "interval_end_us": story.us(tick)}
        story.record(new.assign(query_hash=999, plan_hash=plan, **moved))
        report, stepped = story.analyse()
        assert (stepped, report.unjudged) == (1, 1)
    assert [change.query_hash for change in report.plan_changes] == [999]


@pytest.mark.parametrize("damage", ["lost", "torn", "empty", "other"])
def test_a_damaged_state_is_made_anew(story, damage):
    go_on(story, FIRST, FIRST)
    for file in story.folder.iterdir():
        content = file.read_bytes()
        if damage == "lost":
            file.unlink()
        else:
            middle = len(content) // 2
            flipped = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
            file.write_bytes({"torn": content[:middle], "empty": b"", "other": flipped}[damage])
    assert go_on(story, FIRST + 1, FIRST + 2) == [0, 1]


def test_thresholds_that_changed_make_it_anew(story):
    go_on(story, FIRST, FIRST)
    story.write(FIRST + 1)
    other = StatisticalDetector(DetectorPolicy(lookback_intervals=DETECTOR.policy.lookback_intervals, plan_score=4.0))
    steps = story.steps(detector=other)
    CheckedSteps.stepped = 0
    analyse(story.store, other, policy=POLICY, steps=steps)
    assert CheckedSteps.stepped == 0


def test_a_judgement_of_the_past_changes_nothing(story):
    go_on(story, FIRST, FIRST)
    before = {file.name: file.read_bytes() for file in story.folder.iterdir()}
    analyse(story.store, DETECTOR, policy=POLICY, as_of=story.workload.moment(FIRST - 3), steps=story.steps())
    assert {file.name: file.read_bytes() for file in story.folder.iterdir()} == before
    assert go_on(story, FIRST + 1, FIRST + 1) == [1]


def test_an_analysis_that_died_before_it_kept_its_state(story):
    class Dying(CheckedSteps):
        def keep(self, *_):
            raise Interrupted

    story.write(FIRST)
    with pytest.raises(Interrupted):
        story.analyse(Dying)
    assert story.analyse()[1] == 1
    assert go_on(story, FIRST + 1, FIRST + 1) == [1]


def test_an_analysis_that_died_after_it_kept_its_state(story):
    class Dying(CheckedSteps):
        def keep(self, *arguments):
            super().keep(*arguments)
            raise Interrupted

    story.write(FIRST)
    with pytest.raises(Interrupted):
        story.analyse(Dying)
    assert story.analyse()[1] == 0
    assert go_on(story, FIRST + 1, FIRST + 1) == [1]


def test_two_analyses_at_once_leave_one_of_their_states(story):
    class Overtaken(CheckedSteps):
        def keep(self, *arguments):
            analyse(story.store, DETECTOR, policy=POLICY, steps=story.steps())
            super().keep(*arguments)

    story.write(FIRST)
    story.analyse(Overtaken)
    assert go_on(story, FIRST + 1, FIRST + 2)[-1] == 1
