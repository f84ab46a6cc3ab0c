"""From interval rows to one series of costs per statement, over all its plans."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.intervals import KEY_COLUMNS, IntervalFrame
from dbplanmon_pipeline.core.verdict.rows.row_figures import TRIM_FROM, RowFigures, Singles
from dbplanmon_pipeline.core.verdict.rows.sorted_groups import bounds_of

METRICS = ("elapsed_time_us", "worker_time_us")
"""What a statement is judged by; per execution, in microseconds."""

ELAPSED_PER_WORKER = "elapsed_per_worker"
"""Elapsed time over CPU time: what waits do to a statement shows here with very little noise."""

VIEWS = (*METRICS, ELAPSED_PER_WORKER)
"""Logarithms that are compared with their own past."""

DETECTOR_COLUMNS = (
    *KEY_COLUMNS,
    "execution_count",
    "elapsed_time_us",
    "elapsed_time_us_sumsq",
    "elapsed_time_us_max",
    "worker_time_us",
    "worker_time_us_sumsq",
    "worker_time_us_max",
    "logical_reads_pages",
    "rows",
    "io_time_us",
    "wait_time_us",
    "aborted_count",
    "exception_count",
)
"""Columns of an interval frame that the detectors use; a metric that is absent counts as unknown."""

Figure = TypeVar("Figure", np.float64, np.float32, np.int64, np.bool_)
Line = TypeVar("Line", np.float64, np.float32)

_OF_FAILURES = ("aborted_count", "exception_count")
_SUMS = tuple(
    name for name in DETECTOR_COLUMNS[len(KEY_COLUMNS) :] if not name.endswith("_max") and name not in _OF_FAILURES
)
_MAXIMA = tuple(name for name in DETECTOR_COLUMNS if name.endswith("_max"))
_EVEN, _DOMINANT = 0.4, 0.7
_HOUR_US = 3_600_000_000

_FIRST_HOUR = 72
"""1970 began on a Thursday."""

_ROWS = 16_000


class Lines(Mapping[str, NDArray[Line]]):
    """Columns of some rows; each is cut out when it is asked for first, as many never are.

    Args:
        whole: of all rows.
        rows: which.
    """

    def __init__(self, whole: Mapping[str, NDArray[Line]], rows: Longs | slice) -> None:
        self._whole: Mapping[str, NDArray[Line]] = whole
        self._rows = rows
        self._cut: dict[int, tuple[NDArray[Line], NDArray[Line]]] = {}

    def at(self, rows: Longs) -> "Lines[Line]":
        """Some of the rows."""
        return Lines(self, rows) if isinstance(self._rows, slice) else Lines(self._whole, self._rows[rows])

    def __getitem__(self, name: str) -> NDArray[Line]:
        whole = self._whole[name]
        # Columns that an engine does not tell are one and the same array.
        if id(whole) not in self._cut:
            self._cut[id(whole)] = whole, whole[self._rows]
        return self._cut[id(whole)][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)


@dataclass(frozen=True)
class SeriesRows:
    """Series laid end to end: the rows of series s are `bounds[s]` to `bounds[s + 1]`, in order of time.

    Attributes:
        database_id / query_hash / instance: int64 [series]; `instance` is a code of `IntervalFrame.instance_codes`.
        bounds: int64 [series + 1].
        series: int64 [rows], the series of each row.
        start_us / end_us: int64 [rows], epoch microseconds, half open; a row follows a gap where it is long.
        plan_hash: int64 [rows], the plan that ran most often in the interval, 0 unknown.
        sums: float64 [rows] by column name, totals of the interval, and the largest of `*_max`; NaN unknown.
        log_cost: float64 [rows] by view; by metric ln of the robust cost per execution [microseconds]; NaN unknown.
        figures: float32 [rows] by name, what learning needs of each row.
    """

    database_id: Longs
    query_hash: Longs
    instance: Longs
    bounds: Longs
    series: Longs
    start_us: Longs
    end_us: Longs
    plan_hash: Longs
    sums: Mapping[str, Floats]
    log_cost: Mapping[str, Floats]
    figures: Mapping[str, Singles]

    def __len__(self) -> int:
        return len(self.query_hash)

    @property
    def executions(self) -> Floats:
        """Executions of each row, above 0."""
        return self.sums["execution_count"]

    @cached_property
    def counts(self) -> Longs:
        """Active intervals of each series."""
        return np.diff(self.bounds)

    @cached_property
    def hour(self) -> Longs:
        """Hour of day (UTC) of the end of each row, 0 to 23."""
        return (self.end_us - 1) // _HOUR_US % 24

    @cached_property
    def hour_of_week(self) -> Longs:
        """Hour of the week (UTC) of the end of each row, 0 to 167, from Monday on."""
        return ((self.end_us - 1) // _HOUR_US + _FIRST_HOUR) % 168

    @cached_property
    def load(self) -> Floats:
        """-1 / sqrt(executions) of each row."""
        return -1.0 / np.sqrt(self.executions)

    def spread(self, values: NDArray[Figure]) -> NDArray[Figure]:
        """A figure of each series at each of its rows."""
        return np.repeat(values, self.counts)

    def part(self, series: slice) -> Self:
        """Some series in a row; their lines are not copied."""
        bounds = self.bounds[series.start : series.stop + 1]
        rows = slice(int(bounds[0]), int(bounds[-1]))
        return replace(
            self,
            database_id=self.database_id[series],
            query_hash=self.query_hash[series],
            instance=self.instance[series],
            bounds=bounds - rows.start,
            series=self.series[rows] - series.start,
            start_us=self.start_us[rows],
            end_us=self.end_us[rows],
            plan_hash=self.plan_hash[rows],
            sums=Lines(self.sums, rows),
            log_cost=Lines(self.log_cost, rows),
            figures=Lines(self.figures, rows),
        )

    def parts(self, rows: int) -> list[slice]:
        """All series in stretches of about so many rows; work on a stretch stays in the cache of a processor."""
        cuts = np.searchsorted(self.bounds, np.arange(rows, int(self.bounds[-1]), rows))
        cuts = np.unique(np.concatenate([[0], cuts, [len(self)]]))
        if not len(self):
            return [slice(0, 0)]
        return [slice(first, end) for first, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)]

    def keep(self, rows: np.ndarray) -> Self:
        """The rows where a boolean mask is true; series without any of them vanish."""
        return self if rows.all() and len(rows) else self.take(np.flatnonzero(rows))

    def take(self, rows: Longs) -> Self:
        """The rows of rising numbers; series without any of them vanish."""
        bounds = np.searchsorted(rows, self.bounds)
        left = np.flatnonzero(bounds[1:] > bounds[:-1])
        bounds = np.append(bounds[left], len(rows)).astype(np.int64)
        return replace(
            self,
            database_id=self.database_id[left],
            query_hash=self.query_hash[left],
            instance=self.instance[left],
            bounds=bounds,
            series=np.repeat(np.arange(len(left)), np.diff(bounds)),
            start_us=self.start_us[rows],
            end_us=self.end_us[rows],
            plan_hash=self.plan_hash[rows],
            sums=_cut(self.sums, rows),
            log_cost=_cut(self.log_cost, rows),
            figures=_cut(self.figures, rows),
        )


def _cut(lines: Mapping[str, NDArray[Line]], rows: Longs) -> Lines[Line]:
    return lines.at(rows) if isinstance(lines, Lines) else Lines(lines, rows)


def series_rows(frame: IntervalFrame, after_us: int, until_us: int) -> SeriesRows:
    """Series of the statements that ran in intervals ended within (after_us, until_us].

    Rows of several plans in one interval become one. Rows without executions and the rest that capture gathers under
    `OTHER_STATEMENTS` are left out.

    Args:
        frame: interval rows in the order its class states.
        after_us: epoch microseconds, exclusive.
        until_us: epoch microseconds, inclusive.
    """
    rows = frame.rows
    end = rows["interval_end_us"].to_numpy(np.int64)
    ran = rows["execution_count"].to_numpy(np.float64) > 0
    keep = ran & (end > after_us) & (end <= until_us) & (rows["query_hash"].to_numpy(np.int64) != OTHER_STATEMENTS)
    columns = _Columns(rows, None if keep.all() else np.flatnonzero(keep))
    database, query, end = (columns.longs(name) for name in ("database_id", "query_hash", "interval_end_us"))
    new_series = _changes(database, query)
    first = np.flatnonzero(new_series | _changes(end))
    sums = {name: _reduce(np.add, columns.floats(name), first) for name in _SUMS}
    maxima = {name: _reduce(np.maximum, columns.floats(name), first) for name in _MAXIMA}
    series = np.cumsum(new_series)[first] - 1 if len(first) else np.empty(0, np.int64)
    heads = np.flatnonzero(new_series)
    code, _ = frame.instance_codes()
    log_cost = _log_costs(sums, maxima)
    return SeriesRows(
        database_id=database[heads],
        query_hash=query[heads],
        instance=np.array([code[number] for number in database[heads].tolist()], np.int64),
        bounds=bounds_of(series, len(heads)),
        series=series,
        start_us=_reduce_longs(columns.longs("interval_start_us"), first),
        end_us=end[first],
        plan_hash=dominant_plans(columns.longs("plan_hash"), columns.floats("execution_count"), first),
        sums=sums | maxima,
        log_cost=log_cost,
        figures=RowFigures(sums | maxima, log_cost, METRICS),
    )


def dominant_plans(plan_hash: Longs, executions: Floats, first: Longs) -> Longs:
    """Known plan with the most executions of each group of rows, 0 where none is known.

    Args:
        plan_hash: int64 [rows], 0 unknown.
        executions: float64 [rows].
        first: first row of each group, rising.
    """
    if len(first) == len(plan_hash):
        return plan_hash
    group = np.searchsorted(first, np.arange(len(plan_hash)), side="right") - 1
    order = np.lexsort((np.where(plan_hash == 0, -1.0, executions), group))
    last = np.append(first[1:], len(plan_hash)) - 1
    dominant: Longs = plan_hash[order[last]]
    return dominant


def robust_cost(executions: Floats, total: Floats, largest: Floats, sumsq: Floats) -> Floats:
    """Cost per execution with the one largest execution left out, from 5 executions on.

    Where the largest is unknown, the sum of squares bounds it: no execution lies further above the mean than
    sd * sqrt(n - 1), and one that lies so far is alone in being dear. As the bound is loose for even costs, it counts
    only as far as such an execution would dominate the interval: not at all for 40 % of the total, fully from 70 %.

    Args:
        executions: count, above 0.
        total: sum over the executions, in any unit.
        largest: the largest of them, NaN unknown.
        sumsq: sum of squares, NaN unknown.

    Returns:
        float64, same unit; NaN where the total is unknown.
    """
    mean = total / executions
    others = np.maximum(executions - 1, 1)
    unknown = np.isnan(largest)
    dearest: Floats = np.minimum(largest, total)
    trust: Floats | float = 1.0
    if unknown.any():
        with np.errstate(invalid="ignore", divide="ignore"):
            deviation = np.sqrt(np.maximum(sumsq / executions - mean * mean, 0.0))
            bound = np.minimum(mean + deviation * np.sqrt(others), total)
            trust = np.where(unknown, np.clip((bound / total - _EVEN) / (_DOMINANT - _EVEN), 0.0, 1.0), 1.0)
        dearest = np.where(unknown, bound, dearest)
    rest = mean + trust * ((total - dearest) / others - mean)
    # Where the largest is told to be all there is, the figures contradict each other, or the others took no time.
    return np.where((executions >= TRIM_FROM) & (rest > 0), rest, mean)


class _Columns:
    """Columns of a frame as plain arrays, cut to some rows; a column that is absent is all NaN."""

    def __init__(self, rows: pd.DataFrame, chosen: Longs | None) -> None:
        self._rows = rows
        self._chosen = chosen
        self._length = len(rows) if chosen is None else len(chosen)

    def longs(self, name: str) -> Longs:
        values = self._rows[name].to_numpy(np.int64)
        return values if self._chosen is None else values[self._chosen]

    def floats(self, name: str) -> Floats:
        if name not in self._rows.columns:
            return self._unknown
        values = self._rows[name].to_numpy(np.float64)
        return values if self._chosen is None else values[self._chosen]

    @cached_property
    def _unknown(self) -> Floats:
        return np.full(self._length, np.nan)


def _changes(*columns: Longs) -> np.ndarray:
    changed = np.ones(len(columns[0]), np.bool_)
    if len(changed):
        changed[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return changed


def _reduce(how: np.ufunc, values: Floats, first: Longs) -> Floats:
    return values if len(first) == len(values) else how.reduceat(values, first)


def _reduce_longs(values: Longs, first: Longs) -> Longs:
    return values if len(first) == len(values) else np.minimum.reduceat(values, first)


def _log_costs(sums: dict[str, Floats], maxima: dict[str, Floats]) -> dict[str, Floats]:
    """Some rows at a time, so that the work stays in the cache of a processor."""
    rows = len(sums["execution_count"])
    found = {view: np.empty(rows) for view in VIEWS}
    for first in range(0, rows, _ROWS):
        part = slice(first, first + _ROWS)
        some = (dict(zip(lines, (line[part] for line in lines.values()), strict=True)) for lines in (sums, maxima))
        for view, logs in _log_costs_of(*some).items():
            found[view][part] = logs
    return found


def _log_costs_of(sums: dict[str, Floats], maxima: dict[str, Floats]) -> dict[str, Floats]:
    elapsed, worker = (sums[metric] for metric in METRICS)
    costs = {
        metric: robust_cost(sums["execution_count"], sums[metric], maxima[f"{metric}_max"], sums[f"{metric}_sumsq"])
        for metric in METRICS
    }
    logs = {metric: np.log(np.maximum(cost, 1.0)) for metric, cost in costs.items()}
    return logs | {ELAPSED_PER_WORKER: np.log(np.maximum(elapsed, 1.0) / np.maximum(worker, 1.0))}
