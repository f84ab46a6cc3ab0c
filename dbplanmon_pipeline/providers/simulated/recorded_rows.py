"""Rows of sys.query_store_runtime_stats and sys.query_store_wait_stats, made of the pieces of recorded time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.query_store import (
    ABORTED,
    AVERAGES,
    DEVIATIONS,
    PRIMARY_REPLICA,
    REGULAR,
    RuntimeStats,
    WaitStats,
)
from dbplanmon_pipeline.providers.simulated.faults import REGRESSED_PLAN
from dbplanmon_pipeline.providers.simulated.recorded_time import Cadence, Piece
from dbplanmon_pipeline.providers.simulated.stretches import AT, TOTALS, Layout, StretchWork

ABORTED_AFTER = 0.5
"""An execution that is cut short got this far, by its mean cost."""

PARALLEL_DOP = 4
GRANT_PAGES, LARGE_GRANT_PAGES = 128, 8_192

_AVERAGED = [AT[name] for name in AVERAGES if name in AT]
_FILLED = [column for column, name in enumerate(AVERAGES) if name in AT]
_SQUARED = [AT[f"{name}_sumsq"] for name in DEVIATIONS]
_MEANS = [AVERAGES.index(name) for name in DEVIATIONS]
_ELAPSED, _WORKER, _READS = (
    AVERAGES.index(name) for name in ("elapsed_time_us", "worker_time_us", "logical_reads_pages")
)


class RecordedDatabase(Protocol):
    """What the rows are made from."""

    @property
    def parts(self) -> Layout:
        """The stretches."""
        ...

    @property
    def work(self) -> StretchWork:
        """Their work."""
        ...

    @property
    def ids(self) -> tuple[Longs, Longs]:
        """`query_id` and `plan_id` of each."""
        ...

    @property
    def cadence(self) -> Cadence:
        """How Query Store is set up."""
        ...


@dataclass(frozen=True, slots=True)
class _Increments:
    """Work of stretches within pieces, row i of every array is one that did any.

    `stretch` and `piece` number them; executions `begin` to `end` - 1 of the stretch ran then.
    """

    stretch: Longs
    piece: Longs
    begin: Longs
    end: Longs
    totals: Floats

    def take(self, chosen: "NDArray[np.intp]") -> "_Increments":
        return _Increments(*(getattr(self, name)[chosen] for name in self.__slots__))


def recorded_rows(database: RecordedDatabase, now_us: int, pieces: Sequence[Piece]) -> tuple[RuntimeStats, WaitStats]:
    """Rows of both views: one per plan, interval, place (disk or memory) and, of statistics, kind of execution.

    Averages are totals by executions, so that their product rounds to the total again.
    """
    found = _increments(database, now_us, pieces)
    begins, ordered = _grouped(database, pieces, found)
    if not len(begins):
        return RuntimeStats.of_rows([]), _wait_rows(database, pieces, begins, ordered)
    return _runtime_rows(database, pieces, begins, ordered), _wait_rows(database, pieces, begins, ordered)


def _runtime_rows(
    database: RecordedDatabase, pieces: Sequence[Piece], begins: "NDArray[np.intp]", found: _Increments
) -> RuntimeStats:
    regular = _rows(database, pieces, begins, found)
    aborted = found.take(np.flatnonzero(found.totals[:, AT["aborted_count"]] > 0))
    return _joined(regular, _aborted_rows(database, pieces, aborted)) if len(aborted.stretch) else regular


def recorded_totals(database: RecordedDatabase, now_us: int, pieces: Sequence[Piece]) -> tuple[Longs, Floats]:
    """Stretches and their work within the pieces; a stretch may come more than once."""
    found = _increments(database, now_us, pieces)
    return found.stretch, found.totals


def _wait_rows(
    database: RecordedDatabase, pieces: Sequence[Piece], begins: "NDArray[np.intp]", rows: _Increments
) -> WaitStats:
    waited = np.add.reduceat(rows.totals[:, AT["wait_time_us"]], begins) if len(begins) else np.empty(0)
    waited_ms = waited / 1_000.0
    some = np.flatnonzero(waited_ms > 0)
    return WaitStats(
        plan_id=database.ids[1][rows.stretch[begins[some]]],
        replica_group_id=np.full(len(some), PRIMARY_REPLICA, np.int64),
        interval_start_us=_interval_starts(pieces)[rows.piece[begins[some]]],
        wait_time_ms=waited_ms[some],
    )


def _increments(database: RecordedDatabase, now_us: int, pieces: Sequence[Piece]) -> _Increments:
    if not pieces:
        none = np.empty(0, np.int64)
        return _Increments(none, none, none, none, np.empty((0, len(TOTALS))))
    after = np.array([piece.after_us for piece in pieces], np.int64)
    until = np.array([piece.until_us for piece in pieces], np.int64)
    moments = np.unique(np.concatenate([after, until]))
    chosen = database.parts.within(int(moments[0]), now_us)
    executions = database.work.executions(moments, chosen)
    totals = database.work.totals(executions, chosen)
    begin, end = np.searchsorted(moments, after), np.searchsorted(moments, until)
    piece, column = np.nonzero(executions[end] > executions[begin])
    first, last = begin[piece], end[piece]
    return _Increments(
        stretch=chosen[column],
        piece=piece,
        begin=executions[first, column],
        end=executions[last, column],
        totals=totals[last, column] - totals[first, column],
    )


def _grouped(
    database: RecordedDatabase, pieces: Sequence[Piece], found: _Increments
) -> "tuple[NDArray[np.intp], _Increments]":
    """Rows in the order of place, interval and plan, and where each combination begins."""
    starts = _interval_starts(pieces)[found.piece]
    memory = np.array([piece.in_memory for piece in pieces], np.bool_)[found.piece]
    plan = database.ids[1][found.stretch]
    order = np.lexsort((found.begin, plan, memory, starts))
    new = np.ones(len(order), np.bool_)
    columns = (starts[order], memory[order], plan[order])
    new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.flatnonzero(new), found.take(order)


def _interval_starts(pieces: Sequence[Piece]) -> Longs:
    return np.array([piece.interval_us for piece in pieces], np.int64)


def _rows(
    database: RecordedDatabase, pieces: Sequence[Piece], begins: "NDArray[np.intp]", rows: _Increments
) -> RuntimeStats:
    totals = np.add.reduceat(rows.totals, begins, axis=0)
    count = totals[:, AT["execution_count"]]
    averages = np.zeros((len(begins), len(AVERAGES)))
    averages[:, _FILLED] = totals[:, _AVERAGED] / count[:, None]
    spread = totals[:, _SQUARED] / count[:, None] - averages[:, _MEANS] ** 2
    low, high = _extremes(database, rows, begins)
    means, several = averages[:, _MEANS], (count > 1)[:, None]
    low = np.where(several, np.minimum(np.floor(low), np.floor(means)), means)
    high = np.where(several, np.maximum(np.ceil(high), np.ceil(means)), means)
    return _stats(
        database,
        rows.stretch[begins],
        _interval_starts(pieces)[rows.piece[begins]],
        REGULAR,
        count,
        averages,
        np.where(several, np.sqrt(np.maximum(spread, 0.0)), 0.0),
        low,
        high,
    )


def _extremes(database: RecordedDatabase, rows: _Increments, begins: "NDArray[np.intp]") -> tuple[Floats, Floats]:
    """Bounds of elapsed and worker time of single executions [n, 2]."""
    low, high = database.work.bounds(rows.begin, rows.end, rows.stretch)
    mean = np.column_stack([database.work.elapsed_us[rows.stretch], database.work.worker_us[rows.stretch]])
    return (
        np.minimum.reduceat(low[:, None] * mean, begins, axis=0),
        np.maximum.reduceat(high[:, None] * mean, begins, axis=0),
    )


def _aborted_rows(database: RecordedDatabase, pieces: Sequence[Piece], found: _Increments) -> RuntimeStats:
    begins, rows = _grouped(database, pieces, found)
    count = np.add.reduceat(rows.totals[:, AT["aborted_count"]], begins)
    stretch = rows.stretch[begins]
    averages = np.zeros((len(begins), len(AVERAGES)))
    averages[:, _ELAPSED] = np.rint(ABORTED_AFTER * database.work.elapsed_us[stretch])
    averages[:, _WORKER] = np.rint(ABORTED_AFTER * database.work.worker_us[stretch])
    averages[:, _READS] = np.rint(ABORTED_AFTER * database.work.reads_pages[stretch])
    means = averages[:, _MEANS]
    starts = _interval_starts(pieces)[rows.piece[begins]]
    return _stats(database, stretch, starts, ABORTED, count, averages, np.zeros_like(means), means, means)


def _stats(
    database: RecordedDatabase,
    stretch: Longs,
    starts: Longs,
    kind: int,
    count: Floats,
    averages: Floats,
    deviations: Floats,
    low: Floats,
    high: Floats,
) -> RuntimeStats:
    parts, rows = database.parts, len(stretch)
    heavy = parts.plan[stretch] == REGRESSED_PLAN
    grant = np.where(heavy, LARGE_GRANT_PAGES, GRANT_PAGES)
    return RuntimeStats(
        plan_id=database.ids[1][stretch],
        replica_group_id=np.full(rows, PRIMARY_REPLICA, np.int64),
        execution_type=np.full(rows, kind, np.int64),
        query_hash=parts.query_hash[stretch],
        plan_hash=parts.plan_hash[stretch],
        interval_start_us=starts,
        interval_end_us=starts + database.cadence.interval_us,
        execution_count=count,
        averages=averages,
        deviations=deviations,
        minima=low,
        maxima=np.column_stack([high, grant, np.where(heavy, PARALLEL_DOP, 1)]),
    )


def _joined(one: RuntimeStats, other: RuntimeStats) -> RuntimeStats:
    return RuntimeStats(
        *(np.concatenate([getattr(one, name), getattr(other, name)]) for name in RuntimeStats.__slots__)
    )
