"""How long a history is, how it is spaced, and what of it counts."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.model import ExcludedSpan
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.core.verdict.judged import LEARNT, SHOP, THREE_SECONDS, evaluations, fired_queries
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload


def test_readings_that_come_early_or_late_change_nothing():
    workload = Workload(20, 60, step=THREE_SECONDS, calls=6, cost=2000.0)
    workload.slow_down(3, slice(48, None), 8)
    frame = workload.frame(2)
    late = np.random.default_rng(5).integers(-400_000, 400_000, (2, 60))
    tick = (frame.rows["interval_start_us"] - frame.rows["interval_start_us"].min()) // 3_000_000
    shift = late[frame.rows["database_id"], tick]
    rows = frame.rows.assign(interval_end_us=frame.rows["interval_end_us"] + shift)
    frame = IntervalFrame(rows, frame.databases)
    detector = StatisticalDetector(DetectorPolicy(step=THREE_SECONDS))
    baselines = detector.learn(frame, workload.moment(LEARNT))
    at = workload.moment(52) + timedelta(milliseconds=400)
    evaluation = detector.evaluate(frame, baselines, at)
    assert fired_queries([evaluation]) == [[4]]
    assert (evaluation.judged, len(evaluation.active)) == (20, 20)


@pytest.mark.parametrize("seed", range(6))
def test_a_short_history_of_jittery_statements_is_judged_and_quiet(seed):
    rng = np.random.default_rng(seed)
    cost = [100.0] * 8 + [800.0] * 6 + [20_000.0] * 6
    workload = Workload(20, 120, step=THREE_SECONDS, cost=cost, calls=6, noise=0.4, seed=seed).on_postgres()
    workload.cost[rng.random(workload.cost.shape) < 0.02] *= 10
    found = evaluations(workload, range(35, 120), learnt=34)
    assert fired_queries(found) == [[]] * 85
    assert not any(evaluation.instance_verdicts for evaluation in found)
    assert found[0].judged >= 19


def test_a_short_history_suffices_to_find_a_broken_plan():
    workload = Workload(20, 40, step=THREE_SECONDS, cost=100.0, calls=6, noise=0.4).on_postgres()
    workload.slow_down(4, slice(36, None), 950)
    workload.reads[4, 36:] = 7622
    workload.plan[4, 36:] = 77
    found = evaluations(workload, range(36, 39), learnt=34)
    assert fired_queries(found) == [[], [5], [5]]


def test_statements_with_one_or_two_executions_per_interval_are_quiet_and_judged():
    workload = Workload(12, 100, calls=1.5, noise=0.5, cost=400_000.0, calm_before=2)
    workload.slow_down(5, slice(80, None), 8)
    found = evaluations(workload, range(60, 90), learnt=59)
    assert fired_queries(found[:20]) == [[]] * 20
    assert fired_queries(found[-1:]) == [[6]]


@pytest.mark.parametrize("seed", [1, 2])
def test_hours_of_imported_history_do_not_make_single_executions_look_slow(seed):
    learnt, last = 4 * 24 * 12 - 1, 4 * 24 * 12 + 36
    workload = Workload(statements=40, ticks=last, cost=500_000.0, calls=3, noise=0.33, seed=seed)
    frame = in_hours(workload.frame(), until_us=epoch_us(workload.moment(learnt)))
    detector = StatisticalDetector(DetectorPolicy(step=workload.step))
    baselines = detector.learn(frame, workload.moment(learnt))
    found = [detector.evaluate(frame, baselines, workload.moment(tick)) for tick in range(learnt + 1, last)]
    assert fired_queries(found) == [[]] * len(found)
    assert found[-1].judged > 30


def test_a_broken_statement_is_found_after_hours_of_imported_history():
    learnt, last = 4 * 24 * 12 - 1, 4 * 24 * 12 + 4
    workload = Workload(statements=20, ticks=last, calls=40)
    workload.slow_down(3, slice(learnt + 1, None), 4)
    frame = in_hours(workload.frame(), until_us=epoch_us(workload.moment(learnt)))
    detector = StatisticalDetector(DetectorPolicy(step=workload.step))
    baselines = detector.learn(frame, workload.moment(learnt))
    found = [detector.evaluate(frame, baselines, workload.moment(learnt + tick)) for tick in (1, 2, 3)]
    assert fired_queries(found) == [[], [], [4]]


def in_hours(frame, until_us):
    """The same work, until then in intervals of an hour, as Query Store keeps it."""
    rows, hour_us = frame.rows, 3_600_000_000
    old = rows["interval_end_us"] <= until_us
    keys = ["database_id", "query_hash", "plan_hash", "hour"]
    parts = rows[old].assign(hour=(rows["interval_end_us"] - 1) // hour_us).groupby(keys)
    hours = parts.sum(min_count=1)
    hours["interval_start_us"] = parts["interval_start_us"].min()
    for name in ("interval_end_us", "counter_reset", "elapsed_time_us_max", "worker_time_us_max"):
        hours[name] = parts[name].max()
    hours = hours.reset_index()[rows.columns.to_list()]
    both = pd.concat([hours, rows[~old]], ignore_index=True)
    order = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
    return IntervalFrame(both.sort_values(order, ignore_index=True), frame.databases)


def test_windows_count_active_intervals_and_rest_is_neither_good_nor_bad():
    workload = Workload(12, 80)
    workload.calls[3, 50::3] = 0
    workload.slow_down(3, slice(50, None), 5)
    found = evaluations(workload, range(50, 57))
    assert fired_queries(found) == [[], [], [], [], [4], [4], []]
    assert (SHOP, 4) in found[4].active
    assert (SHOP, 4) not in found[0].active


def test_a_long_row_after_a_gap_spreads_its_cost_over_its_real_hours():
    workload = Workload(cost=[4000.0] + [5000.0] * 11, calm_before=3)
    workload.slow_down(0, slice(48, None), 4)
    workload.gap_before[48] = 120
    assert fired_queries(evaluations(workload, [50])) == [[]]
    workload.gap_before[48] = 0
    assert fired_queries(evaluations(workload, [50])) == [[1]]


def test_a_statement_with_too_little_history_is_unjudged():
    workload = Workload()
    workload.calls[3, :30] = 0
    workload.slow_down(3, slice(48, None), 50)
    found = evaluations(workload, [51])
    assert fired_queries(found) == [[]]
    assert (found[0].judged, found[0].unjudged) == (11, 1)


def test_only_intervals_that_ended_by_then_are_used():
    workload = Workload()
    calm = evaluations(workload, [50])[0]
    workload.slow_down(slice(0, 5), slice(51, None), 50)
    assert evaluations(workload, [50])[0] == calm


def test_a_rise_inside_an_excluded_span_is_not_learnt_as_normal():
    workload = Workload(12, 100)
    workload.slow_down(3, slice(40, 80), 5)
    frame, detector = workload.frame(), StatisticalDetector()
    span = ExcludedSpan(SHOP, 4, workload.moment(39), workload.moment(79))
    naive = detector.learn(frame, workload.moment(79))
    careful = detector.learn(frame, workload.moment(79), [span])
    assert naive.table["elapsed_median_us"][3] > 10_000
    assert careful.table["elapsed_median_us"][3] == pytest.approx(5000, rel=0.1)
    assert careful.table["active_intervals"][3] == 40
    assert careful.table["active_intervals"][2] == 80


def test_a_daily_peak_is_learnt_as_normal_for_its_hours():
    workload = Workload(2, 9 * 48, step=timedelta(minutes=30), noise=0.05, calls=400)
    busy = (np.arange(9 * 48) // 2 % 24) < 4
    workload.slow_down(0, busy, 3)
    policy = DetectorPolicy(step=workload.step, days=7)
    found = evaluations(workload, range(8 * 48, 8 * 48 + 8), learnt=8 * 48 - 1, policy=policy)
    assert fired_queries(found) == [[]] * 8
    flat = Workload(2, 9 * 48, step=timedelta(minutes=30), noise=0.05, calls=400)
    flat.slow_down(0, slice(8 * 48, None), 3)
    assert fired_queries(evaluations(flat, [8 * 48 + 7], learnt=8 * 48 - 1, policy=policy)) == [[1]]
