"""Figures of single intervals that learning needs night after night: found once, in single precision."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats

Singles = NDArray[np.float32]
"""Seven digits are more than any cost is known by, and twice as much fits into the cache of a processor."""

Reals = NDArray[np.floating[Any]]

EXECUTIONS, FEWNESS, LOAD = "executions", "fewness", "load"
"""Executions, one over them, and -1 over their square root."""

TRIM_FROM = 5
"""From so many executions on the largest of an interval is left out of its cost; below it is part of it."""

_MOST_EXECUTIONS = 50.0
_LARGEST_ROW = 25.0
_ROWS = 16_000

_ABOVE_OTHERS = 4.0
"""An execution is far above the others of its interval that costs more than so many times their mean."""


def told(metric: str) -> str:
    """Name of how much an interval tells of single executions, in executions; 0 where it tells nothing."""
    return f"{metric} told"


def told_variance(metric: str) -> str:
    """Name of that times the variance over the squared mean of its executions, the largest of them left out."""
    return f"{metric} told variance"


def far(metric: str) -> str:
    """Name of ln(largest execution / mean of the others); -inf where it is not far above them, 0 where it is alone."""
    return f"{metric} far"


class RowFigures(Mapping[str, Singles]):
    """The figures by name, each found when it is asked for first: float32 [rows].

    Names are `EXECUTIONS`, `FEWNESS`, `LOAD`, those of the views (ln of the cost; NaN unknown), and what `told`,
    `told_variance` and `far` give.

    Args:
        sums: of the rows, by column name.
        log_cost: of the rows, by view.
        metrics: names of costs.
    """

    def __init__(self, sums: Mapping[str, Floats], log_cost: Mapping[str, Floats], metrics: tuple[str, ...]) -> None:
        self._sums, self._log_cost = sums, log_cost
        of_metrics = (name(metric) for metric in metrics for name in (told, told_variance, far))
        self._names = (EXECUTIONS, FEWNESS, LOAD, *log_cost, *of_metrics)
        self._metrics = metrics
        self._found: dict[str, Singles] = {}

    def __getitem__(self, name: str) -> Singles:
        if name not in self._found:
            self._find(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _find(self, name: str) -> None:
        executions = self._sums["execution_count"]
        if name in self._log_cost:
            self._found[name] = self._log_cost[name].astype(np.float32)
        elif name == EXECUTIONS:
            self._found[name] = executions.astype(np.float32)
        elif name == FEWNESS:
            self._found[name] = np.float32(1.0) / self[EXECUTIONS]
        elif name == LOAD:
            self._found[name] = -np.sqrt(self[FEWNESS])
        else:
            metric = next(one for one in self._metrics if name in (told(one), told_variance(one), far(one)))
            if name == far(metric):
                self._found[name] = self._far(metric)
                return
            found = np.zeros(len(executions), np.float32), np.zeros(len(executions), np.float32)
            self._found[told(metric)], self._found[told_variance(metric)] = found
            for first in range(0, len(executions), _ROWS):
                part = slice(first, first + _ROWS)
                found[0][part], found[1][part] = self._single_executions(metric, part)

    def _single_executions(self, metric: str, part: slice) -> tuple[Floats, Floats]:
        executions, total = self._sums["execution_count"][part], self._sums[metric][part]
        squares, largest = self._sums[f"{metric}_sumsq"][part], self._sums[f"{metric}_max"][part]
        if np.isnan(squares).all():
            return np.zeros(len(squares)), np.zeros(len(squares))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            trims = (executions >= TRIM_FROM) & ~np.isnan(largest)
            dearest = np.where(trims, np.minimum(largest, total), 0.0)
            rest = total - dearest
            others = executions - trims
            relative = np.maximum((squares - dearest * dearest) * others / (rest * rest) - 1.0, 0.0)
        known = np.isfinite(relative) & (executions >= 2)
        weight = np.minimum(executions, _MOST_EXECUTIONS) * known
        return weight, weight * np.minimum(np.where(known, relative, 0.0), _LARGEST_ROW)

    def _far(self, metric: str) -> Singles:
        lines = [self._sums[name] for name in ("execution_count", metric, f"{metric}_max")]
        found = np.full(len(lines[0]), -np.inf, np.float32)
        for first in range(0, len(found), _ROWS):
            part = slice(first, first + _ROWS)
            executions, total, largest = (line[part] for line in lines)
            others, line = total - largest, found[part]
            with np.errstate(invalid="ignore"):
                row = np.flatnonzero((largest * (executions - 1) > _ABOVE_OTHERS * others) & (others > 0))
            line[row] = np.log(largest[row] * (executions[row] - 1) / others[row])
            line[(executions == 1) & (total > 0)] = 0.0
        return found
