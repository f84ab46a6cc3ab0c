"""Stretches of time in which a statement keeps its plan and its costs, and the work of each up to any moment.

All work is counted in whole executions, microseconds and pages, so that what is added up in any order, or cut into
intervals and averages, comes out the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.providers.simulated.faults import PLANS, CacheLife, SimulatedFault, lives, spans
from dbplanmon_pipeline.providers.simulated.statements import plan_hash, query_hash
from dbplanmon_pipeline.providers.simulated.workload import HISTORY_BEGINS_US, Workload, cost_pattern

TOTALS = (
    "execution_count",
    "elapsed_time_us",
    "elapsed_time_us_sumsq",
    "worker_time_us",
    "worker_time_us_sumsq",
    "logical_reads_pages",
    "logical_writes_pages",
    "physical_reads_pages",
    "rows",
    "wait_time_us",
    "aborted_count",
)
"""Last axis of `StretchWork.totals`; whole numbers but for the sums of squares. `aborted_count` is not contained in
`execution_count`."""

AT = {name: column for column, name in enumerate(TOTALS)}
_PHYSICAL_SHARE = 0.01
_MILLISECOND = 1_000.0
"""Waits are counted in these."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Stretches of every statement, the same for every database with the same faults; row i of each array is one.

    Attributes:
        lives: of the plan cache.
        statement / plan: numbers. `query_hash` / `plan_hash`: what they are called.
        life: number of the life a stretch lies in; it never crosses the end of one.
        counter: the same number for stretches of one plan in one life, rising with the rows.
        start_us / end_us: epoch microseconds, half open.
        elapsed / worker / reads: cost factors. `aborted_every` / `often` / `aborted_of_each`: see `Span`.
    """

    lives: tuple[CacheLife, ...]
    statement: Longs
    plan: Longs
    query_hash: Longs
    plan_hash: Longs
    life: Longs
    counter: Longs
    start_us: Longs
    end_us: Longs
    elapsed: Floats
    worker: Floats
    reads: Floats
    aborted_every: Longs
    often: Floats
    aborted_of_each: Longs

    def __len__(self) -> int:
        return len(self.statement)

    def life_at(self, at_us: int) -> int | None:
        """Number of the life at a moment; None while the server is down, and before the history."""
        found = (number for number, life in enumerate(self.lives) if life.start_us <= at_us < life.end_us)
        return next(found, None)

    def within(self, from_us: int, to_us: int) -> Longs:
        """Stretches that have a moment of [from_us, to_us], in order."""
        return np.flatnonzero((self.start_us <= to_us) & (self.end_us > from_us))


@lru_cache(maxsize=256)
def layout(statements: int, faults: tuple[SimulatedFault, ...]) -> Layout:
    """All stretches, by life, statement, plan and time."""
    all_lives = lives(faults, HISTORY_BEGINS_US)
    found = [
        (number, statement, span.plan, span)
        for number, life in enumerate(all_lives)
        for statement in range(statements)
        for span in spans(faults, statement, life)
    ]
    found.sort(key=lambda part: (*part[:3], part[3].start_us))
    owners = np.array([part[:3] for part in found], np.int64).reshape(-1, 3)
    new = np.ones(len(found), np.bool_)
    new[1:] = (owners[1:] != owners[:-1]).any(axis=1)
    cut = [part[3] for part in found]

    def longs(values: Sequence[int]) -> Longs:
        return np.array(values, np.int64)

    return Layout(
        lives=tuple(all_lives),
        statement=owners[:, 1],
        plan=owners[:, 2],
        query_hash=longs([query_hash(statement) for _, statement, _, _ in found]),
        plan_hash=longs([plan_hash(statement, plan) for _, statement, plan, _ in found]),
        life=owners[:, 0],
        counter=np.cumsum(new) - 1,
        start_us=longs([span.start_us for span in cut]),
        end_us=longs([span.end_us for span in cut]),
        elapsed=np.array([span.elapsed for span in cut], float),
        worker=np.array([span.worker for span in cut], float),
        reads=np.array([span.reads for span in cut], float),
        aborted_every=longs([span.aborted_every for span in cut]),
        often=np.array([span.often for span in cut], float),
        aborted_of_each=longs([span.aborted_of_each for span in cut]),
    )


class StretchWork:
    """Work of one database. A stretch begins with an execution at its very first moment: that compiles the plan."""

    def __init__(self, load: Workload, parts: Layout) -> None:
        own = parts.statement
        self._load = load
        self._parts = parts
        self._before = load.executions(parts.start_us, own) - 1
        self._at_end = load.executions(parts.end_us - 1, own)
        self.elapsed_us = load.elapsed_us[own] * parts.elapsed
        self.worker_us = load.elapsed_us[own] * load.cpu_share[own] * parts.worker
        self._waiting_us = np.maximum(self.elapsed_us - self.worker_us, 0.0)
        self.reads_pages = np.rint(load.reads_pages[own] * parts.reads)
        self._pattern = load.pattern[own]
        self._is_uneven = bool((parts.often != 1.0).any())

    def executions(self, moments_us: Longs, chosen: Longs) -> Longs:
        """Executions of stretches since their beginning that ended well, up to and with each moment.

        Args:
            moments_us: [moments], epoch microseconds.
            chosen: [stretches], which.

        Returns:
            int64 [moments, stretches].
        """
        at_us, parts = moments_us.reshape(-1, 1), self._parts
        start_us, end_us = parts.start_us[chosen], parts.end_us[chosen]
        now = self._load.executions(at_us, parts.statement[chosen])
        count = np.where(at_us >= end_us, self._at_end[chosen], now) - self._before[chosen]
        if self._is_uneven:
            count = np.ceil(count * parts.often[chosen]).astype(np.int64)
        lost = parts.aborted_of_each[chosen]
        # The first one ends, else there would be no row of the plan that tells of the others.
        return np.where(at_us >= start_us, (count + lost) // (1 + lost), 0)

    def totals(self, executions: Longs, chosen: Longs) -> Floats:
        """What so many first executions of each stretch did, float64 [..., stretches, TOTALS]."""
        load, own, count = self._load, self._parts.statement[chosen], executions
        total, square = cost_pattern().first(self._pattern[chosen], count)
        elapsed, worker = self.elapsed_us[chosen], self.worker_us[chosen]
        reads = count * self.reads_pages[chosen]
        every = self._parts.aborted_every[chosen]
        found = np.empty((*count.shape, len(TOTALS)))
        found[..., AT["execution_count"]] = count
        found[..., AT["elapsed_time_us"]] = np.rint(elapsed * total)
        found[..., AT["elapsed_time_us_sumsq"]] = elapsed**2 * square
        found[..., AT["worker_time_us"]] = np.rint(worker * total)
        found[..., AT["worker_time_us_sumsq"]] = worker**2 * square
        found[..., AT["logical_reads_pages"]] = reads
        found[..., AT["logical_writes_pages"]] = count * load.writes_pages[own]
        found[..., AT["physical_reads_pages"]] = np.floor(_PHYSICAL_SHARE * reads)
        found[..., AT["rows"]] = count * load.rows[own]
        found[..., AT["wait_time_us"]] = _MILLISECOND * np.floor(self._waiting_us[chosen] * total / _MILLISECOND)
        beside = np.where(every > 0, count // np.maximum(every, 1), 0)
        found[..., AT["aborted_count"]] = beside + count * self._parts.aborted_of_each[chosen]
        return found

    def bounds(self, begin: Longs, end: Longs, chosen: Longs) -> tuple[Floats, Floats]:
        """Bounds of the cost of executions `begin` to `end` - 1 of each stretch, in units of its mean; begin < end."""
        return cost_pattern().bounds(self._pattern[chosen], begin, end)


def counters_of(parts: Layout, chosen: Longs) -> tuple[Longs, Longs]:
    """Where each counter begins among some stretches, and its number."""
    numbers = parts.counter[chosen]
    first = np.ones(len(numbers), np.bool_)
    first[1:] = numbers[1:] != numbers[:-1]
    begins = np.flatnonzero(first)
    return begins, numbers[begins]


def local_ids(parts: Layout, tie: Longs) -> tuple[Longs, Longs]:
    """`query_id` and `plan_id` of each stretch: numbered by first appearance, anew each time Query Store was emptied.

    Args:
        parts: the stretches.
        tie: per statement, orders those that appear at the same moment.
    """
    generation = np.array([life.generation for life in parts.lives], np.int64)[parts.life]
    query = generation * len(tie) + parts.statement
    plan = query * PLANS + parts.plan
    order = tie[parts.statement]
    return _numbered(query, parts.start_us, generation, order), _numbered(plan, parts.start_us, generation, order)


def _numbered(owner: Longs, start_us: Longs, generation: Longs, tie: Longs) -> Longs:
    """1, 2, ... for each owner, by generation, first appearance and tie."""
    order = np.lexsort((tie, start_us, generation))
    _, first, member = np.unique(owner[order], return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1)
    numbered = np.empty(len(owner), np.int64)
    numbered[order] = rank[member]
    return numbered
