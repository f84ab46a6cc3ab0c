"""How far means of windows stray, against plain computations of the same thing."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.verdict.normal.null import inflation_of, straying_means, window_lengths
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy, ScaleRule
from dbplanmon_pipeline.core.verdict.rows.calendar import DAY_US
from dbplanmon_pipeline.core.verdict.rows.pooled import pooled_rows
from dbplanmon_pipeline.core.verdict.rows.series import series_rows
from dbplanmon_pipeline_tests.core.verdict.workloads import NOON, Workload

STEP_US = 300_000_000
HOUR = timedelta(hours=1)


def pools_of(workload):
    return pooled_rows(series_rows(workload.frame(), 0, 2 * epoch_us(NOON)), STEP_US)


def windows_of(pools, policy):
    return window_lengths(pools, (pools.end_us - 1) // DAY_US, policy)


def scales(*lengths):
    return DetectorPolicy(scales=tuple(ScaleRule(length, 5, 1.2) for length in lengths))


def test_means_that_stray_as_independent_intervals_would_are_not_inflated():
    policy = scales(3, 12, 288)
    pools = pools_of(Workload(2, 280, calls=400, step=HOUR))
    rng = np.random.default_rng(3)
    own = np.concatenate([rng.normal(0, 0.1, 280), np.repeat(rng.normal(0, 0.1, 28), 10)])
    means = straying_means(windows_of(pools, policy), own, np.full(560, 100.0), np.full(560, 4.0))
    inflation = inflation_of([means], policy)
    assert inflation[0, :2] == pytest.approx([1.0, 1.0], abs=0.4)
    assert inflation[1, 0] > 1.3
    assert inflation[1, 1] > 2.0
    assert np.isnan(inflation[:, 2]).all()


@pytest.mark.parametrize("lengths", [(3, 12, 36), (3, 6, 9, 24), (2, 5, 7, 10, 30), (20, 40)])
@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_windows_of_single_intervals_end_where_they_would_whatever_series_come_before(lengths, precision):
    rng = np.random.default_rng(4)
    residual, weight = rng.normal(0, 0.1, 150), rng.uniform(50, 150, 150)
    own = pools_of(Workload(3, 50, calls=400, step=HOUR)).part(slice(1, 3))
    windows = windows_of(own, scales(*lengths))
    lines = (line.astype(precision) for line in (residual[50:], weight[50:], np.full(100, 0.15)))
    means = straying_means(windows, *lines)
    for column, length in enumerate(lengths):
        stride = max(1, length // 4)
        for series in (1, 2):
            ends = [50 * series + end for end in range(length, 51) if end % stride == 0]
            parts = [slice(end - length, end) for end in ends]
            standard = np.array(
                [(weight[p] * np.clip(residual[p], -0.15, 0.15)).sum() / np.sqrt(weight[p].sum()) for p in parts]
            )
            fourth = np.sqrt(np.mean(np.maximum(standard, 0) ** 4) * 2 / 3)
            assert means.number[series - 1, column] == len(parts)
            assert means.second[series - 1, column] == pytest.approx(max(np.mean(standard**2), fourth), rel=1e-5)


@pytest.mark.parametrize("length", [3, 6, 12, 36])
def test_a_window_is_as_many_pools_long_as_hold_its_intervals(length):
    workload = Workload(2, 300, calls=400)
    workload.calls[:, np.random.default_rng(5).random(300) < 0.3] = 0
    pools = pools_of(workload)
    held = pools.figures["intervals"].astype(int)
    assert set(held) == {1, 2, 3}
    window = windows_of(pools, scales(length))[0]
    assert window.number.min() > 0
    for begin, end in zip(window.begins, window.ends, strict=True):
        assert pools.series[begin] == pools.series[end - 1]
        assert held[begin:end].sum() >= length > held[begin + 1 : end].sum()
    assert window.independent == pytest.approx((workload.calls[0] > 0).sum() / length, abs=1)


def test_the_bar_is_the_second_highest_mean_of_a_day_and_a_little_for_windows_in_between():
    policy = scales(3)
    pools = pools_of(Workload(1, 3 * 288))
    residual = np.zeros(288)
    residual[[33, 133, 233]] = 1.0, 3.0, 2.0
    means = straying_means(windows_of(pools, policy), residual, np.full(288, 3.0), np.full(288, 4.0))
    assert means.highest[0, 0] == pytest.approx(2.0 * np.sqrt(3) * (1 + 0.25 / 3))
