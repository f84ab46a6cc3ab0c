"""How far means over windows stray while all is well: the yardstick every statement brings along itself."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.calendar import DAY_US
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.series import SeriesRows

_STRIDES = 4
_FLEET_SAMPLES = 4.0
"""What the fleet does counts as much as this many independent windows of the statement itself."""

_FLEET_WINDOWS = 20
_CUT = 3.0


@dataclass(frozen=True)
class WindowLength:
    """The windows of one length over a history, some of them left out as they overlap almost wholly.

    Attributes:
        intervals: the length.
        stride: distance of one window to the next.
        full: bool [windows], lies within one series.
        series: int64 [windows], series of its last row.
        days: int64 [groups], first window of each run of one series and day.
        day_series / day: int64 [groups].
    """

    intervals: int
    stride: int
    full: NDArray[np.bool_]
    series: Longs
    days: Longs
    day_series: Longs
    day: Longs


def window_lengths(rows: SeriesRows, policy: DetectorPolicy) -> list[WindowLength]:
    """Windows of every length of the policy that fits into the history at all."""
    found = []
    for scale in policy.scales:
        length = scale.intervals
        stride = max(1, length // _STRIDES)
        last = np.arange(length - 1, len(rows.series), stride)
        if not len(last):
            break
        series, day = rows.series[last], (rows.end_us[last] - 1) // DAY_US
        new = np.ones(len(last), np.bool_)
        new[1:] = (series[1:] != series[:-1]) | (day[1:] != day[:-1])
        days = np.flatnonzero(new)
        full = rows.series[last - length + 1] == series
        first_day = int(day.min())
        found.append(WindowLength(length, stride, full, series, days, series[days], day[days] - first_day))
    return found


def null_of_means(
    rows: SeriesRows,
    windows: list[WindowLength],
    residual: Floats,
    weight: Floats,
    scale: Floats,
    policy: DetectorPolicy,
) -> tuple[Floats, Floats]:
    """Inflation and highest mean of each window length; see `Normal`.

    The inflation is the root of the second moment of standardised means, or of the fourth of those above 0 where the
    tail is heavy, drawn towards that of the fleet where there are few windows. It therefore holds for autocorrelated,
    skewed and bimodal costs alike.

    Args:
        rows: the series.
        windows: see `window_lengths`.
        residual: float64 [rows], 0 where the weight is 0.
        weight: float64 [rows], one over the variance of each row.
        scale: float64 [series], beyond four of which a row counts no more for the inflation.
        policy: scales.
    """
    inflation = np.full((len(rows), len(policy.scales)), np.nan)
    highest = np.zeros((len(rows), len(policy.scales)))
    limit = rows.spread(4.0 * scale)
    clipped = _from_start(weight * np.clip(residual, -limit, limit))
    plain = _from_start(weight * np.clip(residual, -_CUT, _CUT))
    weights = _from_start(weight)
    for number, window in enumerate(windows):
        total = _differences(weights, window)
        root = (window.full & (total > 0)) / np.sqrt(np.maximum(total, 1e-12))
        inflation[:, number] = _inflation(len(rows), window, _differences(clipped, window) * root)
        highest[:, number] = _second_highest(len(rows), window, _differences(plain, window) * root)
    return inflation, highest


def _from_start(values: Floats) -> Floats:
    sums = np.zeros(len(values) + 1)
    np.cumsum(values, out=sums[1:])
    return sums


def _differences(sums: Floats, window: WindowLength) -> Floats:
    found: Floats = sums[window.intervals :: window.stride] - sums[: len(sums) - window.intervals : window.stride]
    return found


def _inflation(series: int, window: WindowLength, means: Floats) -> Floats:
    number = np.bincount(window.series, window.full, minlength=series)
    square = means * means
    second = np.bincount(window.series, square, minlength=series) / np.maximum(number, 1)
    above = np.maximum(means, 0.0) * means
    fourth = np.bincount(window.series, above * above, minlength=series) * (2 / 3) / np.maximum(number, 1)
    own = np.maximum(second, np.sqrt(fourth))
    many = number > _FLEET_WINDOWS
    fleet = max(float(np.median(own[many])), 1.0) if many.any() else 1.0
    independent = number * window.stride / window.intervals
    both = (independent * own + _FLEET_SAMPLES * fleet) / (independent + _FLEET_SAMPLES)
    return np.where(number > 0, np.sqrt(np.maximum(both, 1.0)), np.nan)


def _second_highest(series: int, window: WindowLength, means: Floats) -> Floats:
    """Second largest daily maximum, 0 with fewer than two days: a single bad day sets no standard."""
    if not len(window.days):
        return np.zeros(series)
    of_days = np.zeros((series, int(window.day.max()) + 1))
    of_days[window.day_series, window.day] = np.maximum.reduceat(means, window.days)
    if of_days.shape[1] < 2:
        return np.zeros(series)
    second: Floats = np.maximum(np.partition(of_days, -2, axis=1)[:, -2], 0.0)
    return second
