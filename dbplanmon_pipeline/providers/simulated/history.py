"""The whole past and future of one simulated database: its counters at any moment, and the true work between two."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from dbplanmon_pipeline.core.counters import COUNTERS, EXTREMA, CounterReading, Floats, Longs
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.providers.simulated.faults import FaultKind, SimulatedFault, lives, spans
from dbplanmon_pipeline.providers.simulated.statements import plan_hash, query_hash
from dbplanmon_pipeline.providers.simulated.workload import HISTORY_BEGINS_US, Workload, cost_pattern, workload

_COLUMN = {name: number for number, name in enumerate(COUNTERS)}
_EXTREME = {name: number for number, name in enumerate(EXTREMA)}


@dataclass(frozen=True, slots=True)
class TrueWork:
    """What really ran: executions [count], elapsed and worker time [microseconds], logical reads [pages]."""

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


@dataclass(frozen=True, slots=True)
class _Layout:
    """Counters of one stretch of uptime and what feeds them; the same for every database with the same faults.

    A counter is one plan of one statement: `keys`, `lives`, `query_hash`, `plan_hash`, `began_us`. It is fed by one or
    more stretches in which its statement keeps plan and costs: `statement`, `start_us`, `end_us`, and the cost factors
    `elapsed`, `worker`, `reads`; those of one counter are neighbours, the first one at `first_stretch`.
    """

    keys: tuple[str, ...]
    lives: tuple[str, ...]
    query_hash: Longs
    plan_hash: Longs
    began_us: Longs
    first_stretch: Longs
    statement: Longs
    start_us: Longs
    end_us: Longs
    elapsed: Floats
    worker: Floats
    reads: Floats


@dataclass(frozen=True, slots=True)
class _Life:
    """One stretch of uptime of one database.

    `before` counts executions of the statement before each stretch, `at_end` those up to its end. A stretch begins
    with an execution at its very first moment: that is what compiles the plan.
    """

    start_us: int
    end_us: int
    layout: _Layout
    before: Longs
    at_end: Longs


class DatabaseHistory:
    """A pure function of (seed, instance, database, faults) and time; holds no state between calls.

    Args:
        faults: those that concern this database.
    """

    def __init__(
        self, seed: int, instance: str, database: str, statements: int, faults: Sequence[SimulatedFault] = ()
    ) -> None:
        small = frozenset(fault.statement for fault in faults if fault.kind is FaultKind.SMALL_BUT_DOUBLE)
        self.workload = workload(seed, instance, database, statements, small)
        self._lives = tuple(_life(self.workload, tuple(faults), life) for life in lives(faults, HISTORY_BEGINS_US))

    def is_up(self, moment: datetime) -> bool:
        """False during a restart, and before the history begins."""
        return self._life_at(epoch_us(moment)) is not None

    def reading(self, moment: datetime) -> CounterReading:
        """Every counter of the present life that has begun; empty while the database is down."""
        at_us = epoch_us(moment)
        life = self._life_at(at_us)
        if life is None:
            return _empty_reading(moment)
        values, extrema = self._counters(life, at_us)
        counters, no_interval = life.layout, np.zeros(len(values), np.int64)
        reading = CounterReading(
            read_at=moment.astimezone(UTC),
            keys=counters.keys,
            lives=counters.lives,
            query_hash=counters.query_hash,
            plan_hash=counters.plan_hash,
            values=values,
            extrema=extrema,
            interval_start_us=no_interval,
            interval_end_us=no_interval,
            life_began_us=counters.began_us,
        )
        begun = counters.began_us <= at_us
        return reading if begun.all() else _only(reading, np.flatnonzero(begun))

    def truth(self, start: datetime, end: datetime) -> dict[tuple[int, int], TrueWork]:
        """Work after `start` up to and with `end`, lost or not, by (query_hash, plan_hash); idle plans are left out."""
        found: dict[tuple[int, int], TrueWork] = {}
        for life in self._lives:
            work = self._totals(life, epoch_us(end)) - self._totals(life, epoch_us(start))
            for row in np.flatnonzero(work[:, 0] > 0):
                key = (int(life.layout.query_hash[row]), int(life.layout.plan_hash[row]))
                found[key] = found.get(key, TrueWork()) + TrueWork(*(float(value) for value in work[row]))
        return found

    def _life_at(self, at_us: int) -> _Life | None:
        return next((life for life in self._lives if life.start_us <= at_us < life.end_us), None)

    def _totals(self, life: _Life, at_us: int) -> Floats:
        values, _ = self._counters(life, at_us)
        names = ("execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages")
        return values[:, [_COLUMN[name] for name in names]]

    def _counters(self, life: _Life, at_us: int) -> tuple[Floats, Floats]:
        """Values and extrema of every counter of a life at a moment; zero and NaN before it begins."""
        load, parts = self.workload, life.layout
        now = load.executions(at_us)[parts.statement]
        count = np.where(at_us >= parts.end_us, life.at_end, now) - life.before
        count = np.where(at_us >= parts.start_us, count, 0)
        unit = cost_pattern().first(load.pattern[parts.statement], count)
        elapsed = load.elapsed_us[parts.statement] * parts.elapsed
        worker = load.elapsed_us[parts.statement] * load.cpu_share[parts.statement] * parts.worker
        reads = count * np.rint(load.reads_pages[parts.statement] * parts.reads)

        values = np.zeros((len(count), len(COUNTERS)))
        values[:, _COLUMN["execution_count"]] = count
        values[:, _COLUMN["elapsed_time_us"]] = elapsed * unit.total
        values[:, _COLUMN["elapsed_time_us_sumsq"]] = elapsed**2 * unit.square
        values[:, _COLUMN["worker_time_us"]] = worker * unit.total
        values[:, _COLUMN["worker_time_us_sumsq"]] = worker**2 * unit.square
        values[:, _COLUMN["logical_reads_pages"]] = reads
        values[:, _COLUMN["logical_writes_pages"]] = count * load.writes_pages[parts.statement]
        values[:, _COLUMN["physical_reads_pages"]] = np.floor(0.01 * reads)
        values[:, _COLUMN["rows"]] = count * load.rows[parts.statement]
        values[:, [_COLUMN["io_time_us"], _COLUMN["wait_time_us"]]] = np.nan

        lows = np.column_stack([elapsed * unit.low, worker * unit.low])
        highs = np.column_stack([elapsed * unit.high, worker * unit.high])
        return _per_counter(parts.first_stretch, values, lows, highs)


def _per_counter(first_stretch: Longs, values: Floats, lows: Floats, highs: Floats) -> tuple[Floats, Floats]:
    """Fold the stretches of a plan that came back into its one counter."""
    if len(first_stretch) < len(values):
        values = np.add.reduceat(values, first_stretch, axis=0)
        lows = np.minimum.reduceat(lows, first_stretch, axis=0)
        highs = np.maximum.reduceat(highs, first_stretch, axis=0)
    extrema = np.full((len(values), len(EXTREMA)), np.nan)
    extrema[:, [_EXTREME["elapsed_time_us_min"], _EXTREME["worker_time_us_min"]]] = lows
    extrema[:, [_EXTREME["elapsed_time_us_max"], _EXTREME["worker_time_us_max"]]] = highs
    extrema[:, _EXTREME["dop_max"]] = 1.0
    extrema[values[:, 0] == 0] = np.nan
    return values, extrema


def _life(load: Workload, faults: tuple[SimulatedFault, ...], life: tuple[int, int]) -> _Life:
    layout = _layout(len(load.rate_per_s), faults, life)
    return _Life(
        start_us=life[0],
        end_us=life[1],
        layout=layout,
        before=load.executions(layout.start_us, layout.statement) - 1,
        at_end=load.executions(layout.end_us, layout.statement),
    )


@lru_cache(maxsize=256)
def _layout(statements: int, faults: tuple[SimulatedFault, ...], life: tuple[int, int]) -> _Layout:
    found = [(statement, span) for statement in range(statements) for span in spans(faults, statement, life)]
    found.sort(key=lambda part: (part[0], part[1].plan, part[1].start_us))
    owner = [(statement, span.plan) for statement, span in found]
    first = [i for i, key in enumerate(owner) if i == 0 or owner[i - 1] != key]
    hashes = [(query_hash(owner[i][0]), plan_hash(*owner[i])) for i in first]
    start_us = np.array([span.start_us for _, span in found], np.int64)
    return _Layout(
        keys=tuple(f"{query:016x}:{shape:016x}" for query, shape in hashes),
        lives=tuple(f"{life[0]}:{start_us[i]}" for i in first),
        query_hash=np.array([query for query, _ in hashes], np.int64),
        plan_hash=np.array([shape for _, shape in hashes], np.int64),
        began_us=start_us[first],
        first_stretch=np.array(first, np.int64),
        statement=np.array([statement for statement, _ in found], np.int64),
        start_us=start_us,
        end_us=np.array([span.end_us for _, span in found], np.int64),
        elapsed=np.array([span.elapsed for _, span in found]),
        worker=np.array([span.worker for _, span in found]),
        reads=np.array([span.reads for _, span in found]),
    )


def _only(reading: CounterReading, rows: Longs) -> CounterReading:
    return CounterReading(
        read_at=reading.read_at,
        keys=tuple(reading.keys[row] for row in rows),
        lives=tuple(reading.lives[row] for row in rows),
        query_hash=reading.query_hash[rows],
        plan_hash=reading.plan_hash[rows],
        values=reading.values[rows],
        extrema=reading.extrema[rows],
        interval_start_us=reading.interval_start_us[rows],
        interval_end_us=reading.interval_end_us[rows],
        life_began_us=reading.life_began_us[rows],
    )


def _empty_reading(moment: datetime) -> CounterReading:
    none = np.empty(0, np.int64)
    return CounterReading(
        read_at=moment.astimezone(UTC),
        keys=(),
        lives=(),
        query_hash=none,
        plan_hash=none,
        values=np.empty((0, len(COUNTERS))),
        extrema=np.empty((0, len(EXTREMA))),
        interval_start_us=none,
        interval_end_us=none,
        life_began_us=none,
    )
