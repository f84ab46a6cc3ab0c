"""Sums and figures of pooled intervals, each found once, when it is asked for first."""

from collections.abc import Iterator, Mapping

import numpy as np

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

INTERVALS, COVERED = "intervals", "covered"
"""How many intervals a pool has, and how long they are together [hours]."""

_HOUR_US = 3_600_000_000
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


class PooledSums(Mapping[str, Floats]):
    """Totals of pools by column name; NaN where one of the intervals is unknown.

    Args:
        sums: of the intervals.
        first: int64 [pools], first interval of each.
    """

    def __init__(self, sums: Mapping[str, Floats], first: Longs) -> None:
        self._sums, self._first = sums, first
        self._found: dict[int, tuple[Floats, Floats]] = {}

    def __getitem__(self, name: str) -> Floats:
        line = self._sums[name]
        # Columns that an engine does not tell are one and the same array.
        if id(line) not in self._found:
            self._found[id(line)] = line, _added(line, self._first)
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
        first: int64 [pools], first interval of each.
    """

    def __init__(self, rows: SeriesRows, first: Longs) -> None:
        self._rows, self._first = rows, first
        self._length = np.diff(np.append(first, len(rows.series)))
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
        rows, first = self._rows, self._first
        match name:
            case _ if name == INTERVALS:
                found = self._length
            case _ if name == COVERED:
                found = _added(rows.end_us - rows.start_us, first) / _HOUR_US
            case _ if name == EXECUTIONS:
                found = _added(rows.figures[name], first) / self[INTERVALS]
            case _ if name == FEWNESS:
                found = 1.0 / self[EXECUTIONS]
            case _ if name == LOAD:
                weight = self._weight()
                found = _added(weight * rows.figures[name], first) / _added(weight, first)
            case _:
                found = _added(rows.figures[name], first)
        return found.astype(np.float32, copy=False)

    def _weight(self) -> Singles:
        weight: Singles = np.float32(1.0) / (np.float32(1.0) + _FEW * self._rows.figures[FEWNESS])
        return weight

    def _of_view(self, view: str) -> dict[str, Singles]:
        value, weight, first = self._rows.figures[view], self._weight(), self._first
        unknown = np.isnan(value)
        number = self[INTERVALS]
        if unknown.any():
            weight[unknown] = 0.0
            value = np.where(unknown, np.float32(0.0), value)
            number = _added((~unknown).astype(np.float32), first)
        with np.errstate(invalid="ignore"):
            total = _added(weight, first)
            mean = _added(weight * value, first) / total
            away = value - np.repeat(mean, self._length)
            if unknown.any():
                away[unknown] = -np.inf
            above = np.maximum(_largest(away, first), np.float32(0.0))
            away *= away
            away[unknown] = 0.0
            spread = _added(weight * away, first) / total
        nobody = number == 0
        return {
            view: mean,
            known(view): number,
            scatter(view): np.where(nobody, np.float32(0.0), spread),
            top(view): np.where(nobody, np.float32(0.0), above),
        }


def _added(line: np.ndarray, first: Longs) -> np.ndarray:
    return np.add.reduceat(line, first) if len(first) else line


def _largest(line: np.ndarray, first: Longs) -> np.ndarray:
    return np.maximum.reduceat(line, first) if len(first) else line
