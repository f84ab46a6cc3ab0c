"""The plan cache as sys.dm_exec_query_stats shows it, and the counter reading that follows from it.

A counter is one statement of one cached plan. Its life ends when the plan leaves the cache or the server restarts; the
same handle then comes back with another creation time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading, Floats, Longs

TOTALS = (
    "execution_count",
    "elapsed_time_us",
    "worker_time_us",
    "logical_reads_pages",
    "logical_writes_pages",
    "physical_reads_pages",
    "rows",
    "spill_pages",
)
"""Columns of `PlanCacheStats.totals`: execution_count, total_elapsed_time, total_worker_time, total_logical_reads,
total_logical_writes, total_physical_reads, total_rows, total_spills."""

OUTERMOST = EXTREMA
"""Columns of `PlanCacheStats.extrema`: min/max_elapsed_time, min/max_worker_time, max_grant_kb, max_dop."""

ROW_COLUMNS = ("counter", "created", "age_us", "query_hash", "plan_hash", *TOTALS, *OUTERMOST)
"""Names and order of the values of one row, as `PlanCacheStats.of_rows` takes them."""

_HEAD = 5
_COLUMNS = [COUNTERS.index(name) for name in TOTALS]
_MINIMA = [column for column, name in enumerate(OUTERMOST) if name.endswith("_min")]


@dataclass(frozen=True, slots=True)
class PlanCacheStats:
    """Statements of cached plans of one database.

    Attributes:
        counter: identity of the statement within the cache: plan handle and offsets.
        created: name of the present life: start of the server and creation time, as the server writes them.
        age_us: int64, how long the plan has been in the cache, on the clock of the server.
        query_hash / plan_hash: signed int64.
        totals: float64 [n, len(TOTALS)]; extrema: float64 [n, len(OUTERMOST)]; NaN unknown.
    """

    counter: tuple[str, ...]
    created: tuple[str, ...]
    age_us: Longs
    query_hash: Longs
    plan_hash: Longs
    totals: Floats
    extrema: Floats

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[Any]]) -> "PlanCacheStats":
        """From rows of ROW_COLUMNS: two texts, three integers, then numbers or None."""
        longs = np.array([row[2:_HEAD] for row in rows], dtype=np.int64).reshape(-1, _HEAD - 2)
        width = len(ROW_COLUMNS) - _HEAD
        floats = np.array([row[_HEAD:] for row in rows], dtype=np.float64).reshape(-1, width)
        age_us, query_hash, plan_hash = longs.T
        counter, created = (tuple(row[place] for row in rows) for place in (0, 1))
        totals, extrema = np.split(floats, [len(TOTALS)], axis=1)
        return cls(counter, created, age_us, query_hash, plan_hash, totals, extrema)


def merge_equal_counters(stats: PlanCacheStats) -> PlanCacheStats:
    """One row per counter, totals added; a server may show one statement of a plan twice while it is recompiled."""
    counters, member = np.unique(np.array(stats.counter, dtype=object), return_inverse=True)
    if len(counters) == len(stats.counter):
        return stats
    order = np.lexsort((np.array(stats.created, dtype=object), member))
    begins = np.flatnonzero(np.diff(member[order], prepend=-1))
    first = order[begins]
    extrema = np.fmax.reduceat(stats.extrema[order], begins, axis=0)
    extrema[:, _MINIMA] = np.fmin.reduceat(stats.extrema[order][:, _MINIMA], begins, axis=0)
    return PlanCacheStats(
        tuple(stats.counter[row] for row in first.tolist()),
        tuple(stats.created[row] for row in first.tolist()),
        np.maximum.reduceat(stats.age_us[order], begins),
        stats.query_hash[first],
        stats.plan_hash[first],
        np.add.reduceat(stats.totals[order], begins, axis=0),
        extrema,
    )


def plan_cache_reading(stats: PlanCacheStats, *, read_at: datetime) -> CounterReading:
    """Counters of every cached statement; sums of squares, waits and failed executions are not told.

    Args:
        stats: all of one database, without our own statements.
        read_at: aware UTC, on our clock; ages are taken off it, so the clock of the server does not matter.
    """
    values = np.full((len(stats.counter), len(COUNTERS)), np.nan)
    values[:, _COLUMNS] = stats.totals
    known = stats.query_hash != 0
    none = np.zeros(len(stats.counter), dtype=np.int64)
    return CounterReading(
        read_at=read_at,
        keys=stats.counter,
        lives=stats.created,
        query_hash=np.where(known, stats.query_hash, OTHER_STATEMENTS),
        plan_hash=np.where(known, stats.plan_hash, 0),
        values=values,
        extrema=stats.extrema,
        interval_start_us=none,
        interval_end_us=none,
        life_began_us=epoch_us(read_at) - stats.age_us,
    )
