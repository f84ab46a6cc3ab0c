"""The parts of the statistical rule against plain computations of the same thing."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.intervals import IntervalFrame
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.verdict.baseline import layout_of, learn_rows, pack, unpack
from dbplanmon_pipeline.core.verdict.common_mode import common_mode
from dbplanmon_pipeline.core.verdict.null import execution_weight, null_of_means
from dbplanmon_pipeline.core.verdict.plan_path import intervals_since_plan_change
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy, ScaleRule
from dbplanmon_pipeline.core.verdict.season import hour_offsets
from dbplanmon_pipeline.core.verdict.series import robust_cost, series_rows
from dbplanmon_pipeline.core.verdict.sorted_groups import blocks, bounds_of, group_quantiles, last_rows
from dbplanmon_pipeline.core.verdict.windows import Windows, cost_rows
from dbplanmon_pipeline_tests.core.verdict.workloads import NOON, Workload


def rows_of(workload, **options):
    return series_rows(workload.frame(**options), 0, epoch_us(NOON) * 2)


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
    merged = series_rows(IntervalFrame(both, frame.databases), 0, epoch_us(NOON) * 2)
    assert merged.counts.tolist() == [3, 3]
    assert merged.plan_hash.tolist() == [1001] * 3 + [1002] * 3
    assert merged.executions == pytest.approx(workload.calls.ravel() * 1.2)
    assert merged.sums["elapsed_time_us"] == pytest.approx((workload.calls * workload.cost).ravel() + 100)


def test_hour_offsets_are_shrunk_medians_of_three_hours():
    workload = Workload(1, 3 * 24, step=timedelta(hours=1), noise=0)
    rows = rows_of(workload)
    deviation = np.where(rows.hour == 6, 1.0, 0.0) + np.where(rows.hour == 7, 1.0, 0.0)
    offsets = hour_offsets(rows, deviation, 30.0)
    nine_samples = 9 / 39
    assert offsets[0, [6, 7]] == pytest.approx([nine_samples, nine_samples])
    assert offsets[0, [4, 5, 8, 9]] == pytest.approx([0, 0, 0, 0])


def test_less_than_a_day_has_no_hour_offsets():
    rows = rows_of(Workload(2, 23, step=timedelta(hours=1)))
    assert not hour_offsets(rows, np.ones(len(rows.series)), 30.0).any()


def test_null_of_means_is_the_spread_of_rolling_means():
    policy = DetectorPolicy(scales=(ScaleRule(3, 7, 1.8), ScaleRule(48, 5, 1.2)), jitter_us=0.0, spread_floor=0.0)
    rows = rows_of(Workload(2, 120, noise=0.3))
    residual = np.random.default_rng(3).normal(0.1, 0.3, len(rows.series))
    centre, spread = null_of_means(rows, residual, np.full(2, np.log(5000.0)), np.full(2, np.nan), policy)
    weight = execution_weight(rows.executions)[:120]
    means = [np.average(residual[at : at + 3], weights=weight[at : at + 3]) for at in range(118)]
    middle = np.median(means)
    body = 1.4826 * np.median(np.abs(means - middle))
    tail = (np.quantile(means, 0.99) - middle) / 2.6
    unseen = (1 + 3 / 118) * np.sqrt(1 + 30 / 120)
    assert centre[0, 0] == pytest.approx(middle)
    assert spread[0, 0] == pytest.approx(max(body, min(tail, 3 * body)) * unseen)
    assert np.isnan(spread[:, 1]).all()


def test_tiny_statements_have_a_wide_floor():
    policy = DetectorPolicy()
    rows = rows_of(Workload(2, 60))
    _, spread = null_of_means(rows, np.zeros(len(rows.series)), np.log([50.0, 1e6]), np.full(2, np.nan), policy)
    assert spread[0, 0] > 6 * spread[1, 0]


def test_common_mode_is_the_median_cut_off_where_few_statements_ran():
    workload = Workload(9, 3)
    workload.calls[:2, 1] = 1
    workload.calls[:6, 2] = 1
    rows = rows_of(workload)
    mode = common_mode(rows, rows.series * 0.2, epoch_us(workload.moment(2)), DetectorPolicy())
    assert mode.log_ratio[0] == pytest.approx([0.8, np.log(2), 0.0])
    assert mode.statements[0].tolist() == [9, 7, 3]


def test_a_rise_of_a_bare_majority_is_not_supported():
    workload = Workload(20, 2)
    rows = rows_of(workload)
    deviation = np.where(rows.series < 11, 1.0, 0.0)
    mode = common_mode(rows, deviation, epoch_us(workload.moment(1)), DetectorPolicy())
    assert mode.log_ratio[0] == pytest.approx([1.0, 1.0])
    assert not mode.supported.any()
    broad = common_mode(rows, np.where(rows.series < 13, 1.0, 0.0), epoch_us(workload.moment(1)), DetectorPolicy())
    assert broad.supported.all()


def test_window_sums_are_those_of_the_last_intervals():
    rows = rows_of(Workload(2, 10))
    residual = np.linspace(0, 1, 20)
    costs = cost_rows(rows.executions, residual + 8, np.full(20, 8.0), np.zeros(20))
    windows = Windows(rows, last_rows(rows.bounds[:-1], rows.bounds[1:], 10), costs)
    length = np.array([3, 4])
    weight = execution_weight(rows.executions)
    assert windows.mean(length) == pytest.approx(
        [np.average(residual[7:10], weights=weight[7:10]), np.average(residual[16:], weights=weight[16:])]
    )
    extra = rows.executions * (np.exp(residual + 8) - np.exp(8.0))
    assert windows.extra_us(length) == pytest.approx([extra[7:10].sum(), extra[16:].sum()])
    assert windows.span_us(length).tolist() == [900_000_000, 1_200_000_000]
    assert windows.elevated_share(length, np.array([0.4, 0.9])) == pytest.approx([2 / 3, 0.5])
    assert windows.fits(np.array([10, 11])).tolist() == [True, False]


def test_a_plan_change_is_counted_from_its_own_interval_and_unknown_plans_are_passed_over():
    workload = Workload(3, 10)
    workload.plan[0, 6:] = 7
    workload.plan[1, 4:8] = 0
    workload.plan[2, 3] = 0
    workload.plan[2, 4:] = 8
    assert intervals_since_plan_change(rows_of(workload)).tolist() == [4, 0, 6]


def test_parameters_come_back_as_they_were_packed():
    workload = Workload(3, 60)
    workload.plan[1] = -(1 << 63) + 12345
    rows = rows_of(workload)
    policy = DetectorPolicy()
    learnt = learn_rows(rows, epoch_us(workload.moment(59)), policy)
    again = unpack(pack(learnt), policy)
    assert again.plan_hash.tolist() == [1001, -(1 << 63) + 12345, 1003]
    for metric, figures in learnt.metrics.items():
        np.testing.assert_array_equal(figures.median, again.metrics[metric].median)
        np.testing.assert_array_equal(figures.offsets, again.metrics[metric].offsets)
        np.testing.assert_array_equal(figures.spread, again.metrics[metric].spread)
    assert again.means["rows"] == pytest.approx([10, 10, 10])
    assert again.variation["elapsed_time_us"] == pytest.approx([0.5, 0.5, 0.5], abs=0.02)


def test_parameters_of_another_policy_are_refused():
    rows = rows_of(Workload(3, 60))
    policy = DetectorPolicy()
    packed = pack(learn_rows(rows, epoch_us(NOON + timedelta(hours=5)), policy))
    other = DetectorPolicy(scales=policy.scales[:2])
    assert layout_of(other) != layout_of(policy)
    with pytest.raises(ValueError, match="rebuild"):
        unpack(packed, other)


def test_moments_survive_the_way_to_microseconds_and_back():
    moment = NOON + timedelta(microseconds=7)
    assert from_epoch_us(epoch_us(moment)) == moment
