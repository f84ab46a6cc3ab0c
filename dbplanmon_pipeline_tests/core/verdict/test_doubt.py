"""What looks like a rise and is none: waits that come together by chance, rises that are over, days of their own."""

import math

import numpy as np
import pytest

from dbplanmon_pipeline.core.verdict.comparison import compare
from dbplanmon_pipeline.core.verdict.normal.baseline import learn_rows
from dbplanmon_pipeline.core.verdict.normal.tails import LEVELS, learn_tails, log_chance, surprise_of
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.pooled import pooled_rows
from dbplanmon_pipeline.core.verdict.rows.series import series_rows
from dbplanmon_pipeline.core.verdict.rows.ticks import tick_numbers
from dbplanmon_pipeline.core.verdict.rules.scales import Judge
from dbplanmon_pipeline_tests.core.verdict.judged import evaluations, fired_queries
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

DAY = 288


def rows_of(workload):
    return series_rows(workload.frame(), 0, 1 << 62)


def learnt(workload, view="elapsed_time_us"):
    rows = rows_of(workload)
    return learn_rows([pooled_rows(rows, 300_000_000)], DetectorPolicy()).views[view]


def test_surprise_is_how_rarely_a_statement_lies_so_high():
    pools = pooled_rows(rows_of(Workload(2, 1000, calls=400)), 300_000_000)
    rest = np.zeros(len(pools.series))
    rest[pools.bounds[1] :][:33] = 6.5
    every = np.ones(len(rest))
    tail = learn_tails(pools, "elapsed_time_us", rest, every, every > 0)
    calm, wild = surprise_of(np.array([[6.0], [6.0]]), tail)[:, 0]
    assert wild == pytest.approx(-math.log(0.1), abs=0.3)
    assert calm > 6
    assert (np.diff(tail, axis=1) >= 0).all()
    assert tail.shape == (2, len(LEVELS))


def test_a_single_high_interval_of_a_pool_counts_unless_it_is_common():
    workload = Workload(1, 900, calls=400, noise=0.01)
    workload.cost[0, ::9] *= math.exp(7.5)
    pools = pooled_rows(rows_of(workload), 300_000_000)
    rest = pools.figures["elapsed_time_us"] - math.log(5000)
    every = np.ones(len(rest))
    own, common = (learn_tails(pools, "elapsed_time_us", rest, every, every > share) for share in (0, 1))
    assert surprise_of(np.array([[6.0]]), own)[0, 0] == pytest.approx(-math.log(1 / 9), abs=0.3)
    assert surprise_of(np.array([[6.0]]), common)[0, 0] > 6


def test_the_chance_of_several_intervals_is_that_of_a_gamma_variable():
    rng = np.random.default_rng(1)
    drawn = rng.exponential(size=(200_000, 3)).sum(axis=1)
    found = log_chance(np.array([4.0, 8.0]), np.array([3, 3]))
    assert np.exp(found) == pytest.approx([(drawn > 4).mean(), (drawn > 8).mean()], rel=0.1)
    assert log_chance(np.array([2.0]), np.array([1]))[0] == pytest.approx(-2.0)


@pytest.mark.parametrize(("share", "fired"), [(0.1, []), (0.0, [3])])
def test_three_long_waits_in_a_row_are_news_only_where_waits_are_rare(share, fired):
    rng = np.random.default_rng(2)
    workload = Workload(12, 5 * DAY, calls=3, cost=50_000.0)
    waits = rng.random(5 * DAY) < share
    waits[-14:] = False
    waits[-4:-1] = True
    workload.cost[2] += 25 * workload.worker[2] * waits
    assert fired_queries(evaluations(workload, [5 * DAY - 2], learnt=5 * DAY - 15)) == [fired]


def test_a_rise_that_is_over_is_no_longer_told_of():
    workload = Workload(12, 4 * DAY, noise=0.3)
    workload.slow_down(3, slice(3 * DAY, 3 * DAY + 60), 4)
    policy = DetectorPolicy(lookback_intervals=DAY)
    begun, *later = fired_queries(
        evaluations(workload, range(3 * DAY + 50, 4 * DAY, 12), learnt=3 * DAY - 1, policy=policy)
    )
    assert begun == [4]
    assert later[2:] == [[]] * len(later[2:])


