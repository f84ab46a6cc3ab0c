"""What began with a restart waits while it may be cold caches: not longer, and nothing else does."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.failures import Failures
from dbplanmon_pipeline.core.restarts import Restart, Restarts
from dbplanmon_pipeline.core.verdict.model import Course, Evaluation
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.core.verdict.warm_up import HELD_BACK, WarmUp, WarmUpPolicy
from dbplanmon_pipeline_tests.core.incidents.ledger import NOON, REF, STEP, verdict
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

AT = NOON - timedelta(minutes=2)
RESTART = Restart(REF.instance, "", AT, is_dated=True, word="restart")
POLICY = WarmUpPolicy()


def risen(intervals=3, *, first=0, fades=False, plans=(6, 6), before=(), step=STEP):
    """A rise whose first bad interval ended `first` steps after noon; `before`: extra costs of bad ones before that."""
    extra = (*before, *(8 * 0.8**n if fades else 3.0 for n in range(intervals)))
    ends = tuple(epoch_us(NOON + (first + n - len(before)) * step) for n in range(len(extra)))
    return replace(verdict(0), course=Course(ends, extra), plan_hash=plans[1], previous_plan_hash=plans[0])


def sifted(one, number, *restarts, step=STEP, open_keys=()):
    """What is said so many steps after noon: `told`, `held`, and the evidence."""
    warm_up = WarmUp(Restarts(restarts or (RESTART,)), step, POLICY)
    said = Evaluation(NOON + number * step, (one,), (), frozenset(), 1, 0)
    left, held = warm_up.sift(said, open_keys)
    assert len(left.verdicts) + len(held) == 1
    return ("held", ()) if held else ("told", left.verdicts[0].evidence)


def test_the_first_intervals_after_a_restart_are_held_back():
    assert [sifted(risen(n), n - 1)[0] for n in range(2, 8)] == ["held"] * 4 + ["told"] * 2


def test_what_is_told_then_says_that_it_was_held_back_and_since_when():
    _, evidence = sifted(risen(6), 6)
    assert evidence[:-1] == ("reason",)
    assert evidence[-1] == (
        "Held back since the restart at 2026-03-01 11:58:00 UTC, as caches are cold then; "
        "it still stands after 6 intervals."
    )
    assert evidence[-1].startswith(HELD_BACK)


def test_what_fades_is_held_back_until_the_time_is_over():
    last = POLICY.most
    assert sifted(risen(20, fades=True), last - 1)[0] == "held"
    assert sifted(risen(20, fades=True), last)[0] == "told"


def test_an_interval_that_is_explained_otherwise_does_not_hide_that_a_rise_fades():
    ends = tuple(epoch_us(NOON + number * STEP) for number in range(7))
    one = replace(risen(7), course=Course(ends, (2.3, 1.5, 0.0, 1.3, 0.9, 0.8, 0.5)))
    assert sifted(one, 6)[0] == "held"


def test_the_time_counts_where_the_cadence_is_slow_or_fast():
    hour = timedelta(hours=1)
    assert [sifted(risen(2, step=hour), n, step=hour)[0] for n in (1, 2, 3)] == ["held", "held", "told"]
    two, just_now = timedelta(seconds=2), replace(RESTART, at=NOON)
    seen = [sifted(risen(number, first=1, step=two), number, just_now, step=two)[0] for number in (6, 299, 300)]
    assert seen == ["held", "held", "told"]


def test_intervals_that_were_high_right_before_a_restart_do_not_make_it_older_unless_it_was_as_slow():
    assert sifted(risen(before=(0.4, 0.0, 2.0)), 2)[0] == "held"
    assert sifted(risen(before=(2.0, 2.5)), 2)[0] == "told"
    assert sifted(risen(before=(0.5,) * 7), 2)[0] == "told"


@pytest.mark.parametrize(
    "other",
    [
        risen(plans=(5, 6)),
        replace(risen(), failures=Failures(0.0, 0.5, 0, 10, 5, 10, 5, 60.0)),
        replace(risen(), course=None),
        risen(3, first=-5),
        risen(first=POLICY.begins_within + 1),
        replace(risen(), ref=DatabaseRef("depot", "orders")),
    ],
    ids=["another plan", "fails", "no course", "began before", "began long after", "another server"],
)
def test_what_a_cold_cache_does_not_explain_is_told_at_once(other):
    assert sifted(other, 2) == ("told", ("reason",))


def test_a_plan_that_is_the_same_as_before_explains_nothing():
    assert sifted(risen(plans=(0, 6)), 2)[0] == "held"


def test_an_open_incident_goes_on():
    assert sifted(risen(), 2, open_keys={(REF.instance, REF.database, 42)}) == ("told", ("reason",))


def test_a_second_restart_begins_the_wait_anew_but_does_not_make_it_longer():
    again = replace(RESTART, at=AT + 10 * STEP)
    assert sifted(risen(12), 12, RESTART)[0] == "told"
    assert sifted(risen(12), 12, RESTART, again)[0] == "held"
    late = replace(RESTART, at=AT + POLICY.most * STEP)
    assert sifted(risen(30), POLICY.most + 1, RESTART, late)[0] == "told"


def test_a_restart_that_was_not_seen_yet_holds_nothing_back():
    later = Restart(REF.instance, REF.database, NOON + 4 * STEP, is_dated=False, word="failover")
    assert sifted(risen(6), 3, later) == ("told", ("reason",))


def test_the_course_of_a_rise_begins_with_its_first_bad_interval_and_tells_the_extra_cost_of_each():
    factors = np.array([12, 7, 4, 2.8])
    made = Workload(12, 60, noise=0.05, calm_before=1)
    made.slow_down(3, slice(56, None), factors)
    detector = StatisticalDetector(DetectorPolicy())
    frame = made.frame()
    (found,) = detector.evaluate(frame, detector.learn(frame, made.moment(50)), made.moment(59)).verdicts
    assert found.began_at == made.moment(55)
    assert found.course.ends_us == tuple(epoch_us(made.moment(tick)) for tick in range(56, 60))
    assert found.course.extra == pytest.approx(factors - 1, rel=0.2)
