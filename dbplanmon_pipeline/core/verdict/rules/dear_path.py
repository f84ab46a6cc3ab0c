"""The rule of dear executions: how many of the last intervals had one, and how many have as a rule."""

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.normal.dear import COST, LATEST, OFTEN, PER_EXECUTION, PER_INTERVAL
from dbplanmon_pipeline.core.verdict.rows.ticks import Points
from dbplanmon_pipeline.core.verdict.rows.windows import between, running_sums
from dbplanmon_pipeline.core.verdict.rules.scales import Finding, Judge

LEAST = 4
"""So many of the latest intervals must have a dear execution."""

_SCALES = ((LATEST, 1.5), (36, 1.35), (144, 1.2))
"""Intervals, and how much more the dear executions must make the statement cost."""

_LOG_ODDS = 16.0
"""Logarithm of the likelihood of so many dear intervals over that of as many as there are as a rule."""

_MORE_THAN_EVER = 2.0
_LATEST_OF_MEAN, _PARTS, _PART_OF_MEAN = 0.5, 3, 0.4


class DearSums:
    """Dear executions of a metric over windows.

    Args:
        judge: what is judged.
        metric: what executions cost.
    """

    def __init__(self, judge: Judge, metric: str) -> None:
        comparison, rows = judge.comparison, judge.rows
        dear, costs = comparison.dear[metric], comparison.costs[metric]
        self._judge, self._metric = judge, metric
        self._learnt = judge.learnt.views[metric].dear
        counted, extra_us = np.zeros(len(rows.series)), np.zeros(len(rows.series))
        counted[dear.row] = 1.0
        extra_us[dear.row] = costs.expected_us[dear.row] / rows.executions[dear.row] * np.expm1(dear.log_ratio)
        self._counted, self._extra_us = running_sums(counted), running_sums(extra_us)

    def may_fire(self, points: Points) -> NDArray[np.bool_]:
        """Where enough of the latest intervals had a dear execution [n]."""
        row = np.maximum(points.row, LATEST - 1)
        enough: NDArray[np.bool_] = self._count(row, LATEST) >= LEAST
        return enough & (points.row - LATEST + 1 >= points.oldest)

    def finding(self, points: Points) -> Finding:
        """Judge the last intervals of each point."""
        found = Finding(
            np.zeros(len(points.row), np.bool_),
            np.ones(len(points.row), np.int64),
            np.zeros(len(points.row)),
            np.ones(len(points.row)),
        )
        many = np.flatnonzero(self.may_fire(points))
        for intervals, ratio in _SCALES:
            at = many[(points.row[many] - intervals + 1 >= points.oldest[many]) & ~found.fired[many]]
            odds = self._log_odds(points.row[at], intervals, ratio)
            at, odds = at[odds >= _LOG_ODDS], odds[odds >= _LOG_ODDS]
            found.fired[at], found.intervals[at], found.score[at] = True, intervals, np.sqrt(2 * odds)
            found.spread[at] = 1 / np.sqrt(np.maximum(self._count(points.row[at], intervals), 1.0))
        return found

    def _count(self, row: Longs, intervals: int) -> Floats:
        return between(self._counted, row, np.full(len(row), intervals))

    def _log_odds(self, row: Longs, intervals: int, ratio: float) -> Floats:
        """See `_LOG_ODDS`; 0 where something else is missing."""
        learnt = self._learnt[self._judge.rows.series[row]]
        counted, latest = self._count(row, intervals), self._count(row, LATEST)
        passed = latest >= learnt[:, OFTEN] + _MORE_THAN_EVER
        passed &= latest >= _LATEST_OF_MEAN * counted * LATEST / intervals
        part = intervals // _PARTS
        for number in range(_PARTS):
            passed &= self._count(row - number * part, part) >= _PART_OF_MEAN * counted / _PARTS
        passed &= self._costs_enough(row, intervals, ratio, learnt[:, COST])
        executions = self._judge.rows.executions[row[:, None] - np.arange(intervals)]
        by_execution = -np.expm1(-learnt[:, [PER_EXECUTION]] * executions)
        usual = np.maximum(learnt[:, [PER_INTERVAL]], by_execution).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            odds = counted * np.log(counted / usual) - (counted - usual)
        return np.where(passed & (counted > usual), odds, 0.0)

    def _costs_enough(self, row: Longs, intervals: int, ratio: float, usual: Floats) -> NDArray[np.bool_]:
        length = np.full(len(row), intervals)
        expected = self._judge.costs[self._metric].expected_us(row, length)
        extra = between(self._extra_us, row, length) - usual * expected
        enough: NDArray[np.bool_] = extra >= (ratio - 1.0) * (1.0 + usual) * expected
        return enough & self._judge.costs_enough(self._metric, extra, row, length)
