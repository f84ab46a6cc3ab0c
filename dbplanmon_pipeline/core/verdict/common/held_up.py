"""Statements of an instance that wait longer than usual at the same time: for a disk, a log, a neighbour.

Whom a disturbance reaches is not known beforehand. But how long a statement waits for each second it computes is known
very well, and strangers seldom begin to wait for longer at the same moment.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.common.common_mode import CommonMode, TickGrid
from dbplanmon_pipeline.core.verdict.normal.tails import LEVELS
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows

_LONGER = math.log(1.15)
_FAR, _SELDOM = 2.5, 0.03
"""A statement waits longer from such a ratio on and from so many typical distances from its normal: few by chance."""

_HIGH, _OFTEN = 1.5, 0.08
"""The same where many are to be a little higher; and the share that is so by chance."""

_SCORE, _SURE = 3.0, 4.5
"""By how many standard deviations the number of those that wait longer must be above chance; and to be told of."""

_ALIKE = 1.0
"""What is shared lies within so much of its median."""

_WAITS = math.log(1.1)
"""A statement waits at all whose elapsed time is as a rule so much more than its CPU time; only these are asked."""

_BEYOND = 0.7
"""What a statement waits beyond the median counts as shared up to so much more: they are not all hit alike."""


@dataclass(frozen=True)
class HeldUp:
    """Ticks in which several statements of an instance waited longer at once.

    Attributes:
        grid: of the instances.
        level: float64 [instances, ticks], median of the logarithms of what they waited longer; 0 where they did not.
        beyond: float64 [instances, ticks], the same beyond what is common to single databases; only where it is sure.
        at_rows: float64 [rows], what each row waited longer because others did as well, natural logarithm.
    """

    grid: TickGrid
    level: Floats
    beyond: Floats
    at_rows: Floats

    def mode(self) -> CommonMode:
        """The same as a common mode, in which statements that were not held up have a group of their own, the last."""
        grid, nobody = self.grid, np.zeros((1, self.grid.width))
        cell = np.where(self.at_rows > 0, grid.cell, grid.groups * grid.width)
        spoke = np.vstack([grid.statements, nobody.astype(np.int64)])
        level = np.vstack([self.beyond, nobody])
        return CommonMode(TickGrid(grid.width, grid.groups + 1, grid.tick, cell, grid.speaks, spoke), level, level > 0)


@dataclass(frozen=True)
class Waits:
    """How much longer than usual rows waited, ln of elapsed over CPU time above normal; NaN unknown.

    Attributes:
        of_instance: float [rows], without what is common to their instance.
        rest: float [rows], without what is common to their database either.
        usual: float64 [series], ln of elapsed over CPU time while all is well; NaN unknown.
        scale: float64 [series], typical distance of it from normal; NaN unknown.
        far: float64 [series], from where on it is hardly chance.
        unsteady: float64 [rows], variance of the hour beyond the usual; None where no hour has any. What begins at
            another minute every night holds many up at once, which is nothing to be told of.
    """

    of_instance: Reals
    rest: Reals
    usual: Floats
    scale: Floats
    far: Floats
    unsteady: Floats | None = None


def seldom(scale: Floats, variance: Floats | None = None, tail: Floats | None = None) -> Floats:
    """From where on it is more than chance that a statement waits longer, natural logarithm [series].

    Args:
        scale: float64 [series], typical distance from normal; NaN unknown.
        variance: float64 [series], of an interval.
        tail: float64 [series, levels], how rarely intervals lie how far above normal; see `tails.py`.
    """
    if variance is None or tail is None:
        far: Floats = _FAR * scale
        return far
    rare = tail >= -math.log(_SELDOM)
    level = np.where(rare.any(axis=1), np.array(LEVELS)[np.argmax(rare, axis=1)], np.inf)
    found: Floats = np.maximum(_FAR * scale, level * np.sqrt(variance))
    return found


def held_up_by(grid: TickGrid, level: Floats, beyond: Floats, rest: Reals) -> HeldUp:
    """Who was held up at ticks that are known.

    Args:
        grid: of the instances.
        level: see `HeldUp`.
        beyond: see `HeldUp`.
        rest: see `Waits`.
    """
    at_rows, most = np.zeros(len(rest)), level.ravel()[grid.cell] if level.any() else np.zeros(0)
    inside = np.flatnonzero(most)
    at_rows[inside] = np.clip(np.nan_to_num(rest[inside]), 0.0, most[inside] + _BEYOND)
    return HeldUp(grid, level, beyond, at_rows)


def held_up(
    rows: SeriesRows, grid: TickGrid, waits: Waits, policy: DetectorPolicy, heard: NDArray[np.bool_] | None = None
) -> HeldUp:
    """Find who was held up.

    Args:
        rows: the series.
        grid: of the instances.
        waits: of the rows.
        policy: thresholds.
        heard: bool [rows], which may speak at all; None: all.
    """
    limits = ((np.maximum(_LONGER, waits.far), _SELDOM), (np.maximum(_LONGER, _HIGH * waits.scale), _OFTEN))
    with np.errstate(invalid="ignore"):
        speaks = grid.speaks & rows.spread(waits.usual > _WAITS)
    if heard is not None:
        speaks &= heard
    asked: Floats = np.bincount(grid.cell, speaks, minlength=grid.groups * grid.width).astype(np.float64)
    level = beyond = np.zeros((grid.groups, grid.width))
    for rest in (waits.rest,) if waits.rest is waits.of_instance else (waits.rest, waits.of_instance):
        with np.errstate(invalid="ignore"):
            longer = np.flatnonzero(rest > _LONGER)
        longer = longer[speaks[longer]]
        for limit, share in limits:
            with np.errstate(invalid="ignore"):
                high = longer[rest[longer] > limit[rows.series[longer]]]
            level = np.maximum(level, _levels(grid, high, rest[high], share * asked, _SCORE, policy))
            if rest is waits.rest:
                sure = high if waits.unsteady is None else high[rest[high] > _FAR * np.sqrt(waits.unsteady[high])]
                beyond = np.maximum(beyond, _levels(grid, sure, rest[sure], share * asked, _SURE, policy))
    return held_up_by(grid, level, beyond, waits.rest)


def _levels(grid: TickGrid, longer: Longs, rest: Reals, chance: Floats, score: float, policy: DetectorPolicy) -> Floats:
    """Median of those that waited longer, in cells in which they are too many for chance [instances, ticks].

    Too many are `score` standard deviations more than `chance` gives.
    """
    level = np.zeros(grid.groups * grid.width)
    if len(longer):
        cell, place, median = _medians(grid.cell[longer], rest)
        alike = np.bincount(place, np.abs(rest - median[place]) < _ALIKE, minlength=len(cell))
        least = chance[cell] + score * np.sqrt(chance[cell])
        enough = alike >= np.maximum(policy.common_mode_few, least)
        level[cell[enough]] = median[enough]
    return level.reshape(grid.groups, -1)


def _medians(cell: Longs, values: Reals) -> tuple[Longs, Longs, Floats]:
    """Cells with any values, rising, the place of each value among them, and their medians."""
    cells, place = np.unique(cell, return_inverse=True)
    ordered = values[np.lexsort((values, place))]
    last = np.cumsum(np.bincount(place)) - 1
    first = np.append(0, last[:-1] + 1)
    return cells, place.astype(np.int64), (ordered[(first + last) // 2] + ordered[(first + last + 1) // 2]) / 2
