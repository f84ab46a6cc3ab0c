from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.model import Label
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.core.verdict.judged import LEARNT, SHOP, evaluations, fired_queries
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload


def test_normal_statements_stay_silent():
    found = evaluations(Workload(), range(48, 60))
    assert fired_queries(found) == [[]] * 12
    assert all(evaluation.judged == 12 and evaluation.unjudged == 0 for evaluation in found)


def test_fourfold_cost_is_found_at_the_third_interval():
    workload = Workload()
    workload.slow_down(3, slice(48, None), 4)
    found = evaluations(workload, range(48, 52))
    assert fired_queries(found) == [[], [], [4], [4]]
    verdict = found[2].verdicts[0]
    assert verdict.effect_ratio == pytest.approx(4, rel=0.25)
    assert verdict.began_at == workload.moment(47)
    assert verdict.metric == "worker_time_us"
    assert verdict.ref == SHOP
    assert verdict.observed_us / verdict.baseline_us == pytest.approx(verdict.effect_ratio)


def test_hundredfold_cost_after_a_plan_change_is_found_at_the_second_interval():
    workload = Workload()
    workload.slow_down(3, slice(48, None), 100)
    workload.plan[3, 48:] = 77
    found = evaluations(workload, range(48, 51))
    assert fired_queries(found) == [[], [4], [4]]
    assert (found[1].verdicts[0].plan_hash, found[1].verdicts[0].previous_plan_hash) == (77, 1004)


def test_a_plan_change_finds_a_rise_too_small_for_the_shortest_window():
    workload = Workload(calls=400, noise=0.05, calm_before=3)
    workload.slow_down(3, slice(48, None), 1.5)
    assert fired_queries(evaluations(workload, [50])) == [[]]
    workload.plan[3, 48:] = 77
    assert fired_queries(evaluations(workload, [49, 50])) == [[], [4]]


def test_flipping_plans_are_no_news_where_they_are_usual():
    workload = Workload(calls=400, noise=0.05, calm_before=3)
    workload.plan[3, ::2] = 77
    workload.plan[3, 48:] = 77
    workload.slow_down(3, slice(48, None), 1.5)
    assert fired_queries(evaluations(workload, [50])) == [[]]


@pytest.mark.parametrize(
    ("cost", "calls"), [(3000.0, 15), (100.0, 600)], ids=["3 to 6 ms, 3 a minute", "0.1 to 0.2 ms, 2 a second"]
)
def test_doubling_that_costs_next_to_nothing_is_silent(cost, calls):
    workload = Workload(cost=[cost] + [5000.0] * 11, calls=[calls] + [40] * 11, calm_before=3)
    workload.slow_down(0, slice(48, None), 2)
    assert fired_queries(evaluations(workload, range(48, 60))) == [[]] * 12


def test_the_same_doubling_is_found_when_it_adds_up():
    workload = Workload(cost=[3000.0] + [5000.0] * 11, calls=[1500] + [40] * 11, calm_before=6)
    workload.slow_down(0, slice(48, None), 2)
    assert fired_queries(evaluations(workload, [50])) == [[1]]


def test_a_rise_of_cpu_hidden_in_waiting_time_is_found():
    workload = Workload(cost=50_000.0, calm_before=3)
    workload.worker[2] *= 0.125
    workload.cost[2, 48:] += 2 * workload.worker[2, 48:]
    workload.worker[2, 48:] *= 3
    found = evaluations(workload, [50])
    assert fired_queries(found) == [[3]]
    assert found[0].verdicts[0].metric == "worker_time_us"
    assert found[0].verdicts[0].effect_ratio == pytest.approx(3, rel=0.25)


def test_a_few_dear_executions_in_quiet_intervals_do_not_outvote_thousands_of_normal_ones():
    workload = Workload(cost=[20_000.0] + [5000.0] * 11, calls=[2000] + [40] * 11)
    workload.calls[0, 48::2] = 40
    workload.slow_down(0, slice(48, None, 2), 8)
    assert fired_queries(evaluations(workload, range(50, 60))) == [[]] * 10


@pytest.mark.parametrize("length", [1, 2])
def test_a_spike_that_passes_is_silent(length):
    workload = Workload()
    workload.slow_down(3, slice(48, 48 + length), 20)
    assert fired_queries(evaluations(workload, range(48, 60))) == [[]] * 12


@pytest.mark.parametrize("seed", range(3))
def test_waits_that_are_rare_and_long_are_no_rise(seed):
    rng = np.random.default_rng(seed)
    workload = Workload(8, 9 * 48, step=timedelta(minutes=30), cost=20_000.0, calls=3, noise=0.2, seed=seed)
    workload.cost += 40 * workload.cost * (rng.random(workload.cost.shape) < 0.08)
    assert fired_queries(evaluations(workload, range(8 * 48, 9 * 48), learnt=8 * 48 - 1)) == [[]] * 48


