"""What the statements of one instance have in common at each tick: a slow disk moves all of them, a plan only one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows

_CUTS = (2.0, 0.6, 0.25, 0.1)
"""How far a statement may pull, round by round."""

_OTHERS = 1.0
"""In the last round a statement this far from the rest does not pull at all: it has a fate of its own."""

_ASKED, _APART = 0.2, 0.15
"""A common mode this far from nothing is looked at again, and so far from the median it lies between two camps."""

_ROWS = 32_000
"""Rows worked on at once."""

_SURE = 0.05
_MOST = 100.0
_ERROR = 1.25 * 1.2533


@dataclass(frozen=True)
class TickGrid:
    """Rows on a grid of groups and ticks.

    Attributes:
        width: ticks.
        groups: how many groups there are.
        tick: int64 [rows].
        cell: int64 [rows], index of each row into the raveled grid.
        speaks: bool [rows], enough executions to be heard.
        statements: int64 [groups, ticks], how many speak.
    """

    width: int
    groups: int
    tick: Longs
    cell: Longs
    speaks: NDArray[np.bool_]
    statements: Longs


@dataclass(frozen=True)
class CommonMode:
    """The common mode of one view.

    Attributes:
        grid: where it is known.
        log_ratio: float64 [groups, ticks], robust mean of ln(cost / normal), surer statements weighing more; cut
            off where few ran, 0 where too few did.
        supported: bool [groups, ticks], most statements rose, and by more than chance would have it.
    """

    grid: TickGrid
    log_ratio: Floats
    supported: NDArray[np.bool_]

    def at_rows(self) -> Floats:
        """The common mode at each row [rows]."""
        found: Floats = self.log_ratio.ravel()[self.grid.cell]
        return found


def tick_grid(
    rows: SeriesRows,
    group: Longs,
    tick: Longs,
    policy: DetectorPolicy,
    heard: NDArray[np.bool_] | None = None,
    of_parts: bool = False,
) -> TickGrid:
    """Lay rows on a grid.

    Args:
        rows: the series.
        group: int64 [series], group of each, from 0.
        tick: int64 [rows], from 0.
        policy: thresholds.
        heard: bool [rows], which may speak at all; None: all.
        of_parts: groups are small; where too few speak, those that ran too seldom to be heard speak as well.
    """
    width = int(tick.max(initial=0)) + 1
    groups = int(group.max(initial=-1)) + 1
    cell = np.repeat(group * width, rows.counts) + tick
    speaks = rows.executions >= policy.common_mode_executions
    if heard is not None:
        speaks &= heard
    statements = np.bincount(cell, speaks, minlength=groups * width)
    if of_parts:
        few = (statements < policy.common_mode_few)[cell]
        speaks |= few if heard is None else few & heard
        statements = np.bincount(cell, speaks, minlength=groups * width)
    statements = statements.astype(np.int64)
    return TickGrid(width, groups, tick, cell, speaks, statements.reshape(groups, width))


def common_mode(
    rows: SeriesRows,
    grid: TickGrid,
    deviation: Reals,
    scale: Floats,
    policy: DetectorPolicy,
    few: tuple[int, float] | None = None,
    ask_support: bool = True,
) -> CommonMode:
    """Find the common mode of every group and tick.

    Args:
        rows: the series.
        grid: where they lie.
        deviation: float64 or float32 [rows], ln(cost / normal); NaN where there is no normal.
        scale: float64 [series], typical distance of an interval from its normal; NaN unknown.
        policy: thresholds.
        few: from how many statements on, and up to what factor, a handful is believed; None: those of the policy.
        ask_support: find `CommonMode.supported` as well.
    """
    cells = grid.groups * grid.width
    sure = 1.0 / np.maximum(scale * scale + _SURE * _SURE, 1.0 / _MOST)
    weight = rows.spread(np.where(np.isnan(sure), 0.0, sure)) * grid.speaks
    unknown = np.isnan(deviation)
    known = deviation
    if unknown.any():
        weight[unknown] = 0.0
        known = np.where(unknown, deviation.dtype.type(0.0), deviation)
    parts = _parts(rows, grid, known, weight)
    total = np.maximum(np.bincount(grid.cell, weight, minlength=cells), 1e-12)
    mode = np.zeros(cells)
    for cut in _CUTS:
        mode += _pulls(parts, mode, cut)[0] / total
    heard = weight > 0
    mode = _in_the_majority(mode, grid, known, heard)
    pull, left = _pulls(parts, mode, _CUTS[-1], _OTHERS)
    mode = mode + pull / np.maximum(left, 1e-12)
    spoke = grid.statements.ravel()
    mode = _believed(mode, spoke, policy, few or (policy.common_mode_few, policy.common_mode_few_ratio))
    supported = _supported(grid, known, heard, mode, policy) if ask_support else np.zeros(cells, np.bool_)
    shape = (grid.groups, grid.width)
    return CommonMode(grid, mode.reshape(shape), supported.reshape(shape))


@dataclass(frozen=True)
class _Part:
    """Some rows.

    Attributes:
        cells: part of the raveled grid in which they lie.
        cell: int64 [n], index of each row into that.
        known / weight: [n], its deviation, and how much it says.
    """

    cells: slice
    cell: Longs
    known: Reals
    weight: Reals


def _parts(rows: SeriesRows, grid: TickGrid, known: Reals, weight: Floats) -> list[_Part]:
    """All rows, some at a time, so that the work stays in the cache of a processor."""
    found = []
    for series in rows.parts(_ROWS):
        own = slice(int(rows.bounds[series.start]), int(rows.bounds[series.stop]))
        cell = grid.cell[own]
        if len(cell):
            first, last = int(cell.min()), int(cell.max())
            weights = weight[own].astype(known.dtype, copy=False)
            found.append(_Part(slice(first, last + 1), cell - first, known[own], weights))
    return found


def _pulls(parts: Sequence[_Part], mode: Floats, cut: float, others: float = np.inf) -> tuple[Floats, Floats]:
    """Weighted sum of what rows lie above the mode, cut off at `cut`, and of the weights; without rows at `others`."""
    pulled, left = np.zeros(len(mode)), np.zeros(len(mode))
    for part in parts:
        weight = part.weight
        rest = mode[part.cells].astype(part.known.dtype)[part.cell]
        np.subtract(part.known, rest, out=rest)
        if others < np.inf:
            weight = weight * (np.abs(rest) < others)
            left[part.cells] += np.bincount(part.cell, weight)
        np.clip(rest, -cut, cut, out=rest)
        rest *= weight
        pulled[part.cells] += np.bincount(part.cell, rest)
    return pulled, left


def _in_the_majority(mode: Floats, grid: TickGrid, deviation: Reals, heard: NDArray[np.bool_]) -> Floats:
    """Where statements fell into two camps, the mean lies between them; take the median there instead."""
    asked = np.abs(mode) > _ASKED
    if not asked.any():
        return mode
    rows = np.flatnonzero(asked[grid.cell] & heard)
    rows = rows[np.lexsort((deviation[rows], grid.cell[rows]))]
    cell = grid.cell[rows]
    first = np.flatnonzero(np.diff(cell, prepend=-1))
    last = np.append(first[1:], len(rows)) - 1
    middle = (deviation[rows[(first + last) // 2]] + deviation[rows[(first + last + 1) // 2]]) / 2
    apart = np.abs(mode[cell[first]] - middle) > _APART
    mode = mode.copy()
    mode[cell[first[apart]]] = middle[apart]
    return mode


def _supported(
    grid: TickGrid, deviation: Reals, heard: NDArray[np.bool_], mode: Floats, policy: DetectorPolicy
) -> NDArray[np.bool_]:
    """Asked only of cells that rose by so much that it matters."""
    supported: NDArray[np.bool_] = mode > np.log(policy.common_mode_least)
    rows = np.flatnonzero(supported[grid.cell] & heard)
    cell, own = grid.cell[rows], deviation[rows]
    spoke = np.maximum(np.bincount(cell, minlength=len(mode)), 1)
    rose = np.bincount(cell, own > mode[cell] / 2, minlength=len(mode))
    distance = np.bincount(cell, np.minimum(np.abs(own - mode[cell]), 1.0), minlength=len(mode)) / spoke
    supported &= rose >= policy.common_mode_support * spoke
    supported &= mode >= policy.common_mode_score * _ERROR * distance / np.sqrt(spoke)
    return supported


def _believed(mode: Floats, statements: Longs, policy: DetectorPolicy, handful: tuple[int, float]) -> Floats:
    """A handful of statements may be broken together, so what they have in common is believed only up to a factor."""
    least, limit = handful[0], np.log(handful[1])
    few = np.where(statements >= least, np.clip(mode, -limit, limit), 0.0)
    return np.where(statements >= policy.common_mode_statements, mode, few)
