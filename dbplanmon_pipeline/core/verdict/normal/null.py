"""How far means over windows stray while all is well: the yardstick every statement brings along itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows
from dbplanmon_pipeline.core.verdict.rows.pooled_lines import INTERVALS
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals

_STRIDES = 4
_FLEET_SAMPLES = 4.0
"""What the fleet does counts as much as this many independent windows of the statement itself."""

_FLEET_WINDOWS = 20
_CUT = 3.0

_BETWEEN = 0.25
"""Windows are judged at every interval and learnt from at every pool: in between they reach higher, short ones more."""


@dataclass(frozen=True)
class WindowLength:
    """The windows of one length over some series, some of them left out as they overlap almost wholly.

    A window ends with a pool and is as many pools long as hold so many intervals.

    Attributes:
        intervals: the length.
        begins / ends: int64 [windows], first pool of each, and the one after its last.
        own: int64 [k], series with a window, and the first of each in `first`: int64 [k].
        number: int64 [series], windows of each series.
        independent: float64 [series], how many of them fit side by side.
        days: int64 [groups], first window of each run of one series and day; `day_series` / `day`: int64 [groups].
    """

    intervals: int
    begins: Longs
    ends: Longs
    own: Longs
    first: Longs
    number: Longs
    independent: Floats
    days: Longs
    day_series: Longs
    day: Longs

    def sums(self, values: Floats) -> Floats:
        """Sum over the windows of each series [series]."""
        found = np.zeros(len(self.number))
        if len(self.own):
            found[self.own] = np.add.reduceat(values, self.first)
        return found


@dataclass(frozen=True)
class StrayingMeans:
    """How far means of windows strayed, in standard deviations that independent intervals would have.

    Attributes:
        number: int64 [series, scales], how many windows there are.
        independent: float64 [series, scales], how many of them fit side by side.
        second: float64 [series, scales], second moment; or what the fourth of those above 0 tells, where larger.
        highest: float64 [series, scales], see `Normal`.
    """

    number: Longs
    independent: Floats
    second: Floats
    highest: Floats


def window_lengths(rows: PooledRows, day: Longs, policy: DetectorPolicy) -> list[WindowLength]:
    """Windows of every length of the policy.

    Args:
        rows: some series.
        day: int64 [pools], day of each.
        policy: scales.
    """
    length = rows.figures[INTERVALS].astype(np.int64)
    pool = np.repeat(np.arange(len(length)), length)
    until = np.cumsum(length)
    before = np.append(0, until)[rows.bounds[:-1]]
    seen = until - rows.spread(before)
    return [_windows(rows, day, (pool, until, seen), scale.intervals) for scale in policy.scales]


def _windows(rows: PooledRows, day: Longs, counts: tuple[Longs, Longs, Longs], length: int) -> WindowLength:
    """Windows of one length.

    Args:
        rows: some series.
        day: of each pool.
        counts: pool of each interval; intervals up to the end of each pool, of all series and of its own.
        length: in intervals.
    """
    pool, until, seen = counts
    stride = stride_of(length)
    full = seen >= length
    if stride > 1:
        number = seen // stride
        full[1:] &= (number[1:] != number[:-1]) | (rows.series[1:] != rows.series[:-1])
    last = np.flatnonzero(full)
    series, day = rows.series[last], day[last]
    new_series, new_day = np.ones(len(last), np.bool_), np.ones(len(last), np.bool_)
    new_series[1:] = series[1:] != series[:-1]
    new_day[1:] = new_series[1:] | (day[1:] != day[:-1])
    first, days = np.flatnonzero(new_series), np.flatnonzero(new_day)
    intervals = seen[rows.bounds[1:] - 1] if len(rows) else np.zeros(0, np.int64)
    return WindowLength(
        intervals=length,
        begins=pool[until[last] - length],
        ends=last + 1,
        own=series[first],
        first=first,
        number=np.bincount(series, minlength=len(rows)),
        independent=np.maximum(intervals - length + stride, 0) / length,
        days=days,
        day_series=series[days],
        day=day[days] - (int(day.min()) if len(day) else 0),
    )


def straying_means(windows: Sequence[WindowLength], residual: Reals, weight: Reals, limit: Reals) -> StrayingMeans:
    """Find how far means of windows strayed.

    The root of the second moment of standardised means, or of the fourth of those above 0 where the tail is heavy,
    holds for autocorrelated, skewed and bimodal costs alike.

    Args:
        windows: see `window_lengths`.
        residual: float32 or float64 [pools], 0 where the weight is 0.
        weight: the same [pools], one over the variance of each.
        limit: the same [pools], beyond which a pool counts no more for the moments.
    """
    series = len(windows[0].number)
    second, highest = np.zeros((series, len(windows))), np.zeros((series, len(windows)))
    clipped: Reals = np.minimum(residual, limit)
    np.maximum(clipped, -limit, out=clipped)
    clipped *= weight
    plain: Reals = np.clip(residual, -_CUT, _CUT)
    plain *= weight
    sums = [_from_start(line) for line in (weight, clipped, plain)]
    for number, window in enumerate(windows):
        if len(window.own):
            total, moment, height = (line[window.ends] - line[window.begins] for line in sums)
            # Where nothing is known in a window, all sums are the same, and the mean is 0.
            np.maximum(total, 1e-12, out=total)
            second[:, number] = _second_moment(window, moment, total)
            highest[:, number] = _second_highest(window, height, total) * (1.0 + _BETWEEN / window.intervals)
    return StrayingMeans(
        number=np.stack([window.number for window in windows], axis=1),
        independent=np.stack([window.independent for window in windows], axis=1),
        second=second,
        highest=highest,
    )


def all_means(parts: Sequence[StrayingMeans]) -> StrayingMeans:
    """Those of all parts, in that order."""
    columns = zip(*((part.number, part.independent, part.second, part.highest) for part in parts), strict=True)
    return StrayingMeans(*(np.concatenate(column) for column in columns))


def nothing_strayed(series: int, scales: int) -> StrayingMeans:
    """No windows at all."""
    return StrayingMeans(np.zeros((series, scales), np.int64), *np.zeros((3, series, scales)))


def inflation_of(parts: Sequence[StrayingMeans], policy: DetectorPolicy) -> Floats:
    """Inflation of each window length, see `Normal`: drawn towards that of the fleet where there are few windows.

    Args:
        parts: means of all series.
        policy: scales.

    Returns:
        float64 [series, scales].
    """
    every = all_means(parts)
    found = np.empty(every.second.shape)
    for column in range(len(policy.scales)):
        own, windows, independent = every.second[:, column], every.number[:, column], every.independent[:, column]
        many = windows > _FLEET_WINDOWS
        fleet = max(float(np.median(own[many])), 1.0) if many.any() else 1.0
        both = (independent * own + _FLEET_SAMPLES * fleet) / (independent + _FLEET_SAMPLES)
        found[:, column] = np.where(windows > 0, np.sqrt(np.maximum(both, 1.0)), np.nan)
    return found


def stride_of(length: int) -> int:
    """Distance of one window to the next."""
    return max(1, length // _STRIDES)


def _from_start(line: Reals) -> Floats:
    """Sum over all before each, and over all [pools + 1]."""
    found = np.zeros(len(line) + 1)
    np.cumsum(line, out=found[1:])
    return found


def _second_moment(window: WindowLength, sums: Floats, weight: Floats) -> Floats:
    number = np.maximum(window.number, 1)
    square = sums * sums
    square /= weight
    second = window.sums(square) / number
    square *= sums > 0
    square *= square
    fourth = window.sums(square) * (2 / 3) / number
    return np.maximum(second, np.sqrt(fourth))


def _second_highest(window: WindowLength, sums: Floats, weight: Floats) -> Floats:
    """Second largest daily maximum, 0 with fewer than two days: a single bad day sets no standard."""
    of_days = np.zeros((len(window.number), int(window.day.max(initial=0)) + 2))
    square = np.maximum(sums, 0.0)
    square *= square
    square /= weight
    of_days[window.day_series, window.day] = np.maximum.reduceat(square, window.days)
    second: Floats = np.sqrt(np.partition(of_days, -2, axis=1)[:, -2])
    return second
