"""How far means over windows stray while all is well: the yardstick every statement brings along itself."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows

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
        rows: of all series.
        first: last row of the first window.
        crossing: int64 [m], windows that do not lie within one series.
        own: int64 [k], series with a window, and the first of each in `begin`: int64 [k].
        number: int64 [series], windows within each series.
        days: int64 [groups], first window of each run of one series and day; `day_series` / `day`: int64 [groups].
    """

    intervals: int
    stride: int
    rows: int
    first: int
    crossing: Longs
    own: Longs
    begin: Longs
    number: Longs
    days: Longs
    day_series: Longs
    day: Longs

    @property
    def windows(self) -> slice:
        """First row of each window."""
        return slice(self.first + 1 - self.intervals, self.rows + 1 - self.intervals, self.stride)

    def sums(self, values: Reals) -> Floats:
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
        rows=len(rows.series),
        first=first,
        crossing=at,
        own=own,
        begin=begin[own],
        number=np.diff(begin) - crossing,
        days=of_days[seen],
        day_series=days.series[seen],
        day=days.day[seen] - (int(days.day.min()) if len(days.day) else 0),
    )


def straying_means(windows: Sequence[WindowLength], residual: Reals, weight: Reals, limit: Reals) -> StrayingMeans:
    """Find how far means of windows strayed.

    The root of the second moment of standardised means, or of the fourth of those above 0 where the tail is heavy,
    holds for autocorrelated, skewed and bimodal costs alike.

    Args:
        windows: see `window_lengths`.
        residual: float32 or float64 [rows], 0 where the weight is 0.
        weight: the same [rows], one over the variance of each row.
        limit: the same [rows], beyond which a row counts no more for the moments.
    """
    series = len(windows[0].number)
    second, highest = np.zeros((series, len(windows))), np.zeros((series, len(windows)))
    clipped: Reals = np.minimum(residual, limit)
    np.maximum(clipped, -limit, out=clipped)
    clipped *= weight
    plain: Reals = np.clip(residual, -_CUT, _CUT)
    plain *= weight
    lines = [_sums_of_windows(line, windows) for line in (weight, clipped, plain)]
    for number, (window, of_weight, of_clipped, of_plain) in enumerate(zip(windows, *lines, strict=True)):
        if not len(window.own):
            continue
        # Where nothing is known in a window, all sums are the same, and the mean is 0.
        np.maximum(of_weight, 1e-12, out=of_weight)
        of_clipped[window.crossing] = 0.0
        second[:, number] = _second_moment(window, of_clipped, of_weight)
        of_plain[window.crossing] = 0.0
        highest[:, number] = _second_highest(window, of_plain, of_weight)
    return StrayingMeans(np.stack([window.number for window in windows], axis=1), second, highest)


def all_means(parts: Sequence[StrayingMeans]) -> StrayingMeans:
    """Those of all parts, in that order."""
    columns = zip(*((part.number, part.second, part.highest) for part in parts), strict=True)
    return StrayingMeans(*(np.concatenate(column) for column in columns))


def nothing_strayed(series: int, scales: int) -> StrayingMeans:
    """No windows at all."""
    return StrayingMeans(np.zeros((series, scales), np.int64), *np.zeros((2, series, scales)))


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


def _sums_of_windows(line: Reals, windows: Sequence[WindowLength]) -> Iterator[Reals]:
    """Sums of the windows of each length.

    Those that begin at every row are added up from shorter ones. The others begin where some multiple of rows has
    passed and end there as well, so sums from the start are needed for such multiples only.
    """
    few = [window for window in windows if window.stride > 1]
    step = math.gcd(*(number for window in few for number in (window.stride, window.intervals)))
    start = min((window.windows.start % step for window in few), default=0)
    known = {1: line}
    from_start: Floats | None = None
    for window in windows:
        if window.stride > 1:
            if from_start is None:
                length = max(length for length in known if step % length == 0)
                from_start = _from_start(known[length][start:], len(line) - start, length, step)
            yield _differences(from_start, window, start, step)
        else:
            known[window.intervals] = _added_up(known, window.intervals, len(line))
            # The caller may alter what it gets.
            yield known[window.intervals].copy()


def _added_up(known: dict[int, Reals], length: int, rows: int) -> Reals:
    """Sums over each row and those that follow it, so many in all, from known sums over fewer."""
    part = max(fewer for fewer in known if length % fewer == 0)
    whole, sums = max(rows + 1 - length, 0), known[part]
    if part == length:
        return sums
    longer: Reals = sums[:whole] + sums[part:][:whole]
    for first in range(2 * part, length, part):
        longer += sums[first:][:whole]
    return longer


def _differences(from_start: Floats, window: WindowLength, start: int, step: int) -> Floats:
    first, distance, length = (window.windows.start - start) // step, window.stride // step, window.intervals // step
    ends = from_start[first + length :: distance]
    found: Floats = ends - from_start[first::distance][: len(ends)]
    return found


def _from_start(sums: Reals, rows: int, length: int, step: int) -> Floats:
    """Sums of all rows before every `step` of them, from sums over each row and those that follow, `length` in all."""
    cells = rows // step
    found = np.zeros(cells + 1)
    for number in range(0, step, length):
        found[1:] += sums[number::step][:cells]
    return np.cumsum(found, out=found)


def _second_moment(window: WindowLength, sums: Reals, weight: Reals) -> Floats:
    number = np.maximum(window.number, 1)
    square = sums * sums
    square /= weight
    second = window.sums(square) / number
    square *= sums > 0
    square *= square
    fourth = window.sums(square) * (2 / 3) / number
    return np.maximum(second, np.sqrt(fourth))


def _second_highest(window: WindowLength, sums: Reals, weight: Reals) -> Floats:
    """Second largest daily maximum, 0 with fewer than two days: a single bad day sets no standard."""
    of_days = np.zeros((len(window.number), int(window.day.max(initial=0)) + 2))
    square = np.maximum(sums, 0.0)
    square *= square
    square /= weight
    of_days[window.day_series, window.day] = np.maximum.reduceat(square, window.days)
    second: Floats = np.sqrt(np.partition(of_days, -2, axis=1)[:, -2])
    return second