@pytest.mark.parametrize("wait", [1, 7, 12, 18])
@pytest.mark.parametrize("last", [35, 40, 46])
def test_three_hours_suffice_to_find_four_times_the_cost_at_any_time_of_day(last, wait):
    workload = Workload(ticks=80)
    workload.slow_down(3, slice(last + wait, None), 4)
    assert fired_queries(evaluations(workload, [last + wait + 2], learnt=last)) == [[4]]


def weekly(levels, ticks=8 * DAY):
    """The second statement costs another multiple on each weekday; the days of a workload begin at noon of a Sunday."""
    workload = Workload(12, ticks, noise=0.1, calls=100)
    day = (np.arange(ticks) + DAY // 2) // DAY % 7
    workload.slow_down(1, slice(None), np.array(levels)[day])
    return workload


def test_weekdays_with_levels_of_their_own_are_expected_a_week_later():
    workload = weekly([1.0, 1.6, 0.6, 1.5, 0.7, 1.3, 0.5])
    later = range(7 * DAY + 1, 8 * DAY, 18)
    found = evaluations(workload, later, learnt=7 * DAY, policy=DetectorPolicy(lookback_intervals=DAY))
    assert fired_queries(found) == [[]] * len(later)
    workload.slow_down(1, slice(7 * DAY + 60, None), 2)
    (found,) = evaluations(workload, [7 * DAY + 66], learnt=7 * DAY, policy=DetectorPolicy(lookback_intervals=DAY))
    assert fired_queries([found]) == [[2]]


def test_levels_of_weekdays_are_not_believed_where_costs_only_drift():
    own = learnt(weekly([1.0, 1.6, 0.6, 1.5, 0.7, 1.3, 0.5], 7 * DAY))
    assert np.ptp(own.weekdays[1]) > 0.7 * math.log(1.6 / 0.5)
    workload = Workload(12, 7 * DAY, noise=0.1, calls=100)
    workload.slow_down(1, slice(None), 1.5 ** np.sin(np.arange(7 * DAY) / DAY))
    assert np.ptp(learnt(workload).weekdays[1]) < 0.1


def test_a_weekday_not_seen_yet_is_doubted_where_others_differ():
    workload = weekly([1.0, 1.6, 0.6, 1.5, 0.7, 1.3, 0.5], 5 * DAY)
    rows = rows_of(workload)
    normal = learn_rows([pooled_rows(rows, 300_000_000)], DetectorPolicy()).views["elapsed_time_us"]
    assert np.isnan(normal.weekdays[1]).sum() == 1
    assert normal.unseen_day_variance(rows) is not None
    assert not normal.unseen_day_variance(rows).any()
    assert not np.isnan(normal.expected(rows)).any()


def test_the_two_highest_intervals_of_a_window_can_be_counted_like_the_third():
    workload = Workload(12, 60)
    workload.cost[2, [50, 55]] *= 60
    workload.calls[2, ::2] = 4
    rows, policy, view = rows_of(workload), DetectorPolicy(), "elapsed_time_us"
    tick, _ = tick_numbers(rows, np.array([rows.end_us.max()]), policy.step_us)
    comparison = compare(rows, learn_rows([pooled_rows(rows, policy.step_us)], policy), tick, policy)
    judge = Judge(comparison, np.zeros(len(rows)), policy)
    window = np.arange(rows.bounds[3] - 36, rows.bounds[3])
    residual, weight = judge.views[view].residual[window], judge.views[view].weight(window, np.ones_like(window))
    plain = np.average(np.minimum(residual, np.sort(residual)[-3]), weights=weight)
    assert judge.without_two(view, window[-1:], np.array([36])) == pytest.approx(plain)
    assert judge.views[view].mean(window[-1:], np.array([36])) > plain + 0.1


@pytest.mark.parametrize(("every", "fired"), [(3 * DAY, [2]), (48, [])])
def test_one_more_change_of_plan_is_no_evidence_where_plans_change_every_few_hours(every, fired):
    workload = Workload(12, 3 * DAY + 12, noise=0.1, calls=100)
    workload.plan[1] = 2000 + np.arange(3 * DAY + 12) // every % 2
    workload.slow_down(1, slice(3 * DAY, None), 1.48)
    assert fired_queries(evaluations(workload, [3 * DAY + 8], learnt=3 * DAY - 1)) == [fired]
