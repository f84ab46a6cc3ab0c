"""How far means of windows stray, against plain computations of the same thing."""

import numpy as np
import pytest

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.verdict.normal.history import days_of
from dbplanmon_pipeline.core.verdict.normal.null import inflation_of, straying_means, window_lengths
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy, ScaleRule
from dbplanmon_pipeline.core.verdict.rows.calendar import hour_runs
from dbplanmon_pipeline.core.verdict.rows.series import series_rows
from dbplanmon_pipeline_tests.core.verdict.workloads import NOON, Workload


def rows_of(workload):
    return series_rows(workload.frame(), 0, 2 * epoch_us(NOON))


def windows_of(rows, policy):
    return window_lengths(rows, days_of(hour_runs(rows)), policy)


def test_means_that_stray_as_independent_intervals_would_are_not_inflated():
    policy = DetectorPolicy(scales=(ScaleRule(3, 7, 1.8), ScaleRule(12, 5, 1.2), ScaleRule(288, 5, 1.1)))
    rows = rows_of(Workload(2, 280, calls=400))
    rng = np.random.default_rng(3)
    own = np.concatenate([rng.normal(0, 0.1, 280), np.repeat(rng.normal(0, 0.1, 28), 10)])
    means = straying_means(windows_of(rows, policy), own, np.full(560, 100.0), np.full(560, 4.0))
    inflation = inflation_of([means], policy)
    assert inflation[0, :2] == pytest.approx([1.0, 1.0], abs=0.4)
    assert inflation[1, 0] > 1.3
    assert inflation[1, 1] > 2.0
    assert np.isnan(inflation[:, 2]).all()


@pytest.mark.parametrize("lengths", [(3, 12, 36), (3, 6, 9, 24), (2, 5, 7, 10, 30), (20, 40)])
@pytest.mark.parametrize("precision", [np.float64, np.float32])
def test_windows_begin_where_they_would_whatever_series_come_before(lengths, precision):
    policy = DetectorPolicy(scales=tuple(ScaleRule(length, 5, 1.2) for length in lengths))
    rows = rows_of(Workload(3, 50, calls=400))
    rng = np.random.default_rng(4)
    residual, weight = rng.normal(0, 0.1, 150), rng.uniform(50, 150, 150)
    own = rows.part(slice(1, 3))
    windows = window_lengths(own, days_of(hour_runs(own)), policy, before=50)
    lines = (line.astype(precision) for line in (residual[50:], weight[50:], np.full(100, 0.15)))
    means = straying_means(windows, *lines)
    for column, length in enumerate(lengths):
        stride = max(1, length // 4)
        for series in (1, 2):
            ends = [end for end in range(length - 1, 150, stride) if end - length + 1 >= 50 * series]
            ends = [end for end in ends if end < 50 * (series + 1)]
            parts = [slice(end - length + 1, end + 1) for end in ends]
            standard = np.array(
                [(weight[p] * np.clip(residual[p], -0.15, 0.15)).sum() / np.sqrt(weight[p].sum()) for p in parts]
            )
            fourth = np.sqrt(np.mean(np.maximum(standard, 0) ** 4) * 2 / 3)
            assert means.number[series - 1, column] == len(parts)
            assert means.second[series - 1, column] == pytest.approx(max(np.mean(standard**2), fourth), rel=1e-5)


def test_the_bar_is_the_second_highest_mean_of_a_day():
    policy = DetectorPolicy(scales=(ScaleRule(3, 7, 1.8),))
    workload = Workload(1, 3 * 288)
    rows = rows_of(workload)
    residual = np.zeros(3 * 288)
    for at, height in ((100, 1.0), (400, 3.0), (700, 2.0)):
        residual[at : at + 3] = height
    means = straying_means(windows_of(rows, policy), residual, np.ones(864), np.full(864, 4.0))
    assert means.highest[0, 0] == pytest.approx(2.0 * np.sqrt(3))
