"""The parts of the statistical rule against plain computations of the same thing."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.common.common_mode import common_mode, tick_grid
from dbplanmon_pipeline.core.verdict.common.held_up import Waits
from dbplanmon_pipeline.core.verdict.common.scopes import scopes_of
from dbplanmon_pipeline.core.verdict.model import ExcludedSpan
from dbplanmon_pipeline.core.verdict.normal.baseline import layout_of, learn_rows, pack, rows_to_learn, unpack
from dbplanmon_pipeline.core.verdict.normal.dear import (
    BAR,
    COST,
    LATEST,
    OFTEN,
    PER_EXECUTION,
    PER_INTERVAL,
    learn_dear,
)
from dbplanmon_pipeline.core.verdict.normal.table import rough_medians
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.pooled import pooled_rows
from dbplanmon_pipeline.core.verdict.rows.series import robust_cost, series_rows
from dbplanmon_pipeline.core.verdict.rows.single_executions import execution_variance
from dbplanmon_pipeline.core.verdict.rows.sorted_groups import blocks, bounds_of, group_quantiles, last_rows
from dbplanmon_pipeline.core.verdict.rows.ticks import Points, points_of, tick_numbers
from dbplanmon_pipeline.core.verdict.rows.windows import CostSums, WeightedSums, cost_rows
from dbplanmon_pipeline.core.verdict.rules.plan_path import intervals_since_plan_change, plan_changes_at
from dbplanmon_pipeline_tests.core.verdict.workloads import NOON, Workload

STEP_US = 300_000_000
NOON_AND_MORE = 2 * epoch_us(NOON)


def rows_of(workload, **options):
    return series_rows(workload.frame(**options), 0, NOON_AND_MORE)


def arrays(*numbers):
    return [np.array([number], float) for number in numbers]


@pytest.mark.parametrize("seed", range(3))
def test_group_quantiles_equal_numpy_over_groups_of_any_size(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 400, 60)
    values = rng.normal(size=sizes.sum())
    values[rng.random(len(values)) < 0.2] = np.nan
    values[: sizes[0]] = np.nan
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    found = group_quantiles(values, bounds, (0.5, 0.95))
    assert np.isnan(found[0][0])
    for group in range(1, 60):
        expected = np.nanquantile(values[bounds[group] : bounds[group + 1]], [0.5, 0.95])
        assert [found[0][group], found[1][group]] == pytest.approx(expected)


def test_blocks_hold_every_group_once_and_respect_the_cells():
    counts = np.random.default_rng(1).integers(0, 500, 300)
    parts = list(blocks(counts, cells=5000))
    assert sorted(np.concatenate(parts)) == list(range(300))
    assert all(len(part) * counts[part].max() <= 5000 for part in parts if len(part) > 1)


def test_last_rows_are_right_aligned():
    assert last_rows(np.array([0, 3]), np.array([3, 8]), 4).tolist() == [[-1, 0, 1, 2], [4, 5, 6, 7]]


def test_bounds_of_sorted_groups_name_empty_ones_too():
    assert bounds_of(np.array([0, 0, 2]), 4).tolist() == [0, 2, 2, 3, 3]


def test_the_largest_of_five_executions_does_not_count():
    assert robust_cost(*arrays(5, 140, 100, np.nan)) == pytest.approx(10)
    assert robust_cost(*arrays(4, 130, 100, np.nan)) == pytest.approx(32.5)


def test_one_dear_execution_is_recognised_by_the_sum_of_squares():
    costs = np.array([1.0] * 9 + [1000.0])
    assert robust_cost(*arrays(10, costs.sum(), np.nan, (costs**2).sum())) == pytest.approx(1, rel=0.01)


def test_even_costs_keep_their_mean_where_the_largest_is_unknown():
    costs = np.array([8.0, 9, 10, 11, 12])
    assert robust_cost(*arrays(5, costs.sum(), np.nan, (costs**2).sum())) == pytest.approx(10)
    assert robust_cost(*arrays(5, 50, np.nan, np.nan)) == pytest.approx(10)


def test_plans_of_one_interval_become_one_row_with_the_plan_that_ran_most():
    workload = Workload(2, 3)
    frame = workload.frame()
    fewer = frame.rows["execution_count"] * 0.2
    second = frame.rows.assign(plan_hash=5, execution_count=fewer, elapsed_time_us=100.0)
    order = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
    both = pd.concat([frame.rows, second]).sort_values(order, ignore_index=True)
    merged = series_rows(IntervalFrame(both, frame.databases), 0, NOON_AND_MORE)
    assert merged.counts.tolist() == [3, 3]
    assert merged.plan_hash.tolist() == [1001] * 3 + [1002] * 3
    assert merged.executions == pytest.approx(workload.calls.ravel() * 1.2)
    assert merged.sums["elapsed_time_us"] == pytest.approx((workload.calls * workload.cost).ravel() + 100)


def learnt_elapsed(workload, view="elapsed_time_us", **policy):
    rows = rows_of(workload)
    policy = DetectorPolicy(step=workload.step, **policy)
    learnt = learn_rows([pooled_rows(rows, policy.step_us)], policy)
    return rows, learnt.views[view]


def test_the_level_is_that_of_the_costs_and_outliers_do_not_move_it():
    workload = Workload(3, 600, noise=0.05, calls=400)
    workload.cost[1, ::50] *= 40
    _, normal = learnt_elapsed(workload)
    assert np.exp(normal.level) == pytest.approx([5000] * 3, rel=0.02)
    assert normal.scale[1] < 0.3


def test_habits_of_hours_are_learnt_and_less_firmly_where_little_was_seen():
    offsets = []
    for days in (2, 7):
        workload = Workload(1, days * 288, noise=0.05, calls=400)
        night = (np.arange(days * 288) // 12 + 12) % 24 < 6
        workload.slow_down(0, night, 2)
        _, normal = learnt_elapsed(workload)
        offsets.append(normal.offsets[0, 3] - normal.offsets[0, 15])
    assert 0.5 * np.log(2) < offsets[0] < offsets[1] < 1.02 * np.log(2)
    assert offsets[1] > 0.9 * np.log(2)


def test_less_than_a_day_teaches_no_habits_and_is_unsure_of_them():
    _, young = learnt_elapsed(Workload(2, 200))
    _, grown = learnt_elapsed(Workload(2, 600))
    assert not young.offsets.any()
    assert (young.habit > grown.habit).all()
    assert (young.level_variance > grown.level_variance).all()


def test_weekends_have_a_level_of_their_own():
    workload = Workload(2, 7 * 288, noise=0.05, calls=400)
    day = (np.arange(7 * 288) + 144) // 288
    workload.slow_down(0, (day == 0) | (day >= 6), 2)
    _, normal = learnt_elapsed(workload)
    assert 0.4 * np.log(2) < normal.weekend[0] < np.log(2)
    assert abs(normal.weekend[1]) < 0.05


def test_costs_that_rise_with_the_load_are_expected_to():
    rng = np.random.default_rng(4)
    workload = Workload(2, 900, noise=0.02).on_postgres()
    workload.calls[:] = rng.integers(2, 400, (2, 900))
    workload.cost[0] *= np.exp(-1 / np.sqrt(workload.calls[0]))
    rows, normal = learnt_elapsed(workload)
    assert normal.slope == pytest.approx([1.0, 0.0], abs=0.2)
    rare, often = np.argmin(rows.executions[:900]), np.argmax(rows.executions[:900])
    assert normal.expected(rows)[often] - normal.expected(rows)[rare] > 0.5


def test_statements_are_told_apart_by_how_much_they_feel_their_instance():
    rng = np.random.default_rng(6)
    workload = Workload(12, 900, noise=0.05, calls=400)
    shared = np.repeat(np.where(rng.random(150) < 0.2, 1.0, 0.0), 6)
    workload.cost *= np.exp(np.concatenate([np.zeros((1, 1)), np.ones((11, 1))]) * shared)
    _, normal = learnt_elapsed(workload)
    assert normal.sensitivity[0] < 0.1
    assert normal.sensitivity[1:] == pytest.approx([1.0] * 11, abs=0.1)


def test_single_executions_are_judged_by_their_squares_without_the_largest():
    workload = Workload(2, 40, calls=20)
    workload.variation[:] = 0.5
    rows = rows_of(workload)
    own = slice(0, 40)
    executions, total = rows.executions[own], rows.sums["elapsed_time_us"][own]
    squares, largest = rows.sums["elapsed_time_us_sumsq"][own], rows.sums["elapsed_time_us_max"][own]
    rest = (total - largest) / (executions - 1)
    relative = (squares - largest**2) / (executions - 1) / rest**2 - 1
    expected = np.average(relative, weights=np.minimum(executions, 50))
    assert execution_variance(rows, "elapsed_time_us")[0] == pytest.approx(expected)
    assert execution_variance(rows_of(workload.on_postgres()), "elapsed_time_us") == pytest.approx([0.25] * 2, rel=0.05)


def test_without_squares_executions_are_taken_to_differ_by_half():
    frame = Workload(2, 40).frame()
    rows = series_rows(
        IntervalFrame(frame.rows.assign(elapsed_time_us_sumsq=np.nan), frame.databases), 0, NOON_AND_MORE
    )
    assert execution_variance(rows, "elapsed_time_us").tolist() == [0.5, 0.5]


@pytest.mark.parametrize(("least", "left"), [(20, [50, 20, 50]), (21, [50, 50])])
def test_a_statement_is_learnt_where_enough_is_left_of_it(least, left):
    workload = Workload(3, 50, calls=400)
    frame = workload.frame()
    span = ExcludedSpan(frame.databases[0], 2, NOON, workload.moment(29))
    pools = pooled_rows(rows_of(workload), STEP_US)
    pools = pools.keep(rows_to_learn(pools, [span], frame.databases, least))
    assert np.add.reduceat(pools.figures["intervals"], pools.bounds[:-1]).tolist() == left


def mode_of(workload, deviation, scale=0.1):
    rows = rows_of(workload)
    tick, _ = tick_numbers(rows, np.array([rows.end_us.max()]), STEP_US)
    grid = tick_grid(rows, rows.instance, tick, DetectorPolicy())
    return common_mode(rows, grid, deviation(rows), np.full(len(rows), scale), DetectorPolicy())


def test_what_is_common_is_believed_only_up_to_a_factor_where_few_statements_ran():
    workload = Workload(9, 3)
    workload.calls[:2, 1] = 1
    workload.calls[:6, 2] = 1
    mode = mode_of(workload, lambda rows: np.full(len(rows.series), 1.2))
    assert mode.log_ratio[0] == pytest.approx([1.2, np.log(2), 0.0])
    assert mode.grid.statements[0].tolist() == [9, 7, 3]


def test_a_statement_with_a_fate_of_its_own_does_not_move_the_others():
    mode = mode_of(Workload(12, 2), lambda rows: np.where(rows.series == 3, 7.0, 0.0))
    assert mode.log_ratio[0] == pytest.approx([0.0, 0.0], abs=1e-6)


def test_a_rise_of_a_bare_majority_is_not_supported():
    workload = Workload(20, 2)
    assert not mode_of(workload, lambda rows: np.where(rows.series < 11, 1.0, 0.0)).supported.any()
    assert mode_of(workload, lambda rows: np.where(rows.series < 15, 1.0, 0.0)).supported.all()


@pytest.mark.parametrize(("several", "held", "told"), [(10, True, True), (5, True, False), (3, False, False)])
def test_strangers_that_wait_longer_at_once_are_held_up_and_nobody_else(several, held, told):
    rows = rows_of(Workload(24, 2))
    tick, _ = tick_numbers(rows, np.array([rows.end_us.max()]), STEP_US)
    rest = np.where(rows.series < several, 0.8, 0.0)
    rest[rows.series == 1] = 2.0
    waits = Waits(rest, rest, np.ones(24), np.full(24, 0.1), np.full(24, 0.25))
    found = scopes_of(rows, tick, DetectorPolicy()).held_up(waits, DetectorPolicy())
    assert found.level == pytest.approx(0.8 if held else 0.0)
    most = np.where(rows.series == 1, 1.5, 0.8)
    assert found.at_rows == pytest.approx(np.where(rest > 0, most, 0.0) if held else 0.0)
    assert found.mode().at_rows() == pytest.approx(np.where(rest > 0, 0.8, 0.0) if told else 0.0)


@pytest.mark.parametrize(("unsteady", "told"), [(0.0, True), (0.05, True), (0.2, False)])
def test_an_hour_that_is_unsteady_anyway_is_taken_out_and_not_told_of(unsteady, told):
    rows = rows_of(Workload(24, 2))
    tick, _ = tick_numbers(rows, np.array([rows.end_us.max()]), STEP_US)
    rest = np.where(rows.series < 10, 0.8, 0.0)
    waits = Waits(rest, rest, np.ones(24), np.full(24, 0.1), np.full(24, 0.25), np.full(len(rest), unsteady))
    found = scopes_of(rows, tick, DetectorPolicy()).held_up(waits, DetectorPolicy())
    assert found.at_rows == pytest.approx(rest)
    assert found.mode().at_rows() == pytest.approx(rest if told else 0.0)


def test_dear_executions_are_counted_as_plainly():
    workload = Workload(3, 400, calls=10)
    rng = np.random.default_rng(4)
    often = [rng.random(400) < share for share in (0.0, 0.01, 0.3)]
    for statement, dear in enumerate(often):
        workload.one_dear(statement, np.flatnonzero(dear & (workload.calls[statement] > 1)), 40)
    rows = rows_of(workload)
    pools = pooled_rows(rows, STEP_US)
    found = learn_dear(pools, "worker_time_us", np.zeros(len(pools.series), np.float32))
    assert found[:, BAR] == pytest.approx(np.log([4, 4, 64]))
    number = np.count_nonzero(often[1])
    assert found[1, PER_INTERVAL] == pytest.approx((number + 0.5) / 420)
    assert found[1, PER_EXECUTION] == pytest.approx((number + 0.5) / workload.calls[1].sum())
    assert found[1, COST] == pytest.approx(number * 39 / workload.calls[1].sum(), rel=0.2)
    together = np.convolve(often[1], np.ones(LATEST), "full")[:400] * often[1]
    day = rows.end_us[rows.series == 1] // 86_400_000_000
    assert found[1, OFTEN] == sorted(together[day == one].max() for one in np.unique(day))[-2]


def test_a_disturbance_of_one_database_is_common_to_it_unless_plans_changed():
    workload = Workload(24, 2)
    rows = rows_of(workload, databases=2)
    tick, _ = tick_numbers(rows, np.array([rows.end_us.max()]), STEP_US)
    deviation = np.where(rows.database_id[rows.series] == 1, 0.8, 0.0)
    policy = DetectorPolicy()
    found = [
        scopes_of(rows, tick, policy, same_plan).mode(deviation, np.full(24, 0.1), policy)
        for same_plan in (None, deviation == 0)
    ]
    assert found[0] == pytest.approx(deviation, abs=0.02)
    assert (deviation - found[1])[deviation > 0].min() > 0.3


def test_window_sums_are_those_of_the_last_intervals():
    rows = rows_of(Workload(2, 10))
    residual = np.linspace(0, 1, 20)
    nothing = np.zeros(len(residual))
    sums = WeightedSums(residual, 1 / rows.executions, nothing, nothing)
    row, length = np.array([9, 19]), np.array([3, 4])
    weight = rows.executions
    assert sums.mean(row, length) == pytest.approx(
        [np.average(residual[7:10], weights=weight[7:10]), np.average(residual[16:], weights=weight[16:])]
    )
    assert sums.weight(row, length) == pytest.approx([weight[7:10].sum(), weight[16:].sum()])
    costs = CostSums(rows, cost_rows(rows.executions, residual + 8, np.full(20, 8.0), np.zeros(20)))
    extra = rows.executions * (np.exp(residual + 8) - np.exp(8.0))
    assert costs.extra_us(row, length) == pytest.approx([extra[7:10].sum(), extra[16:].sum()])
    assert costs.span_us(row, length).tolist() == [900_000_000, 1_200_000_000]


def test_an_unknown_interval_counts_neither_way_in_a_mean():
    sums = WeightedSums(np.array([1.0, np.nan, 3.0]), np.ones(3), np.ones(3), np.zeros(3))
    assert sums.mean(np.array([2, 1]), np.array([3, 1])).tolist() == [2.0, 0.0]


def test_single_rows_count_for_less_the_longer_the_window():
    residual = np.append(np.zeros(40), 9.0)
    sums = WeightedSums(residual, np.full(41, 0.01), np.full(41, 0.5), np.full(41, -0.3))
    row, length = np.array([40, 40]), np.array([10, 20])
    assert sums.capped(row, length) == pytest.approx([8 * 0.5 / 10, 4 * 0.5 / 20])
    assert sums.mean(row, length) == pytest.approx([0.9, 0.45])
    assert sums.common(row, length) == pytest.approx([0.3, 0.3])


def test_a_plan_change_is_counted_from_its_own_interval_and_unknown_plans_are_passed_over():
    workload = Workload(3, 10)
    workload.plan[0, 6:] = 7
    workload.plan[1, 4:8] = 0
    workload.plan[2, 3] = 0
    workload.plan[2, 4:] = 8
    rows = rows_of(workload)
    last = rows.bounds[1:] - 1
    assert intervals_since_plan_change(plan_changes_at(rows), Points(last, last * 0, rows.bounds[:-1])).tolist() == [
        4,
        0,
        6,
    ]


def test_a_plan_change_out_of_sight_is_none():
    workload = Workload(1, 10)
    workload.plan[0, 4:] = 7
    rows = rows_of(workload)
    points = Points(np.array([9, 9]), np.array([0, 0]), np.array([3, 4]))
    assert intervals_since_plan_change(plan_changes_at(rows), points).tolist() == [6, 0]


def test_a_point_sees_as_far_back_as_its_moment_allows():
    workload = Workload(2, 30)
    rows = rows_of(workload)
    ticks = np.array([epoch_us(workload.moment(tick)) for tick in (20, 21)])
    points = points_of(rows, ticks, STEP_US, 5 * STEP_US)
    assert points.row.tolist() == [20, 50, 21, 51]
    assert points.tick.tolist() == [0, 0, 1, 1]
    assert points.oldest.tolist() == [16, 46, 17, 47]


def test_a_row_never_belongs_to_a_tick_that_could_not_have_known_it():
    rows = rows_of(Workload(1, 4))
    ticks = rows.end_us[[1, 2]] - 1000
    number, moments = tick_numbers(rows, ticks, STEP_US)
    assert (number - moments[0]).tolist() == [-1, 1, 1, 1]


def test_rough_medians_are_medians_of_short_series_and_near_them_for_long_ones():
    rows = rows_of(Workload(1, 2000, calls=400))
    values = np.random.default_rng(2).normal(size=len(rows.series))
    assert rough_medians(values, rows)[0] == pytest.approx(np.median(values), abs=0.2)
    short = rows_of(Workload(2, 300, calls=400))
    assert rough_medians(values[:600], short) == pytest.approx([np.median(values[:300]), np.median(values[300:600])])


def test_parameters_come_back_as_they_were_packed():
    workload = Workload(3, 60)
    workload.plan[1] = -(1 << 63) + 12345
    rows = rows_of(workload)
    policy = DetectorPolicy()
    learnt = learn_rows([pooled_rows(rows, policy.step_us)], policy)
    again = unpack(pack(learnt), policy)
    assert again.plan_hash.tolist() == [1001, -(1 << 63) + 12345, 1003]
    for view, normal in learnt.views.items():
        for part, same in zip(normal.columns(), again.views[view].columns(), strict=True):
            np.testing.assert_array_equal(part, same)
    np.testing.assert_array_equal(learnt.samples, again.samples)
    assert again.means["rows"] == pytest.approx([10, 10, 10])
    assert again.variation["elapsed_time_us"] == pytest.approx([0.5, 0.5, 0.5], abs=0.02)


def test_parameters_of_another_policy_are_refused():
    rows = rows_of(Workload(3, 60))
    policy = DetectorPolicy()
    packed = pack(learn_rows([pooled_rows(rows, policy.step_us)], policy))
    other = DetectorPolicy(scales=policy.scales[:2])
    assert layout_of(other) != layout_of(policy)
    with pytest.raises(ValueError, match="rebuild"):
        unpack(packed, other)


def test_moments_survive_the_way_to_microseconds_and_back():
    moment = NOON + timedelta(microseconds=7)
    assert from_epoch_us(epoch_us(moment)) == moment
