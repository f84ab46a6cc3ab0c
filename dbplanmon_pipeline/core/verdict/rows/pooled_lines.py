"""Sums and figures of pooled intervals, each found once, when it is asked for first."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.rows.row_figures import (
    EXECUTIONS,
    FEWNESS,
    LOAD,
    Singles,
    told,
    told_variance,
)
from dbplanmon_pipeline.core.verdict.rows.series import METRICS, VIEWS, SeriesRows

Number = TypeVar("Number", np.float64, np.float32, np.int64)

INTERVALS, COVERED = "intervals", "covered"
"""How many intervals a pool has, and how long they are together [hours]."""

_HOUR_US = 3_600_000_000
_FEW_INTERVALS = 6
_FEW = np.float32(50.0)
"""With so many executions an interval weighs half as much as with very many."""


def known(view: str) -> str:
    """Name of the number of intervals of a pool for which a view is known."""
    return f"{view} known"


def scatter(view: str) -> str:
    """Name of the mean square distance of the intervals of a pool from its mean; 0 unknown."""
    return f"{view} scatter"


def top(view: str) -> str:
    """Name of how far the highest interval of a pool lies above its mean; 0 unknown."""
    return f"{view} top"


class Pools:
    """Pools of intervals side by side.

    Args:
        first: int64 [pools], first interval of each, rising from 0.
        intervals: of all pools together.
    """

    def __init__(self, first: Longs, intervals: int) -> None:
        self.first = first
        self.length: Longs = np.diff(np.append(first, intervals))
        most = int(self.length.max(initial=1))
        # Sums over groups take twice the time of the three intervals of each pool one after the other.
        self._later = [self._next(number) for number in range(1, most)] if most <= _FEW_INTERVALS else None

    def added(self, line: NDArray[Number]) -> NDArray[Number]:
        """Sum of each pool."""
        return self._reduced(np.add, line)

    def largest(self, line: NDArray[Number]) -> NDArray[Number]:
        """Largest figure of each pool."""
        return self._reduced(np.maximum, line)

    def _reduced(self, how: np.ufunc, line: NDArray[Number]) -> NDArray[Number]:
        if self._later is None:
            return how.reduceat(line, self.first)
        found = line[self.first]
        for pools, intervals in self._later:
            found[pools] = how(found[pools], line[intervals])
        return found

    def _next(self, number: int) -> tuple[Longs | slice, Longs]:
        """Pools of more intervals than that, and the interval of each."""
        longer = self.length > number
        pools = slice(None) if longer.all() else np.flatnonzero(longer)
        return pools, self.first[pools] + number


class PooledSums(Mapping[str, Floats]):
    """Totals of pools by column name; NaN where one of the intervals is unknown.

    Args:
        sums: of the intervals.
        pools: where they lie.
    """

    def __init__(self, sums: Mapping[str, Floats], pools: Pools) -> None:
        self._sums, self._pools = sums, pools
        self._found: dict[int, tuple[Floats, Floats]] = {}

    def __getitem__(self, name: str) -> Floats:
        line = self._sums[name]
        # Columns that an engine does not tell are one and the same array.
        if id(line) not in self._found:
            self._found[id(line)] = line, self._pools.added(line)
        return self._found[id(line)][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sums)

    def __len__(self) -> int:
        return len(self._sums)


class PooledFigures(Mapping[str, Singles]):
    """Figures of pools by name, float32 [pools]: those of `RowFigures` and what the functions above name.

    `EXECUTIONS` is a mean, `FEWNESS` one over it, `told` and `told_variance` are sums. Views and `LOAD` are means in
    which intervals with many executions weigh more; `far` is told by `PoolRecord`.

    Args:
        rows: the intervals.
        pools: where they lie.
    """

    def __init__(self, rows: SeriesRows, pools: Pools) -> None:
        self._rows, self._pools = rows, pools
        of_views = (name for view in VIEWS for name in (view, known(view), scatter(view), top(view)))
        of_metrics = (name(metric) for metric in METRICS for name in (told, told_variance))
        self._names = (INTERVALS, COVERED, EXECUTIONS, FEWNESS, LOAD, *of_views, *of_metrics)
        self._found: dict[str, Singles] = {}

    def __getitem__(self, name: str) -> Singles:
        if name not in self._found:
            self._found |= self._find(name)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _find(self, name: str) -> dict[str, Singles]:
        for view in VIEWS:
            if name in (view, known(view), scatter(view), top(view)):
                return self._of_view(view)
        return {name: self._own(name)}

    def _own(self, name: str) -> Singles:
        rows, added = self._rows, self._pools.added
        found: NDArray[np.number[Any]]
        match name:
            case _ if name == INTERVALS:
                found = self._pools.length
            case _ if name == COVERED:
                found = added(rows.end_us - rows.start_us) / _HOUR_US
            case _ if name == EXECUTIONS:
                found = added(rows.figures[name]) / self[INTERVALS]
            case _ if name == FEWNESS:
                found = 1.0 / self[EXECUTIONS]
            case _ if name == LOAD:
                weight = self._weight()
                found = added(weight * rows.figures[name]) / added(weight)
            case _:
                found = added(rows.figures[name])
        return found.astype(np.float32, copy=False)

    def _weight(self) -> Singles:
        weight: Singles = np.float32(1.0) / (np.float32(1.0) + _FEW * self._rows.figures[FEWNESS])
        return weight

    def _of_view(self, view: str) -> dict[str, Singles]:
        value, weight, pools = self._rows.figures[view], self._weight(), self._pools
        unknown = np.isnan(value)
        number = self[INTERVALS]
        if unknown.any():
            weight[unknown] = 0.0
            value = np.where(unknown, np.float32(0.0), value)
            number = pools.added((~unknown).astype(np.float32))
        with np.errstate(invalid="ignore"):
            total = pools.added(weight)
            mean = pools.added(weight * value) / total
            away = value - np.repeat(mean, pools.length)
            if unknown.any():
                away[unknown] = -np.inf
            above = np.maximum(pools.largest(away), np.float32(0.0))
            away *= away
            away[unknown] = 0.0
            spread = pools.added(weight * away) / total
        nobody = number == 0
        return {
            view: mean,
            known(view): number,
            scatter(view): np.where(nobody, np.float32(0.0), spread),
            top(view): np.where(nobody, np.float32(0.0), above),
        }
