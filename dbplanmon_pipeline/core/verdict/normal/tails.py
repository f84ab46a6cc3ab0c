"""How often single intervals of a statement lie how far above its normal: what several such in a row are worth."""

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.normal.levels import levels_passed
from dbplanmon_pipeline.core.verdict.rows.calendar import series_sums
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows
from dbplanmon_pipeline.core.verdict.rows.pooled_lines import INTERVALS, top
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals

LEVELS = (1.5, 2.5, 4.0, 6.0, 9.0, 14.0)
"""Distances above normal, in standard deviations of an interval, of which it is known how often they are exceeded."""

_MOST = 7.0
"""No interval is more surprising: one or two of them are never enough."""

_BELOW = ((-1.0, 0.1), (0.0, np.log(2.0)))
"""Distance and surprise of intervals that are not high."""

_FALL, _PRIOR = 1.2, 20.0
"""Before anything was seen, half of all intervals are taken to be high and that share to fall by so much per standard
deviation; that counts as much as so many intervals."""


def learn_tails(rows: PooledRows, view: str, rest: Reals, sure: Reals, calm: NDArray[np.bool_]) -> Floats:
    """Surprise of each of `LEVELS`, the negative logarithm of how often an interval lies above it [series, levels].

    Args:
        rows: the series.
        view: which.
        rest: float32 or float64 [pools], distance from normal, natural logarithm.
        sure: the same [pools], one over the variance of an interval.
        calm: bool [pools], where intervals of a pool lie apart for reasons of their own.
    """
    levels, root = np.array(LEVELS), np.sqrt(sure)
    pools = np.flatnonzero((rest + rows.figures[top(view)] * calm) * root > levels[0])
    interval, pool = rows.intervals(pools)
    away = rows.record.rows.figures[view][interval] - rows.figures[view][pool]
    standard = (rest[pool] + away * calm[pool]) * root[pool]
    high = np.flatnonzero(standard > levels[0])
    number = levels_passed(standard[high], LEVELS) - 1
    cell = rows.series[pool[high]] * len(levels) + number
    counts = np.bincount(cell, minlength=len(rows) * len(levels)).reshape(len(rows), len(levels))
    above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    before = _PRIOR * 0.5 * np.exp(-_FALL * levels)
    intervals = series_sums(rows.figures[INTERVALS], rows.bounds)
    share = (above + before) / (intervals[:, None] + _PRIOR)
    surprise: Floats = np.minimum(-np.log(share), _MOST)
    return surprise


def surprise_of(standard: Floats, tail: Floats) -> Floats:
    """Surprise of single intervals.

    Args:
        standard: float64 [n, m], distances from normal in standard deviations.
        tail: float64 [n, levels], of each line; see `learn_tails`.
    """
    at = np.array([place for place, _ in _BELOW] + list(LEVELS))
    known = np.broadcast_to(np.array([surprise for _, surprise in _BELOW]), (len(tail), len(_BELOW)))
    values = np.concatenate([known, tail], axis=1)
    place = np.clip(standard, at[0], at[-1])
    low = np.maximum(levels_passed(place, at) - 1, 0)
    share = (place - at[low]) / (at[low + 1] - at[low])
    line = np.arange(len(tail))[:, None]
    found: Floats = values[line, low] * (1 - share) + values[line, low + 1] * share
    return found


def log_chance(surprise: Floats, intervals: Longs) -> Floats:
    """Logarithm of how likely so many intervals together are so surprising by chance [n].

    The surprise of an interval that is like any other is exponential with mean 1, that of several a gamma variable.

    Args:
        surprise: float64 [n], summed over the intervals.
        intervals: int64 [n], at least 1.
    """
    term, total = np.ones(len(surprise)), np.ones(len(surprise))
    for number in range(1, int(intervals.max(initial=1))):
        term = term * surprise / number
        total += np.where(number < intervals, term, 0.0)
    found: Floats = np.log(total) - surprise
    return found
