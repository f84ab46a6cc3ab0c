"""Slow instances and databases as engines and nights tell of them: once an hour, or by a batch every night."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.verdict.common.common_mode import tick_grid
from dbplanmon_pipeline.core.verdict.normal.baseline import learn_rows
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.calendar import HOURS_OF_PART
from dbplanmon_pipeline.core.verdict.rows.pooled import pooled_rows
from dbplanmon_pipeline.core.verdict.rows.series import series_rows
from dbplanmon_pipeline_tests.core.verdict.judged import evaluations, fired_queries
from dbplanmon_pipeline_tests.core.verdict.workloads import NOON, Workload

DAY = 288
HOUR = timedelta(hours=1)


def test_one_interval_of_an_hour_tells_as_much_as_twelve_of_five_minutes():
    workload = Workload(20, 60, step=HOUR)
    workload.cost[:, 49] *= 2
    found = evaluations(workload, range(48, 51), policy=DetectorPolicy())
    assert [len(one.instance_verdicts) for one in found] == [0, 1, 0]
    assert fired_queries(found) == [[]] * 3
    (verdict,) = found[1].instance_verdicts
    assert verdict.began_at == workload.moment(48)
    assert verdict.extra_seconds_per_hour == pytest.approx(20 * 40 * 0.005, rel=0.15)


def test_a_single_interval_of_few_statements_is_not_enough():
    workload = Workload(7, 60, step=HOUR)
    workload.cost[:, 49] *= 1.8
    assert [len(one.instance_verdicts) for one in evaluations(workload, [49], policy=DetectorPolicy())] == [0]


def nightly(days, bad):
    """What all statements cost around hour 15 (UTC), up or down by turns, on the given days; a later hour is quiet."""
    workload = Workload(12, days * DAY)
    for day in bad:
        begin = day * DAY + 3 * 12
        workload.cost[:, begin : begin + 6] *= 1.5
        workload.cost[:, begin + 6 : begin + 12] /= 1.5
    return workload


@pytest.mark.parametrize(("bad", "unsteady"), [(range(6), True), ((1, 3), False)])
def test_an_hour_is_unsteady_that_strays_on_most_days(bad, unsteady):
    rows = series_rows(nightly(6, bad).frame(), 0, 1 << 62)
    found = learn_rows([pooled_rows(rows, 300_000_000)], DetectorPolicy()).unsteady_modes
    assert found.shape == (12, 24 // HOURS_OF_PART)
    of_part = found[:, (NOON.hour + 3) // HOURS_OF_PART]
    assert (of_part > 0.5 * np.log(1.5) ** 2).all() == unsteady
    assert found[:, 0].max() < 0.01


@pytest.mark.parametrize(("factor", "told"), [(1.7, 0), (4.0, 1)])
def test_at_such_an_hour_more_is_asked_of_a_slow_instance(factor, told):
    workload = nightly(7, range(6))
    begin = 6 * DAY + 3 * 12
    workload.cost[:, begin : begin + 6] *= factor
    (found,) = evaluations(workload, [begin + 4], learnt=6 * DAY - 1)
    assert len(found.instance_verdicts) == told


@pytest.mark.parametrize(("seldom", "counted"), [(1, 5), (2, 4), (3, 6)])
def test_of_a_small_database_those_that_run_seldom_speak_where_too_few_others_do(seldom, counted):
    workload = Workload(6, 1)
    workload.calls[:seldom] = 1
    rows = series_rows(workload.frame(), 0, 1 << 62)
    tick = np.zeros(len(rows.series), np.int64)
    grid = tick_grid(rows, rows.instance, tick, DetectorPolicy(), of_parts=True)
    assert grid.statements.tolist() == [[counted]]
    assert grid.speaks.sum() == counted


@pytest.mark.parametrize(("broken", "fired"), [((0, 4, 8), []), ((0,), [1])])
def test_three_statements_of_a_database_that_rise_together_are_no_regressions(broken, fired):
    workload = Workload(12, 54)
    for statement in broken:
        workload.cost[statement, 48:] *= 3
    assert fired_queries(evaluations(workload, [52], databases=4)) == [fired]
