"""The intervals behind pools, where single ones are asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.verdict.rows.row_figures import TRIM_FROM, Singles, far
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows


@dataclass(frozen=True)
class FarIntervals:
    """Intervals with an execution far above the others, and those with a single one, in order.

    Attributes:
        bounds: int64 [all pools + 1], where those of each pool begin.
        row: int64 [m], number of the interval.
        above: float32 [m], ln(largest execution / mean of the others), 0 where it is alone.
        away: float32 [m], ln of the cost of the others, or of the one, over the mean of the pool.
    """

    bounds: Longs
    row: Longs
    above: Singles
    away: Singles

    def at(self, chosen: Longs) -> "FarIntervals":
        """Some of them."""
        return FarIntervals(self.bounds, self.row[chosen], self.above[chosen], self.away[chosen])


@dataclass(frozen=True)
class PoolRecord:
    """Intervals and the pools they were laid into.

    Attributes:
        rows: the intervals.
        first: int64 [all pools + 1], first interval of each pool, and their number.
        figures: float32 [all pools] by name.
    """

    rows: SeriesRows
    first: Longs
    figures: Mapping[str, Singles]
    _far: dict[str, FarIntervals] = field(default_factory=dict)

    def intervals(self, pools: Longs) -> tuple[Longs, Longs]:
        """Numbers of the intervals of some pools, and which of these pools each is in."""
        return _laid_out(self.first, pools)

    def where(self, pools: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """True for the intervals of pools for which it is true; given for all pools."""
        return np.repeat(pools, np.diff(self.first))

    def far(self, metric: str, pools: Longs) -> tuple[FarIntervals, Longs]:
        """Intervals of some pools with an execution that costs far more, and which of these pools each is in."""
        if metric not in self._far:
            self._far[metric] = _far_intervals(self, metric)
        every = self._far[metric]
        chosen, place = _laid_out(every.bounds, pools)
        return every.at(chosen), place


def _laid_out(bounds: Longs, groups: Longs) -> tuple[Longs, Longs]:
    """Members of some groups that lie between bounds, and which of these groups each is in."""
    begin = bounds[groups]
    length = bounds[groups + 1] - begin
    before = np.cumsum(length) - length
    return np.repeat(begin - before, length) + np.arange(int(length.sum())), np.repeat(np.arange(len(groups)), length)


def _far_intervals(record: PoolRecord, metric: str) -> FarIntervals:
    rows = record.rows
    line = rows.figures[far(metric)]
    row = np.flatnonzero(line > -np.inf)
    pool = np.repeat(np.arange(len(record.first) - 1), np.diff(record.first))[row]
    executions, above = rows.executions[row], line[row]
    away = (rows.figures[metric][row] - record.figures[metric][pool]).astype(np.float64)
    whole = np.flatnonzero(executions < TRIM_FROM)
    away[whole] -= np.log((executions[whole] - 1 + np.exp(above[whole])) / executions[whole])
    bounds = np.searchsorted(row, record.first)
    return FarIntervals(bounds, row, above, away.astype(np.float32))
