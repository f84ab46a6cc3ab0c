"""Cumulative counters as a target reports them, and what one reading of them looks like.

Deltas live in `deltas.py`; the two are separate types on purpose: a cumulative value is never a measurement.
"""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

COUNTERS = (
    "execution_count",
    "elapsed_time_us",
    "elapsed_time_us_sumsq",
    "worker_time_us",
    "worker_time_us_sumsq",
    "logical_reads_pages",
    "logical_writes_pages",
    "physical_reads_pages",
    "rows",
    "spill_pages",
    "io_time_us",
    "wait_time_us",
    "aborted_count",
    "exception_count",
)
"""Columns of `CounterReading.values`; all only ever grow within one counter life. NaN: the engine does not tell."""

EXTREMA = (
    "elapsed_time_us_min",
    "elapsed_time_us_max",
    "worker_time_us_min",
    "worker_time_us_max",
    "memory_grant_kb_max",
    "dop_max",
)
"""Columns of `CounterReading.extrema`: extremes over the whole life; NaN: unknown."""

EXECUTIONS = COUNTERS.index("execution_count")
ELAPSED = COUNTERS.index("elapsed_time_us")
WORKER = COUNTERS.index("worker_time_us")
READS = COUNTERS.index("logical_reads_pages")

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CounterReading:
    """All cumulative counters of one database at one moment; row i of every attribute is one counter.

    Attributes:
        read_at: the moment the reading stands for, aware UTC.
        keys: identity of the counter within the database, unique in the reading.
        lives: identity of its present life (creation time, `stats_since`, server start); empty where the engine
            cannot tell. Another life under the same key began again from zero.
        query_hash / plan_hash: int64; plan_hash is 0 where counters are not kept per plan.
        values: float64 [n, len(COUNTERS)], cumulative.
        extrema: float64 [n, len(EXTREMA)], over the whole life.
        interval_start_us / interval_end_us: int64 epoch microseconds where the engine itself keeps the counter per
            interval (Query Store), else 0.
        life_began_us: int64 epoch microseconds at which the life is known to have begun, 0 where unknown.
        covers_from_us: the reading holds every engine interval that began at or after this moment, and none before
            [epoch microseconds on our clock, as the intervals are]; 0 where counters live on without intervals.
        next_from_us: the next reading has to begin here, since earlier intervals are settled; 0 without intervals.
    """

    read_at: datetime
    keys: tuple[str, ...]
    lives: tuple[str, ...]
    query_hash: Longs
    plan_hash: Longs
    values: Floats
    extrema: Floats
    interval_start_us: Longs
    interval_end_us: Longs
    life_began_us: Longs
    covers_from_us: int = 0
    next_from_us: int = 0

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: "NDArray[np.intp]", *, covers_from_us: int, next_from_us: int) -> "CounterReading":
        """The counters at these places, each once, as a reading that covers another time; see `covers_from_us`."""
        if len(rows) == len(self):
            return replace(self, covers_from_us=covers_from_us, next_from_us=next_from_us)
        places = rows.tolist()
        return replace(
            self,
            keys=tuple(self.keys[row] for row in places),
            lives=tuple(self.lives[row] for row in places),
            query_hash=self.query_hash[rows],
            plan_hash=self.plan_hash[rows],
            values=self.values[rows],
            extrema=self.extrema[rows],
            interval_start_us=self.interval_start_us[rows],
            interval_end_us=self.interval_end_us[rows],
            life_began_us=self.life_began_us[rows],
            covers_from_us=covers_from_us,
            next_from_us=next_from_us,
        )

    @property
    def statements(self) -> int:
        """How many statements the counters belong to; one has several with several plans, intervals or users."""
        return len(np.unique(self.query_hash))

    @property
    def by_interval(self) -> bool:
        """True where the engine itself keeps its counters per interval."""
        return self.covers_from_us > 0


@dataclass(frozen=True, slots=True)
class IntervalRows:
    """Work of one database within intervals, ready to be stored; row i of every array is one (query, plan, interval).

    Attributes:
        query_hash / plan_hash: int64; plan_hash 0 where the plan is not known.
        interval_start_us / interval_end_us: int64 epoch microseconds, half open.
        values: float64 [n, len(COUNTERS)], increments; NaN is unknown.
        extrema: float64 [n, len(EXTREMA)], of the increment; NaN is unknown.
        counter_reset: bool, the counter began again within this interval, so the row may miss work before that.
    """

    query_hash: Longs
    plan_hash: Longs
    interval_start_us: Longs
    interval_end_us: Longs
    values: Floats
    extrema: Floats
    counter_reset: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.query_hash)
