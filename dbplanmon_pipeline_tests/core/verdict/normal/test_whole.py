"""Statements of whose executions a few make up most of the cost: what more executions make of that."""

from dataclasses import replace

import numpy as np
import pytest

from dbplanmon_pipeline.core.verdict.normal.baseline import learn_rows
from dbplanmon_pipeline.core.verdict.normal.view import unknown
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.pooled import pooled_rows
from dbplanmon_pipeline.core.verdict.rows.series import series_rows
from dbplanmon_pipeline_tests.core.verdict.judged import evaluations, fired_queries
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

DAY = 288
TIMES = 20


def few_dear(calls, cost=50_000.0):
    """Statement 4 has a dear execution in two of five intervals for three days, the others none."""
    workload = Workload(12, 3 * DAY + 36, calls=calls, cost=cost)
    workload.dear[3] = TIMES * (np.random.default_rng(5).random(3 * DAY + 36) < 0.4)
    return workload


def learnt(workload, view="elapsed_time_us"):
    rows = series_rows(workload.frame(), 0, 1 << 62)
    return learn_rows([pooled_rows(rows, 300_000_000)], DetectorPolicy()).views[view]


def test_the_mean_of_all_executions_is_learnt_beside_that_of_a_typical_interval():
    normal = learnt(few_dear(10))
    assert normal.whole[3] == pytest.approx(np.log(1 + 0.4 * TIMES / 10), abs=0.1)
    assert normal.whole[[0, 1, 2, 4, 5]].max() < 0.2


def test_a_single_day_of_dear_executions_is_none_of_them():
    workload = Workload(12, 4 * DAY, calls=10)
    workload.dear[3, DAY : 2 * DAY] = TIMES
    assert learnt(workload).whole[3] < 0.2


def test_with_ever_more_executions_costs_come_to_the_mean_of_all():
    part = {"whole": 1.0, "slope": 0.5, "slope_centre": -0.4, "slope_width": 0.1}
    normal = replace(unknown(1, 6), **{name: np.array([value]) for name, value in part.items()})
    rise = normal.whole_at(np.zeros(4, np.int64), np.array([0.05, 0.1, 0.2, 0.4]))
    assert rise == pytest.approx([0.0, 0.0, 0.75 - 0.5 * 0.2, 1.0 - 0.5 * 0.4])


@pytest.mark.parametrize(("calls", "fired"), [(200, []), (12, [4])])
def test_a_dearer_typical_execution_is_a_rise_unless_more_of_them_bring_it_along(calls, fired):
    workload = few_dear(12)
    since = slice(3 * DAY, None)
    workload.calls[3, since] = calls
    workload.slow_down(3, since, 1.6)
    assert fired_queries(evaluations(workload, [3 * DAY + 35], learnt=3 * DAY - 1)) == [fired]


def seldom_waits(calls):
    """Executions of statement 4 wait for fifty times what they cost, one in two hundred of them."""
    ticks = 3 * DAY + 36
    workload = Workload(12, ticks, calls=calls, noise=0.02)
    waits = np.random.default_rng(7).binomial(workload.calls[3].astype(int), 0.005)
    workload.cost[3] *= 1 + 50 * waits / np.maximum(workload.calls[3], 1)
    return workload


def test_waits_that_are_mostly_zero_make_elapsed_over_cpu_time_higher_than_it_is_as_a_rule():
    normal = learnt(seldom_waits(12), "elapsed_per_worker")
    assert normal.whole[3] > 0.1
    assert normal.whole[[0, 1, 2, 4, 5]].max() < 0.02
