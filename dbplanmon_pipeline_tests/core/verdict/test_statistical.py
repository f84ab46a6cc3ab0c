from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef, Label
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.model import ExcludedSpan
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

LEARNT = 47
"""Last tick that the baseline sees; faults begin at the next."""
SHOP = DatabaseRef("shop", "db0")
THREE_SECONDS = timedelta(seconds=3)


def evaluations(workload, ticks, *, learnt=LEARNT, databases=1, policy=None):
    detector = StatisticalDetector(policy or DetectorPolicy(step=workload.step))
    frame = workload.frame(databases)
    baselines = detector.learn(frame, workload.moment(learnt))
    return [detector.evaluate(frame, baselines, workload.moment(tick)) for tick in ticks]


def fired_queries(found):
    return [sorted(verdict.query_hash for verdict in evaluation.verdicts) for evaluation in found]


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


def test_instance_wide_slowness_is_one_instance_verdict_and_nothing_else():
    workload = Workload(50)
    workload.cost[:, 48:] *= 2
    found = evaluations(workload, range(48, 60), databases=3)
    assert fired_queries(found) == [[]] * 12
    assert [len(evaluation.instance_verdicts) for evaluation in found] == [0] + [1] * 11
    verdict = found[1].instance_verdicts[0]
    assert (verdict.instance, verdict.statements, verdict.began_at) == ("shop", 50, workload.moment(47))
    assert verdict.effect_ratio == pytest.approx(2, rel=0.1)
    assert verdict.extra_seconds_per_hour == pytest.approx(50 * 480 * 0.005, rel=0.15)
    assert found[1].slow_instances == {"shop"}


@pytest.mark.parametrize(("own", "fired"), [(1.5, []), (30, [4])])
def test_a_statement_may_feel_more_of_a_disturbance_than_was_known(own, fired):
    workload = Workload(20, calm_before=3)
    workload.cost[:, 48:] *= 4
    workload.cost[3, 48:] *= own
    workload.plan[3, 48:] = 77
    assert fired_queries(evaluations(workload, range(50, 56))) == [fired] * 6


@pytest.mark.parametrize("seed", range(3))
def test_waits_that_are_rare_and_long_are_no_rise(seed):
    rng = np.random.default_rng(seed)
    workload = Workload(8, 9 * 48, step=timedelta(minutes=30), cost=20_000.0, calls=3, noise=0.2, seed=seed)
    workload.cost += 40 * workload.cost * (rng.random(workload.cost.shape) < 0.08)
    assert fired_queries(evaluations(workload, range(8 * 48, 9 * 48), learnt=8 * 48 - 1)) == [[]] * 48


def test_one_slow_database_of_several_is_one_verdict_and_nothing_else():
    workload = Workload(60, calm_before=1)
    workload.cost[1::3, 48:] *= 2.5
    found = evaluations(workload, range(48, 60), databases=3)
    assert fired_queries(found) == [[]] * 12
    assert [[one.database for one in each.instance_verdicts] for each in found] == [[]] + [["db1"]] * 11
    verdict = found[1].instance_verdicts[0]
    assert (verdict.instance, verdict.statements, verdict.began_at) == ("shop", 20, workload.moment(47))
    assert verdict.effect_ratio == pytest.approx(2.5, rel=0.2)
    assert verdict.extra_seconds_per_hour == pytest.approx(20 * 480 * 1.5 * 0.005, rel=0.2)
    assert "20 of 20 statements of the database db1" in verdict.evidence[0]
    assert (found[1].slow_instances, found[1].slow_databases) == (frozenset(), {DatabaseRef("shop", "db1")})


def test_a_handful_of_statements_suffices_to_see_that_their_database_is_slow():
    workload = Workload(30, calm_before=1)
    workload.cost[1::6, 48:] *= 4
    found = evaluations(workload, range(50, 54), databases=6)
    assert fired_queries(found) == [[]] * 4
    assert [[one.database for one in each.instance_verdicts] for each in found] == [["db1"]] * 4


def test_a_slow_disk_is_one_verdict_of_the_instance_and_none_of_those_that_wait_for_it():
    workload = Workload(30, calm_before=1)
    workload.worker[::3] = 0.2 * workload.cost[::3]
    workload.worker[1::3] = 0.95 * workload.cost[1::3]
    workload.worker[2::3] = 0.95 * workload.cost[2::3]
    workload.cost[::3, 48:] *= 3
    found = evaluations(workload, range(50, 54))
    assert fired_queries(found) == [[]] * 4
    assert [each.slow_instances for each in found] == [{"shop"}] * 4
    verdict = found[0].instance_verdicts[0]
    assert (verdict.database, verdict.statements) == ("", 10)
    assert "10 of 30 statements wait longer at once" in verdict.evidence[0]


