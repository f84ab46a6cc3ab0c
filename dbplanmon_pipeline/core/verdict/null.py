"""How far means over windows stray while all is well: the yardstick every statement brings along itself."""

import numpy as np

from dbplanmon_pipeline.core.counters import Floats
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.series import SeriesRows
from dbplanmon_pipeline.core.verdict.sorted_groups import (
    blocks,
    last_rows,
    row_quantiles,
    row_spreads,
    sort_rows,
    take,
)

_TAIL = 0.99
_TAIL_SPREADS = 2.6
_TAIL_CAP = 3.0
_MIN_MEANS = 20
_WINDOWS_IN_HISTORY = 3
_STRIDE = 6
_UNSEEN = 30.0
"""A history of this many intervals has its spread widened by the root of two for the rare things it cannot show."""


def execution_weight(executions: Floats) -> Floats:
    """Weight of an interval in a mean: many executions tell more than few, but a thousand not much more than fifty."""
    return executions / (executions + 5.0)


def null_of_means(
    rows: SeriesRows, residual: Floats, median_log: Floats, variation: Floats, policy: DetectorPolicy
) -> tuple[Floats, Floats]:
    """Centre and spread of the weighted means of each window length over the history.

    The spread is a median absolute deviation widened to the 99th percentile where the tail is heavier than normal,
    and never below a floor that rises for tiny statements. It therefore holds for autocorrelated, skewed and
    bimodal costs alike. Windows that overlap almost wholly are left out. Intervals longer than the cadence, as an
    imported history has them, stray less than those that will be judged by them: what so few executions add is added.

    Args:
        rows: the series.
        residual: float64 [rows], ln(cost / normal) without the common mode; NaN unknown.
        median_log: float64 [series], ln of the normal cost [microseconds].
        variation: float64 [series], standard deviation over mean of single executions; NaN unknown.
        policy: scales and floors.

    Returns:
        centre and spread, each float64 [series, scales]; NaN where the history is too short for the window.
    """
    centre = np.full((len(rows), len(policy.scales)), np.nan)
    spread = np.full_like(centre, np.nan)
    counts = rows.counts
    known = ~np.isnan(residual)
    weight = np.where(known, execution_weight(rows.executions), 0.0)
    weighted = np.where(known, weight * residual, 0.0)
    floor = np.maximum(policy.spread_floor, np.log1p(policy.jitter_us * np.exp(-median_log)))
    chance = np.nan_to_num(variation) ** 2 * _thinning(rows, policy)
    for block in blocks(counts):
        width = max(1, int(counts[block[0]]))
        at = last_rows(rows.bounds[block], rows.bounds[block + 1], width)
        means = _RollingMeans(take(weighted, at, 0.0), take(weight, at, 0.0), width - counts[block])
        for number, scale in enumerate(policy.scales):
            windows = counts[block] - scale.intervals + 1
            if windows[0] < _MIN_MEANS:
                break
            middle, deviation = _centre_and_spread(means.of(scale.intervals, max(1, scale.intervals // _STRIDE)))
            deviation = np.sqrt(deviation**2 + chance[block] / scale.intervals)
            deviation = np.maximum(deviation, floor[block] / scale.intervals**0.25)
            enough = windows >= np.maximum(_MIN_MEANS, _WINDOWS_IN_HISTORY * scale.intervals)
            centre[block, number] = np.where(enough, middle, np.nan)
            uncertain = (1 + scale.intervals / np.maximum(windows, 1)) * np.sqrt(1 + _UNSEEN / counts[block])
            spread[block, number] = np.where(enough, deviation * uncertain, np.nan)
    return centre, spread


def _thinning(rows: SeriesRows, policy: DetectorPolicy) -> Floats:
    """What the mean of 1 / executions grows by when each interval is cut to the length of one step, per series."""
    executions = np.maximum(rows.executions, 1.0)
    share = np.minimum(policy.step_us / np.maximum(rows.end_us - rows.start_us, 1), 1.0)
    more = 1.0 / np.maximum(executions * share, 1.0) - 1.0 / executions
    return np.bincount(rows.series, more, minlength=len(rows)) / np.maximum(rows.counts, 1)


class _RollingMeans:
    """Weighted means of every window of a padded block; `empty` columns at the left of each row hold nothing."""

    def __init__(self, weighted: Floats, weight: Floats, empty: np.ndarray) -> None:
        zero = np.zeros((len(weight), 1))
        self._weighted = np.concatenate([zero, np.cumsum(weighted, axis=1)], axis=1)
        self._weight = np.concatenate([zero, np.cumsum(weight, axis=1)], axis=1)
        self._empty = empty

    def of(self, length: int, stride: int) -> Floats:
        """[rows, windows], every `stride`-th window counted from the newest; NaN where it is not full."""
        last = np.arange(self._weight.shape[1] - 1, length - 1, -stride)
        total = self._weight[:, last] - self._weight[:, last - length]
        full = (last - length >= self._empty[:, None]) & (total > 0)
        mean = (self._weighted[:, last] - self._weighted[:, last - length]) / np.where(full, total, 1.0)
        return np.where(full, mean, np.nan)


def _centre_and_spread(means: Floats) -> tuple[Floats, Floats]:
    ordered, counts = sort_rows(means)
    centre = row_quantiles(ordered, counts, 0.5)
    body = row_spreads(means, centre)
    tail = (row_quantiles(ordered, counts, _TAIL) - centre) / _TAIL_SPREADS
    return centre, np.maximum(body, np.minimum(tail, _TAIL_CAP * body))