def test_dear_executions_are_told_of_where_there_were_hardly_any():
    workload = Workload(12, 96, calm_before=1)
    rng = np.random.default_rng(3)
    workload.one_dear(2, np.flatnonzero(rng.random(96) < 0.4), 60)
    workload.one_dear(3, np.flatnonzero((rng.random(96) < 0.4) & (np.arange(96) >= 48)), 60)
    workload.one_dear(4, [50, 51], 60)
    found = evaluations(workload, range(50, 72))
    assert fired_queries(found[:3]) == [[], [], []]
    assert fired_queries(found[-1:]) == [[4]]
    verdict = found[-1].verdicts[0]
    assert 1.3 < verdict.effect_ratio < 2.2
    assert verdict.label == Label.PARAMETER_SENSITIVITY
    assert verdict.extra_seconds_low < verdict.extra_seconds_per_hour < verdict.extra_seconds_high


def test_a_cured_statement_is_no_longer_reported():
    workload = Workload(12, 400)
    workload.slow_down(3, slice(48, 300), 5)
    found = evaluations(workload, [299, *range(303, 400)])
    assert fired_queries(found) == [[4]] + [[]] * 97


def test_only_elapsed_time_needs_a_larger_rise_unless_reads_rise_with_it():
    workload = Workload(noise=0.02, calls=100, calm_before=3).on_postgres()
    workload.cost[3, 48:] *= 1.9
    workload.cost[4, 48:] *= 1.9
    workload.reads[4, 48:] *= 2
    workload.cost[5, 48:] *= 3
    assert fired_queries(evaluations(workload, [50])) == [[5, 6]]


def test_single_databases_may_demand_more():
    workload = Workload()
    workload.slow_down(3, slice(48, None), 4)
    policy = DetectorPolicy(min_extra_seconds_overrides={SHOP: 60.0})
    assert fired_queries(evaluations(workload, [51], policy=policy)) == [[]]


def test_the_rest_that_capture_gathers_is_no_statement():
    workload = Workload()
    workload.slow_down(11, slice(48, None), 50)
    frame = workload.frame()
    rows = frame.rows.assign(query_hash=frame.rows["query_hash"].replace(12, OTHER_STATEMENTS))
    frame = IntervalFrame(rows, frame.databases)
    detector = StatisticalDetector()
    baselines = detector.learn(frame, workload.moment(LEARNT))
    evaluation = detector.evaluate(frame, baselines, workload.moment(51))
    assert len(baselines.table) == 11
    assert not evaluation.verdicts
    assert (SHOP, OTHER_STATEMENTS) not in evaluation.active


def test_an_empty_store_is_judged_without_a_word():
    frame = Workload().frame()
    nothing = IntervalFrame(frame.rows.iloc[:0], {})
    detector = StatisticalDetector()
    baselines = detector.learn(nothing, Workload().moment(0))
    evaluation = detector.evaluate(nothing, baselines, Workload().moment(1))
    assert (len(baselines.table), evaluation.verdicts, evaluation.judged) == (0, (), 0)
    assert detector.evaluate(frame, baselines, Workload().moment(50)).unjudged == 12


def test_baselines_of_another_layout_are_refused():
    workload = Workload()
    frame, detector = workload.frame(), StatisticalDetector()
    baselines = replace(detector.learn(frame, workload.moment(47)), layout="other/1")
    with pytest.raises(ValueError, match="rebuild"):
        detector.evaluate(frame, baselines, workload.moment(48))


def test_the_interval_of_the_cost_holds_the_estimate_and_shrinks_with_calm_costs():
    noisy, calm = (Workload(noise=noise, seed=2, calm_before=3) for noise in (0.3, 0.05))
    widths = []
    for workload in (noisy, calm):
        workload.slow_down(3, slice(48, None), 8)
        verdict = evaluations(workload, [53])[0].verdicts[0]
        assert verdict.extra_seconds_low < verdict.extra_seconds_per_hour < verdict.extra_seconds_high
        widths.append((verdict.extra_seconds_high - verdict.extra_seconds_low) / verdict.extra_seconds_per_hour)
    assert widths[1] < widths[0] / 2


def test_extra_seconds_per_hour_are_executions_times_the_rise():
    workload = Workload(noise=0.02, calls=40)
    workload.slow_down(3, slice(48, None), 5)
    verdict = evaluations(workload, [53])[0].verdicts[0]
    assert verdict.extra_seconds_per_hour == pytest.approx(480 * 4 * 0.004, rel=0.25)
