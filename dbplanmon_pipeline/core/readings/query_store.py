"""Query Store as its views show it, and the counter reading that follows from it.

One interval of a plan may appear as several rows: what was flushed and what is still in memory, regular executions and
those that were aborted or failed. Rows of one read are added up; what changed since the last read is a matter of
`core/readings/deltas.py`. The rows hold averages, so each is weighted by its executions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading, Floats, Longs

REGULAR, ABORTED, EXCEPTION = 0, 3, 4
"""Values of `execution_type`."""

PRIMARY_REPLICA = 1
"""`replica_group_id` of the primary, and of every server that knows no groups."""

AVERAGES = (
    "elapsed_time_us",
    "worker_time_us",
    "logical_reads_pages",
    "logical_writes_pages",
    "physical_reads_pages",
    "rows",
    "spill_pages",
)
"""Columns of `RuntimeStats.averages`: avg_duration, avg_cpu_time, avg_logical_io_reads, avg_logical_io_writes,
avg_physical_io_reads, avg_rowcount, avg_tempdb_space_used."""

DEVIATIONS = ("elapsed_time_us", "worker_time_us")
"""Columns of `RuntimeStats.deviations`: stdev_duration, stdev_cpu_time."""

MINIMA = ("elapsed_time_us", "worker_time_us")
"""Columns of `RuntimeStats.minima`: min_duration, min_cpu_time."""

MAXIMA = ("elapsed_time_us", "worker_time_us", "memory_grant_pages", "dop")
"""Columns of `RuntimeStats.maxima`: max_duration, max_cpu_time, max_query_max_used_memory, max_dop."""

ROW_COLUMNS = (
    *("plan_id", "replica_group_id", "execution_type", "query_hash", "plan_hash"),
    *("interval_start_us", "interval_end_us", "execution_count"),
    *(f"avg_{name}" for name in AVERAGES),
    *(f"stdev_{name}" for name in DEVIATIONS),
    *(f"min_{name}" for name in MINIMA),
    *(f"max_{name}" for name in MAXIMA),
)
"""Names and order of the values of one row, as `RuntimeStats.of_rows` takes them."""

_LONGS = 7
_PAGE_KB = 8.0
_COUNTER = {name: column for column, name in enumerate(COUNTERS)}
_EXTREME = {name: column for column, name in enumerate(EXTREMA)}
_TOTALS = [_COUNTER[name] for name in AVERAGES]
_SQUARES = [_COUNTER[f"{name}_sumsq"] for name in DEVIATIONS]
_MINIMA = [_EXTREME[f"{name}_min"] for name in MINIMA]
_MAXIMA = [_EXTREME[name] for name in ("elapsed_time_us_max", "worker_time_us_max", "memory_grant_kb_max", "dop_max")]
_FAILED = ((ABORTED, _COUNTER["aborted_count"]), (EXCEPTION, _COUNTER["exception_count"]))

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class RuntimeStats:
    """Rows of sys.query_store_runtime_stats with the hashes of their plan and the times of their interval.

    Attributes:
        plan_id / replica_group_id / execution_type: int64, as the views have them.
        query_hash / plan_hash: signed int64.
        interval_start_us / interval_end_us: int64 epoch microseconds on the clock of the server.
        execution_count: float64.
        averages / deviations / minima / maxima: float64 [n, ...], columns as the constants of those names; NaN unknown.
    """

    plan_id: Longs
    replica_group_id: Longs
    execution_type: Longs
    query_hash: Longs
    plan_hash: Longs
    interval_start_us: Longs
    interval_end_us: Longs
    execution_count: Floats
    averages: Floats
    deviations: Floats
    minima: Floats
    maxima: Floats

    def __len__(self) -> int:
        return len(self.plan_id)

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[Any]]) -> "RuntimeStats":
        """From rows of ROW_COLUMNS: integers, then numbers or None."""
        longs = np.array([row[:_LONGS] for row in rows], dtype=np.int64).reshape(-1, _LONGS)
        width = len(ROW_COLUMNS) - _LONGS
        floats = np.array([row[_LONGS:] for row in rows], dtype=np.float64).reshape(-1, width)
        ends = np.cumsum([1, len(AVERAGES), len(DEVIATIONS), len(MINIMA), len(MAXIMA)])
        count, averages, deviations, minima, maxima, _ = np.split(floats, ends, axis=1)
        plan, replica, kind, query_hash, plan_hash, start, end = longs.T
        return cls(
            plan, replica, kind, query_hash, plan_hash, start, end, count[:, 0], averages, deviations, minima, maxima
        )

    def take(self, chosen: "NDArray[Any]") -> "RuntimeStats":
        """Some of the rows, by mask or position."""
        return RuntimeStats(*(getattr(self, name)[chosen] for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class WaitStats:
    """Waits of regular executions, rows of sys.query_store_wait_stats summed over their categories.

    Attributes:
        plan_id / replica_group_id / interval_start_us: int64.
        wait_time_ms: float64.
    """

    plan_id: Longs
    replica_group_id: Longs
    interval_start_us: Longs
    wait_time_ms: Floats


@dataclass(frozen=True, slots=True)
class ReadingSpan:
    """Which intervals a reading holds; all on the clock of the server [epoch microseconds].

    Attributes:
        covers_from_us: beginning of the oldest interval it holds.
        next_from_us: where the next reading begins: earlier intervals change no more.
        skew_us: what to take off a moment of the server to get ours; small ones are left alone.
    """

    covers_from_us: int
    next_from_us: int
    skew_us: int = 0


def query_store_reading(
    stats: RuntimeStats,
    waits: WaitStats | None,
    *,
    read_at: datetime,
    span: ReadingSpan,
    replica_group_id: int = PRIMARY_REPLICA,
) -> CounterReading:
    """Counters by plan and interval of one replica group; all its times are moved onto our clock, keys are not.

    Totals are whole numbers, as they were before the engine made averages of them. Only regular executions feed
    statistics, since the others were cut short; those are counted apart.

    Args:
        stats: every row of every interval that began at or after `span.covers_from_us`.
        waits: of the same intervals; None where Query Store keeps none.
        read_at: aware UTC, on our clock.
        span: what the rows cover.
        replica_group_id: whose work counts; that of other groups belongs to other servers.
    """
    rows = _in_order(stats, replica_group_id)
    begins = _first_of_each(rows.interval_start_us, rows.plan_id)
    values = _values(rows, begins)
    plan_id, start = rows.plan_id[begins], rows.interval_start_us[begins]
    if waits is not None:
        values[:, _COUNTER["wait_time_us"]] = _wait_us(waits, plan_id, start, replica_group_id)
    known = rows.query_hash[begins] != 0
    query_hash = np.where(known, rows.query_hash[begins], OTHER_STATEMENTS)
    plan_hash = np.where(known, rows.plan_hash[begins], 0)
    return CounterReading(
        read_at=read_at,
        keys=tuple(map(counter_key, plan_id.tolist(), start.tolist())),
        lives=tuple(map(_life, query_hash.tolist(), plan_hash.tolist())),
        query_hash=query_hash,
        plan_hash=plan_hash,
        values=values,
        extrema=_extrema(rows, begins),
        interval_start_us=start - span.skew_us,
        interval_end_us=rows.interval_end_us[begins] - span.skew_us,
        life_began_us=np.zeros(len(begins), dtype=np.int64),
        covers_from_us=span.covers_from_us - span.skew_us,
        next_from_us=span.next_from_us - span.skew_us,
    )


def counter_key(plan_id: int, interval_start_us: int) -> str:
    """Identity of a counter: the plan, and the interval by its beginning, as numbers of intervals start anew."""
    return f"{plan_id}@{interval_start_us}"


def plan_id_of(key: str) -> int:
    """The plan of a counter."""
    return int(key.partition("@")[0])


def interval_start_of(key: str) -> int:
    """Beginning of the interval of a counter [epoch microseconds on the clock of the server]."""
    return int(key.partition("@")[2])


def _in_order(stats: RuntimeStats, replica_group_id: int) -> RuntimeStats:
    """The rows of one replica group by interval, plan and kind of execution."""
    own = np.flatnonzero(stats.replica_group_id == replica_group_id)
    columns = (stats.execution_type, stats.plan_id, stats.interval_start_us)
    return stats.take(own[np.lexsort([column[own] for column in columns])])


@lru_cache(maxsize=16_384)
def _life(query_hash: int, plan_hash: int) -> str:
    """What a counter counts; kept, as the databases of one application share most statements and plans."""
    return f"{hash_text(query_hash)}:{hash_text(plan_hash)}"


def _first_of_each(*columns: Longs) -> NDArray[np.intp]:
    """Where each new combination begins in sorted columns."""
    rows = len(columns[0])
    first = np.ones(rows, dtype=np.bool_)
    if rows:
        first[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.flatnonzero(first)


def _values(rows: RuntimeStats, begins: NDArray[np.intp]) -> Floats:
    """Cumulative counters per plan and interval [m, COUNTERS]."""
    regular = rows.execution_type == REGULAR
    count = np.where(regular, rows.execution_count, 0.0)
    each = np.full((len(rows), len(COUNTERS)), np.nan)
    each[:, _COUNTER["execution_count"]] = count
    each[:, _TOTALS] = np.where(regular[:, None], np.rint(count[:, None] * rows.averages), 0.0)
    means = rows.averages[:, [AVERAGES.index(name) for name in DEVIATIONS]]
    each[:, _SQUARES] = np.where(regular[:, None], count[:, None] * (rows.deviations**2 + means**2), 0.0)
    for kind, column in _FAILED:
        each[:, column] = np.where(rows.execution_type == kind, rows.execution_count, 0.0)
    return np.asarray(np.add.reduceat(each, begins, axis=0)) if len(begins) else each


def _extrema(rows: RuntimeStats, begins: NDArray[np.intp]) -> Floats:
    """Extremes of the regular executions [m, EXTREMA], NaN where there were none."""
    each = np.full((len(rows), len(EXTREMA)), np.nan)
    each[:, _MINIMA] = rows.minima
    each[:, _MAXIMA] = rows.maxima * [1.0, 1.0, _PAGE_KB, 1.0]
    each[rows.execution_type != REGULAR] = np.nan
    if not len(begins):
        return each
    extrema = np.fmax.reduceat(each, begins, axis=0)
    extrema[:, _MINIMA] = np.fmin.reduceat(each[:, _MINIMA], begins, axis=0)
    return np.asarray(extrema)


def _wait_us(waits: WaitStats, plan_id: Longs, start: Longs, replica_group_id: int) -> Floats:
    """Wait time [microseconds] of each (plan_id, start), sorted by start and plan; 0 where none was recorded."""
    own = np.flatnonzero(waits.replica_group_id == replica_group_id)
    found = np.zeros(len(plan_id))
    if not len(own) or not len(found):
        return found
    starts, plans = np.unique(start), np.unique(plan_id)
    plan_waited, start_waited = waits.plan_id[own], waits.interval_start_us[own]

    def place(begun: Longs, plan: Longs) -> NDArray[np.intp]:
        """One number for both, in the order of the counters."""
        return np.searchsorted(starts, begun) * (len(plans) + 1) + np.searchsorted(plans, plan)

    nearest = np.searchsorted(place(start, plan_id), place(start_waited, plan_waited))
    row = np.minimum(nearest, len(found) - 1)
    known = (plan_id[row] == plan_waited) & (start[row] == start_waited)
    np.add.at(found, row[known], waits.wait_time_ms[own][known] * 1_000.0)
    return found