def test_what_a_disk_holds_up_need_not_wait_more_than_others_as_a_rule():
    workload = Workload(30, calm_before=1)
    workload.worker = 0.6 * workload.cost
    workload.cost[::3, 46:] *= np.linspace(2, 4, 10)[:, None]
    workload.slow_down(4, slice(48, None), 6)
    found = evaluations(workload, range(50, 54))
    assert fired_queries(found) == [[5]] * 4
    assert [each.slow_instances for each in found] == [{"shop"}] * 4


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


def test_plans_that_flip_all_over_a_database_are_told_each_and_not_as_a_slow_database():
    workload = Workload(60, calm_before=1)
    workload.slow_down(slice(1, None, 3), slice(48, None), 4)
    workload.plan[1::3, 48:] = 77
    found = evaluations(workload, [51], databases=3)
    assert not found[0].instance_verdicts
    assert len(found[0].verdicts) == 20


def test_a_statement_far_worse_than_its_slow_instance_is_still_reported():
    workload = Workload(50)
    workload.cost[:, 48:] *= 2
    workload.slow_down(3, slice(48, None), 6)
    found = evaluations(workload, [51])
    assert fired_queries(found) == [[4]]
    assert len(found[0].instance_verdicts) == 1


@pytest.mark.parametrize(("new_plan", "first"), [(77, 49), (0, 50)], ids=["new plan", "same plan"])
def test_statements_that_slow_their_neighbours_down_are_the_cause_not_the_instance(new_plan, first):
    workload = Workload(20, step=THREE_SECONDS, calls=6, cost=2000.0).on_postgres()
    for statement, factor in ((0, 100), (1, 300), (2, 1000)):
        workload.slow_down(statement, slice(48, None), factor)
        workload.plan[statement, 48:] = new_plan
    workload.cost[3:, 48:] *= 1.6
    found = evaluations(workload, range(48, 60))
    assert fired_queries(found) == [[]] * (first - 48) + [[1, 2, 3]] * (60 - first)
    assert all(not evaluation.instance_verdicts for evaluation in found)


@pytest.mark.parametrize("statements", [5, 7])
def test_few_statements_suffice_to_see_that_neighbours_only_suffer(statements):
    workload = Workload(statements, step=THREE_SECONDS, calls=6, cost=2000.0).on_postgres()
    workload.slow_down(0, slice(48, None), 300)
    workload.cost[1:, 48:] *= 1.7
    found = evaluations(workload, range(49, 60))
    assert fired_queries(found)[1:] == [[1]] * 10
    assert all(not evaluation.instance_verdicts for evaluation in found)


def test_broken_statements_are_seen_even_where_they_are_most_of_an_instance():
    workload = Workload(5, step=THREE_SECONDS, calls=6, cost=2000.0).on_postgres()
    workload.slow_down(slice(0, 3), slice(48, None), 100)
    assert fired_queries(evaluations(workload, [51])) == [[1, 2, 3]]


def test_a_cured_statement_is_no_longer_reported():
    workload = Workload(12, 400)
    workload.slow_down(3, slice(48, 300), 5)
    found = evaluations(workload, [299, *range(303, 400)])
    assert fired_queries(found) == [[4]] + [[]] * 97


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


def test_three_broken_statements_of_twenty_do_not_make_the_instance_slow():
    workload = Workload(20)
    workload.slow_down(slice(0, 3), slice(48, None), 500)
    found = evaluations(workload, range(50, 60))
    assert fired_queries(found) == [[1, 2, 3]] * 10
    assert all(not evaluation.instance_verdicts for evaluation in found)


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


def test_only_elapsed_time_needs_a_larger_rise_unless_reads_rise_with_it():
    workload = Workload(noise=0.02, calls=100, calm_before=3).on_postgres()
    workload.cost[3, 48:] *= 1.9
    workload.cost[4, 48:] *= 1.9
    workload.reads[4, 48:] *= 2
    workload.cost[5, 48:] *= 3
    assert fired_queries(evaluations(workload, [50])) == [[5, 6]]


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
    workload.slow_down(3, slice(39, 80), 5)
    frame, detector = workload.frame(), StatisticalDetector()
    span = ExcludedSpan(SHOP, 4, workload.moment(38), workload.moment(79))
    naive = detector.learn(frame, workload.moment(79))
    careful = detector.learn(frame, workload.moment(79), [span])
    assert naive.table["elapsed_median_us"][3] > 10_000
    assert careful.table["elapsed_median_us"][3] == pytest.approx(5000, rel=0.1)
    assert careful.table["active_intervals"][3] == 39
    assert careful.table["active_intervals"][2] == 80


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
