"""The whole past and future of one simulated database: what its system views show at any moment, and the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.plan_cache import PlanCacheStats
from dbplanmon_pipeline.core.readings.query_store import RuntimeStats, WaitStats
from dbplanmon_pipeline.core.readings.query_store_span import EngineInterval
from dbplanmon_pipeline.providers.simulated.cached_plans import cached_plans, creation_text
from dbplanmon_pipeline.providers.simulated.faults import FaultKind, SimulatedFault
from dbplanmon_pipeline.providers.simulated.randomness import stable_hash, stream_keys
from dbplanmon_pipeline.providers.simulated.recorded_rows import recorded_rows, recorded_totals
from dbplanmon_pipeline.providers.simulated.recorded_time import DAY_US, MINUTE_US, Cadence, RecordedTime
from dbplanmon_pipeline.providers.simulated.stretches import AT, StretchWork, layout, local_ids
from dbplanmon_pipeline.providers.simulated.workload import HISTORY_BEGINS_US, workload

_TRUE = [AT[name] for name in ("execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages")]

_HOUR_US = 60 * MINUTE_US

Work = dict[tuple[int, int], "TrueWork"]


@dataclass(frozen=True, slots=True)
class TrueWork:
    """What really ran: executions [count], elapsed and worker time [microseconds], logical reads [pages].

    Whole numbers, of executions that were not cut short.
    """

    executions: float = 0.0
    elapsed_us: float = 0.0
    worker_us: float = 0.0
    reads_pages: float = 0.0

    def __add__(self, other: "TrueWork") -> "TrueWork":
        return TrueWork(
            self.executions + other.executions,
            self.elapsed_us + other.elapsed_us,
            self.worker_us + other.worker_us,
            self.reads_pages + other.reads_pages,
        )


class DatabaseHistory:
    """A pure function of (seed, instance, database, faults) and time; holds no state between calls.

    Args:
        faults: those that concern this database.
        interval_minutes: length of the intervals of Query Store.
        flush_seconds: time between two of its flushes.
    """

    def __init__(
        self,
        seed: int,
        instance: str,
        database: str,
        statements: int,
        faults: Sequence[SimulatedFault] = (),
        *,
        interval_minutes: int = 15,
        flush_seconds: int = 900,
    ) -> None:
        small = frozenset(fault.statement for fault in faults if fault.kind is FaultKind.SMALL_BUT_DOUBLE)
        flush_us = flush_seconds * 1_000_000
        phase = stable_hash("flush", seed, instance, database) % flush_us
        self.faults = tuple(faults)
        self.workload = workload(seed, instance, database, statements, small)
        self.parts = layout(statements, self.faults)
        self.recorded = RecordedTime(faults, Cadence(interval_minutes * MINUTE_US, flush_us, phase), HISTORY_BEGINS_US)
        self.identity = stable_hash("database identity", seed, instance, database)
        self._tie = (seed, instance, database, statements)

    @property
    def cadence(self) -> Cadence:
        """How Query Store is set up."""
        return self.recorded.cadence

    @cached_property
    def work(self) -> StretchWork:
        """The work of each stretch."""
        return StretchWork(self.workload, self.parts)

    @cached_property
    def ids(self) -> tuple[Longs, Longs]:
        """`query_id` and `plan_id` of each stretch."""
        seed, instance, database, statements = self._tie
        order = stream_keys("ids", seed, instance, database, count=statements) >> np.uint64(1)
        return local_ids(self.parts, order.astype(np.int64))

    @cached_property
    def creations(self) -> tuple[str, ...]:
        """Name of the life of each stretch in the plan cache: start of the server and compilation."""
        return creation_text(self.parts)

    def is_up(self, moment: datetime) -> bool:
        """False while the server is down, and before the history begins."""
        return self.parts.life_at(epoch_us(moment)) is not None

    def server_started_us(self, moment: datetime) -> int | None:
        """Start of the server [epoch microseconds]; None while it is down."""
        life = self.parts.life_at(epoch_us(moment))
        return None if life is None else self.parts.lives[life].boot_us

    def updates(self, moment: datetime) -> int:
        """How often the server had been updated by then."""
        done = (fault.end_us <= epoch_us(moment) for fault in self.faults if fault.kind is FaultKind.UPDATE)
        return sum(done)

    def compiled_us(self, statement: int, plan: int, now: datetime) -> tuple[int, int | None] | None:
        """When a plan was last compiled, and the update of statistics that came with it [epoch microseconds].

        None where the statement has not had that plan yet. An update counts where it came within the hour before the
        plan appeared; one that has long been there is compiled again every midnight.
        """
        own = np.flatnonzero((self.parts.statement == statement) & (self.parts.plan == plan))
        if not len(own) or self.parts.start_us[own].min() > epoch_us(now):
            return None
        appeared = int(self.parts.start_us[own].min())
        updates = [
            fault.start_us
            for fault in self.faults
            if fault.kind is FaultKind.STATISTICS_UPDATE
            and fault.statement == statement
            and appeared - _HOUR_US <= fault.start_us <= appeared
        ]
        if updates:
            return appeared, max(updates)
        return max(appeared, epoch_us(now) // DAY_US * DAY_US), None

    def query_store(self, now: datetime, from_us: int) -> tuple[RuntimeStats, WaitStats]:
        """What Query Store shows at a moment of all intervals that began at or after another [epoch microseconds]."""
        return recorded_rows(self, epoch_us(now), self.recorded.pieces(epoch_us(now), from_us))

    def runtime_stats(self, now: datetime, from_us: int) -> RuntimeStats:
        """The figures of executions alone."""
        return self.query_store(now, from_us)[0]

    def wait_stats(self, now: datetime, from_us: int) -> WaitStats:
        """The waits alone."""
        return self.query_store(now, from_us)[1]

    def plan_cache(self, now: datetime) -> PlanCacheStats:
        """What the plan cache shows at a moment; empty while the server is down."""
        return cached_plans(self, epoch_us(now))

    def intervals(self, now: datetime, from_us: int = 0) -> list[EngineInterval]:
        """Intervals of Query Store that are remembered at a moment and began at or after another, oldest first."""
        length = self.cadence.interval_us
        first = self.cadence.interval_start(max(self.recorded.since(epoch_us(now)), from_us))
        starts = range(first if first >= from_us else first + length, epoch_us(now) + 1, length)
        return [EngineInterval(start, start + length, start // length) for start in starts]

    def truth(self, start: datetime, end: datetime) -> Work:
        """Work after `start` up to and with `end`, lost or not, by (query_hash, plan_hash); idle plans are left out."""
        every = np.arange(len(self.parts))
        moments = np.array([epoch_us(start), epoch_us(end)], np.int64)
        before, after = self.work.totals(self.work.executions(moments, every), every)
        return self._by_plan(every, after - before)

    def recordable(self, moments: Sequence[datetime], *, query_store: bool = True) -> Work:
        """Work that somebody who reads at these moments, in order, can know of, by (query_hash, plan_hash).

        Query Store: all it shows from the overlap before the first reading on, until it is emptied. Plan cache: all
        in each of its lives up to the last reading in it, without what the first reading already found.
        """
        readings = [epoch_us(moment) for moment in moments if self.is_up(moment)]
        found: Work = {}
        if not readings:
            return found
        first = self.cadence.interval_start(readings[0] - self.cadence.overlap_us)
        for life in range(len(self.parts.lives)) if not query_store else ():
            self._add(found, self._cached(readings, life))
        for last in self._last_of_each_generation(readings) if query_store else ():
            pieces = self.recorded.pieces(last, first)
            self._add(found, self._by_plan(*recorded_totals(self, last, pieces)))
        return found

    def _cached(self, readings: Sequence[int], number: int) -> Work:
        life = self.parts.lives[number]
        inside = [moment for moment in readings if life.start_us <= moment < life.end_us]
        if not inside:
            return {}
        own = np.flatnonzero(self.parts.life == number)
        begin = inside[0] if inside[0] == readings[0] else life.start_us - 1
        moments = np.array([begin, inside[-1]], np.int64)
        before, after = self.work.totals(self.work.executions(moments, own), own)
        return self._by_plan(own, after - before)

    def _last_of_each_generation(self, readings: Sequence[int]) -> list[int]:
        """The last reading before each time Query Store was emptied, and the last one of all."""
        emptied = [fault.start_us for fault in self.faults if fault.kind is FaultKind.EVICTION]
        last = {sum(moment >= at for at in emptied): moment for moment in readings}
        return list(last.values())

    def _by_plan(self, stretches: Longs, totals: Floats) -> Work:
        found: Work = {}
        ran = np.flatnonzero(totals[:, _TRUE[0]] > 0)
        hashes = zip(
            self.parts.query_hash[stretches[ran]].tolist(), self.parts.plan_hash[stretches[ran]].tolist(), strict=True
        )
        for key, row in zip(hashes, totals[ran][:, _TRUE].tolist(), strict=True):
            found[key] = found.get(key, TrueWork()) + TrueWork(*row)
        return found

    @staticmethod
    def _add(found: Work, more: Mapping[tuple[int, int], TrueWork]) -> None:
        for key, work in more.items():
            found[key] = found.get(key, TrueWork()) + work
