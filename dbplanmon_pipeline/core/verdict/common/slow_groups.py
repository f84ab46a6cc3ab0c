"""Instances or databases that are slow as a whole, unless a few statements of theirs are the cause."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.common.common_mode import CommonMode
from dbplanmon_pipeline.core.verdict.comparison import Comparison
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.calendar import HOURS_OF_PART

METRIC = "elapsed_time_us"
_LAST_TICKS = 3
_SLOW_TICKS = 2
_LONG_TICKS = 6
"""Where many statements tell of so many ticks at once, one interval that is slow is enough."""

_HABIT = 2.5
"""In typical distances of what is common at an hour that is unsteady on most days."""

_LONG_BEFORE = (3, 9)
_MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class SlowGroup:
    """A group that is slow at a moment.

    Attributes:
        group: its number.
        ratio: the common factor of its statements.
        extra_seconds_per_hour: what that costs.
        rose / spoke: how many statements rose, of those that ran often enough in the last slow tick.
        began_at: start of the first bad interval, aware UTC.
    """

    group: int
    ratio: float
    extra_seconds_per_hour: float
    rose: int
    spoke: int
    began_at: datetime


@dataclass(frozen=True)
class _Moment:
    """A group at a moment: the slow ticks of the run that leads to it."""

    group: int
    tick: int
    as_of_us: int
    run: Longs


class SlowGroups:
    """Finds slow groups at any tick.

    Args:
        comparison: recent rows against their normal.
        mode: what the groups have in common, in elapsed time.
        before: float64 [rows], what is common to more than the group and no matter of its own.
        statements: how many must have run in a tick.
        policy: thresholds.
    """

    def __init__(
        self, comparison: Comparison, mode: CommonMode, before: Floats, statements: int, policy: DetectorPolicy
    ) -> None:
        self._comparison, self._before, self._policy, self._mode = comparison, before, policy, mode
        self._spoke = mode.grid.statements >= statements
        self._slow = mode.supported & (mode.log_ratio > np.log(policy.common_mode_ratio)) & self._spoke
        self._slow &= self._beyond_habit()
        self._rows = np.flatnonzero(self._slow.ravel()[mode.grid.cell])
        self._rows = self._rows[np.argsort(mode.grid.cell[self._rows], kind="stable")]
        self._cells = mode.grid.cell[self._rows]
        self._slow_ticks = frozenset(np.flatnonzero(self._slow.any(axis=0)).tolist())
        self._ticks = self._ticks_told()
        many = mode.grid.statements >= policy.common_mode_statements
        self._long = many & (self._ticks >= _LONG_TICKS)

    def at(self, tick: int, as_of_us: int) -> Iterator[SlowGroup]:
        """Groups slow in the last tick and in at least two of the last three in which enough statements ran.

        An engine that flushes once an hour tells of twelve ticks at once; one such tick is enough.

        Statements far above normal that cost more than the common rise of all the rest, and have not done so for
        long, are taken for its cause: they slow their neighbours down, and incidents of their own say so.

        Args:
            tick: number of the tick.
            as_of_us: its moment [epoch microseconds].
        """
        if self._slow_ticks.isdisjoint((tick - 1, tick)):
            return
        recent = slice(max(tick - 1, 0), tick + 1)
        for group in np.flatnonzero(self._slow[:, recent].any(axis=1)).tolist():
            first = max(0, tick + 1 - self._policy.lookback_intervals)
            ticks = first + np.flatnonzero(self._spoke[group, first : tick + 1])
            last = ticks[-_LAST_TICKS:]
            if ticks[-1] < tick - 1 or not self._slow[group, ticks[-1]]:
                continue
            few = np.count_nonzero(self._slow[group, last]) < _SLOW_TICKS
            if few and not self._long[group, ticks[-1]]:
                continue
            moment = _Moment(group, tick, as_of_us, _trailing_run(self._slow[group], ticks))
            rows = self._rows_of(moment)
            extra_us = self._common_extra_us(rows)
            if self._culprits_extra_us(rows, moment) < extra_us:
                yield self._described(moment, rows, extra_us)

    def _beyond_habit(self) -> NDArray[np.bool_]:
        """False where what is common is about as much as it strays at that hour on most days [groups, ticks]."""
        unsteady, cell = self._comparison.learnt.unsteady_modes, self._mode.grid.cell
        if not unsteady.any():
            return np.ones(self._slow.shape, np.bool_)
        rows = self._comparison.rows
        asked = np.flatnonzero(self._slow.ravel()[cell])
        usual = np.sqrt(unsteady[rows.series[asked], rows.hour[asked] // HOURS_OF_PART])
        beyond = self._mode.log_ratio.ravel()[cell[asked]] > _HABIT * usual
        found: NDArray[np.bool_] = np.bincount(cell[asked], beyond, minlength=self._slow.size) > 0
        return found.reshape(self._slow.shape)

    def _ticks_told(self) -> Longs:
        """How many ticks slow rows tell of, those of the fewest [groups, ticks]; 0 where nothing is slow."""
        rows, step_us = self._comparison.rows, self._policy.step_us
        told = np.zeros(self._slow.size, np.int64)
        if len(self._rows):
            cell, first = np.unique(self._cells, return_index=True)
            spans = (rows.end_us[self._rows] - rows.start_us[self._rows] + step_us // 2) // step_us
            told[cell] = np.maximum(np.minimum.reduceat(spans, first), 1)
        return told.reshape(self._slow.shape)

    def _rows_of(self, moment: _Moment) -> Longs:
        """Rows of the last slow ticks."""
        cells = moment.group * self._mode.grid.width + moment.run[-_LAST_TICKS:]
        low, high = np.searchsorted(self._cells, cells), np.searchsorted(self._cells, cells, side="right")
        return np.concatenate([self._rows[begin:end] for begin, end in zip(low, high, strict=True)])

    def _common_extra_us(self, rows: Longs) -> float:
        """What the common rise alone costs over the rows [microseconds]."""
        normal = self._comparison.expected[METRIC][rows] + self._before[rows]
        normal_us = self._comparison.rows.executions[rows] * np.exp(normal)
        return float(np.nansum(normal_us * np.expm1(self._common(rows))))

    def _culprits_extra_us(self, rows: Longs, moment: _Moment) -> float:
        """What statements that got far above normal cost beyond the common rise over the rows [microseconds]."""
        costs = self._comparison.costs[METRIC]
        far = rows[self._far(rows)]
        series = self._comparison.rows.series[far]
        new = np.array([self._was_well(int(one), moment) for one in np.unique(series)], np.bool_)
        far = far[new[np.unique(series, return_inverse=True)[1]]] if len(far) else far
        return float((costs.observed_us[far] - costs.expected_us[far]).sum())

    def _was_well(self, series: int, moment: _Moment) -> bool:
        """False for a statement that was far above normal well before the common rise began."""
        bounds = self._comparison.rows.bounds
        own = slice(int(bounds[series]), int(bounds[series + 1]))
        begin = own.start + int(np.searchsorted(self._mode.grid.tick[own], moment.run[0]))
        before = np.arange(max(begin - _LONG_BEFORE[1], own.start), begin - _LONG_BEFORE[0])
        return not len(before) or bool(np.mean(self._far(before)) < _MOSTLY)

    def _far(self, rows: Longs) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):
            far: NDArray[np.bool_] = self._deviation(rows) - self._common(rows) > np.log(self._policy.culprit_ratio)
        return far

    def _common(self, rows: Longs) -> Floats:
        common: Floats = self._mode.log_ratio.ravel()[self._mode.grid.cell[rows]]
        return common

    def _deviation(self, rows: Longs) -> Floats:
        deviation: Floats = self._comparison.rows.log_cost[METRIC][rows] - self._comparison.expected[METRIC][rows]
        return deviation - self._before[rows]

    def _described(self, moment: _Moment, rows: Longs, extra_us: float) -> SlowGroup:
        policy, mode = self._policy, self._mode
        recent = moment.run[-_LAST_TICKS:]
        ticks = int(self._ticks[moment.group, recent].sum())
        first = int(moment.run[0]) - int(self._ticks[moment.group, moment.run[0]])
        newest = rows[mode.grid.tick[rows] == moment.run[-1]]
        newest = newest[mode.grid.speaks[newest]]
        with np.errstate(invalid="ignore"):
            rose = int(np.count_nonzero(self._deviation(newest) > self._common(newest) / 2))
        return SlowGroup(
            group=moment.group,
            ratio=float(np.exp(np.median(mode.log_ratio[moment.group, recent]))),
            extra_seconds_per_hour=extra_us / 1e6 / (ticks * policy.step_us / 3.6e9),
            rose=rose,
            spoke=int(mode.grid.statements[moment.group, moment.run[-1]]),
            began_at=from_epoch_us(moment.as_of_us - (moment.tick - first) * policy.step_us),
        )


def _trailing_run(slow: NDArray[np.bool_], ticks: Longs) -> Longs:
    """Slow ticks of the run that leads to the last one; single ticks may drop out of it."""
    state = slow[ticks]
    gaps = np.flatnonzero(~state[1:] & ~state[:-1]) + 2
    run = ticks[int(gaps[-1]) if len(gaps) else 0 :]
    return run[slow[run]]
