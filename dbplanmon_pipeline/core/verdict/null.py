"""How far means over windows stray while all is well: the yardstick every statement brings along itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.series import SeriesRows

_STRIDES = 4
_FLEET_SAMPLES = 4.0
"""What the fleet does counts as much as this many independent windows of the statement itself."""

_FLEET_WINDOWS = 20
_CUT = 3.0


@dataclass(frozen=True)
class WindowLength:
    """The windows of one length over some series, some of them left out as they overlap almost wholly.

    Attributes:
        intervals: the length.
        stride: distance of one window to the next.
        first: last row of the first window.
        crossing: int64 [m], windows that do not lie within one series.
        own: int64 [k], series with a window, and the first of each in `begin`: int64 [k].
        number: int64 [series], windows within each series.
        days: int64 [groups], first window of each run of one series and day; `day_series` / `day`: int64 [groups].
    """

    intervals: int
    stride: int
    first: int
    crossing: Longs
    own: Longs
    begin: Longs
    number: Longs
    days: Longs
    day_series: Longs
    day: Longs

    def differences(self, sums: Floats) -> Floats:
        """Sum of each window, from sums over all rows before [rows + 1]."""
        found: Floats = (
            sums[self.first + 1 :: self.stride]
            - sums[self.first + 1 - self.intervals : len(sums) - self.intervals : self.stride]
        )
        return found

    def sums(self, values: Floats) -> Floats:
        """Sum over the windows of each series [series]."""
        found = np.zeros(len(self.number))
        if len(self.own):
            found[self.own] = np.add.reduceat(values, self.begin)
        return found


@dataclass(frozen=True)
class Days:
    """Runs of rows of one series and day.

    Attributes:
        first: int64 [runs], first row of each.
        series / day: int64 [runs].
    """

    first: Longs
    series: Longs
    day: Longs


@dataclass(frozen=True)
class StrayingMeans:
    """How far means of windows strayed, in standard deviations that independent rows would have.

    Attributes:
        number: int64 [series, scales], how many windows there are.
        second: float64 [series, scales], second moment; or what the fourth of those above 0 tells, where larger.
        highest: float64 [series, scales], see `Normal`.
    """

    number: Longs
    second: Floats
    highest: Floats


def window_lengths(rows: SeriesRows, days: Days, policy: DetectorPolicy, before: int = 0) -> list[WindowLength]:
    """Windows of every length of the policy.

    Args:
        rows: some series.
        days: their days.
        policy: scales.
        before: rows of the series before these; where windows begin is counted over all.
    """
    return [_windows(rows, days, scale.intervals, before) for scale in policy.scales]


def _windows(rows: SeriesRows, days: Days, length: int, before: int) -> WindowLength:
    stride = stride_of(length)
    first = length - 1 + -before % stride
    windows = max(0, -(-(len(rows.series) - first) // stride))
    begin = np.clip(-(-(rows.bounds - first) // stride), 0, windows)
    own = np.flatnonzero(begin[1:] > begin[:-1])
    whole = np.clip(-(-(rows.bounds[:-1] + length - 1 - first) // stride), 0, begin[1:])
    crossing = np.maximum(whole - begin[:-1], 0)
    at = np.repeat(begin[:-1] - (np.cumsum(crossing) - crossing), crossing) + np.arange(int(crossing.sum()))
    of_days = np.append(np.clip(-(-(days.first - first) // stride), 0, windows), windows)
    seen = np.flatnonzero(of_days[1:] > of_days[:-1])
    return WindowLength(
        intervals=length,
        stride=stride,
        first=first,
        crossing=at,
        own=own,
        begin=begin[own],
        number=np.diff(begin) - crossing,
        days=of_days[seen],
        day_series=days.series[seen],
        day=days.day[seen] - (int(days.day.min()) if len(days.day) else 0),
    )


def straying_means(windows: Sequence[WindowLength], residual: Floats, weight: Floats, limit: Floats) -> StrayingMeans:
    """Find how far means of windows strayed.

    The root of the second moment of standardised means, or of the fourth of those above 0 where the tail is heavy,
    holds for autocorrelated, skewed and bimodal costs alike.

    Args:
        windows: see `window_lengths`.
        residual: float64 [rows], 0 where the weight is 0.
        weight: float64 [rows], one over the variance of each row.
        limit: float64 [rows], beyond which a row counts no more for the moments.
    """
    series = len(windows[0].number)
    second, highest = np.zeros((series, len(windows))), np.zeros((series, len(windows)))
    weights = _from_start(weight)
    clipped = _from_start(weight * np.clip(residual, -limit, limit))
    plain = _from_start(weight * np.clip(residual, -_CUT, _CUT))
    for number, window in enumerate(windows):
        if not len(window.own):
            continue
        # Where nothing is known in a window, both sums are the same, and the mean is 0.
        root = np.maximum(window.differences(weights), 1e-12)
        np.sqrt(root, out=root)
        np.divide(1.0, root, out=root)
        root[window.crossing] = 0.0
        means = window.differences(clipped)
        means *= root
        second[:, number] = _second_moment(window, means)
        root *= window.differences(plain)
        highest[:, number] = _second_highest(window, root)
    return StrayingMeans(np.stack([window.number for window in windows], axis=1), second, highest)


def inflation_of(parts: Sequence[StrayingMeans], policy: DetectorPolicy) -> Floats:
    """Inflation of each window length, see `Normal`: drawn towards that of the fleet where there are few windows.

    Args:
        parts: means of all series.
        policy: scales.

    Returns:
        float64 [series, scales].
    """
    number, second = np.concatenate([one.number for one in parts]), np.concatenate([one.second for one in parts])
    found = np.empty(second.shape)
    for column, scale in enumerate(policy.scales):
        own, windows = second[:, column], number[:, column]
        many = windows > _FLEET_WINDOWS
        fleet = max(float(np.median(own[many])), 1.0) if many.any() else 1.0
        independent = windows * stride_of(scale.intervals) / scale.intervals
        both = (independent * own + _FLEET_SAMPLES * fleet) / (independent + _FLEET_SAMPLES)
        found[:, column] = np.where(windows > 0, np.sqrt(np.maximum(both, 1.0)), np.nan)
    return found


def stride_of(length: int) -> int:
    """Distance of one window to the next."""
    return max(1, length // _STRIDES)


def _from_start(values: Floats) -> Floats:
    sums = np.empty(len(values) + 1)
    sums[0] = 0.0
    np.cumsum(values, out=sums[1:])
    return sums


def _second_moment(window: WindowLength, means: Floats) -> Floats:
    number = np.maximum(window.number, 1)
    above = np.maximum(means, 0.0)
    above *= means
    above *= above
    second = window.sums(means * means) / number
    fourth = window.sums(above) * (2 / 3) / number
    return np.maximum(second, np.sqrt(fourth))


def _second_highest(window: WindowLength, means: Floats) -> Floats:
    """Second largest daily maximum, 0 with fewer than two days: a single bad day sets no standard."""
    of_days = np.zeros((len(window.number), int(window.day.max(initial=0)) + 2))
    of_days[window.day_series, window.day] = np.maximum.reduceat(means, window.days)
    second: Floats = np.maximum(np.partition(of_days, -2, axis=1)[:, -2], 0.0)
    return second
