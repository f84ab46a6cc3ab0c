"""Faults on demand: what goes wrong in the simulated fleet, when, and how each kind changes the costs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.errors import SettingsError

NORMAL_PLAN = 0
REGRESSED_PLAN = 1
HARMLESS_PLAN = 2
PLANS = 3
"""How many plans a statement has."""

FOR_EVER_US = 1 << 59
"""Year 20,238; far enough, and small enough to compute with."""


class FaultKind(StrEnum):
    """What can be ordered."""

    PLAN_REGRESSION = "plan_regression"
    SLOWER_SAME_PLAN = "slower_same_plan"
    HARMLESS_PLAN_CHANGE = "harmless_plan_change"
    SMALL_BUT_DOUBLE = "small_but_double"
    STATISTICS_UPDATE = "statistics_update"
    FORCED_PLAN = "forced_plan"
    ABORTED_EXECUTIONS = "aborted_executions"
    FAILING_PLAN = "failing_plan"
    MORE_EXECUTIONS = "more_executions"
    NEW_STATEMENT = "new_statement"
    INSTANCE_SLOW = "instance_slow"
    QUIET = "quiet"
    RESTART = "restart"
    UPDATE = "update"
    CRASH = "crash"
    EVICTION = "eviction"
    QUERY_STORE_OFF = "query_store_off"
    LATE_FLUSH = "late_flush"


_PLAN_OF = {FaultKind.PLAN_REGRESSION: REGRESSED_PLAN, FaultKind.HARMLESS_PLAN_CHANGE: HARMLESS_PLAN}
_COSTLY = frozenset(
    {
        FaultKind.PLAN_REGRESSION,
        FaultKind.SLOWER_SAME_PLAN,
        FaultKind.HARMLESS_PLAN_CHANGE,
        FaultKind.SMALL_BUT_DOUBLE,
        FaultKind.INSTANCE_SLOW,
    }
)
_KEEPS_READS = frozenset({FaultKind.INSTANCE_SLOW, FaultKind.SMALL_BUT_DOUBLE})
_STOPS = frozenset({FaultKind.RESTART, FaultKind.UPDATE, FaultKind.CRASH})
_MOMENTARY = frozenset({*_STOPS, FaultKind.EVICTION, FaultKind.STATISTICS_UPDATE, FaultKind.NEW_STATEMENT})
_OF_WORKLOAD = frozenset({FaultKind.ABORTED_EXECUTIONS, FaultKind.MORE_EXECUTIONS, FaultKind.NEW_STATEMENT})
WHOLE_DATABASE = frozenset(
    {
        *_STOPS,
        FaultKind.INSTANCE_SLOW,
        FaultKind.QUIET,
        FaultKind.EVICTION,
        FaultKind.QUERY_STORE_OFF,
        FaultKind.LATE_FLUSH,
    }
)


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """One thing that goes wrong.

    Attributes:
        name: for reports.
        database: where; empty for every database of the instance.
        statement: number of the statement, from 0; without meaning for what concerns a whole database.
        kind: of one statement: `plan_regression` (another plan; elapsed time, CPU and reads x factor),
            `slower_same_plan` (the same without another plan), `harmless_plan_change` (another plan x factor, for
            example 0.95), `small_but_double` (elapsed time and CPU x factor; the statement costs 3 ms once a minute all
            its life), `statistics_update` (costs stay; plans compiled later name it), `forced_plan` (its normal plan is
            forced and fails so often an hour as the factor says), `aborted_executions` (beside every factor-th
            execution, rounded, another one is cut short by the client), `failing_plan` (another plan, with which of
            one and factor executions, rounded, all but one are cut short by the client; that one costs as ever),
            `more_executions` (it runs factor times as often, each run costs what it did), `new_statement` (it did not
            run before).
            Of a whole database: `instance_slow` (elapsed time x factor, CPU x its fourth root), `quiet` (nothing
            runs), `restart` (the plan cache is lost), `update` (the same, and it comes back with a later build),
            `crash` (and what Query Store had not flushed is lost), `eviction` (the plan cache and all of Query Store
            are emptied), `query_store_off` (it records nothing), `late_flush` (Query Store shows the work of the
            stretch only from `shows_at` on).
        starts_at / ends_at: aware; without an end it lasts. A restart, update or crash is down in between, and comes
            back at once without an end. An eviction, a statistics update and a new statement are a
            moment and have no end.
        factor: > 0; without meaning where none is named.
        shows_at: of a late flush; its end where not given.

    Raises:
        SettingsError: the kind is unknown, or the times or the factor make no sense.
    """

    name: str
    database: str
    statement: int
    kind: FaultKind
    starts_at: datetime
    ends_at: datetime | None = None
    factor: float = 1.0
    shows_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.kind not in set(FaultKind):
            raise SettingsError(f"fault {self.name!r}: kind must be one of {', '.join(FaultKind)}, not {self.kind!r}")
        object.__setattr__(self, "kind", FaultKind(self.kind))
        moments = [moment for moment in (self.starts_at, self.ends_at, self.shows_at) if moment is not None]
        if any(moment.tzinfo is None for moment in moments):
            raise SettingsError(f"fault {self.name!r}: times need a time zone")
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            raise SettingsError(f"fault {self.name!r}: ends_at must be later than starts_at")
        if self.shows_at is not None and (self.ends_at is None or self.shows_at < self.ends_at):
            raise SettingsError(f"fault {self.name!r}: shows_at needs an ends_at, and must not be earlier")
        if self.kind is FaultKind.LATE_FLUSH and self.ends_at is None:
            raise SettingsError(f"fault {self.name!r}: a late flush needs an ends_at")
        if not self.factor > 0:
            raise SettingsError(f"fault {self.name!r}: factor must be above 0, not {self.factor}")

    @property
    def start_us(self) -> int:
        """Epoch microseconds."""
        return epoch_us(self.starts_at)

    @property
    def end_us(self) -> int:
        """Epoch microseconds, far away for a fault that lasts; what is a moment is over at once."""
        if self.ends_at is not None:
            return epoch_us(self.ends_at)
        return self.start_us if self.kind in _MOMENTARY else FOR_EVER_US

    @property
    def shows_us(self) -> int:
        """When the work of a late flush appears [epoch microseconds]."""
        return self.end_us if self.shows_at is None else epoch_us(self.shows_at)

    def concerns(self, statement: int) -> bool:
        """True where it changes how this statement runs."""
        if self.kind is FaultKind.INSTANCE_SLOW:
            return True
        changes = self.kind in _COSTLY or self.kind in _OF_WORKLOAD or self.kind is FaultKind.FAILING_PLAN
        return changes and self.statement == statement

    def is_on(self, moment_us: int) -> bool:
        """True from its start until before its end."""
        return self.start_us <= moment_us < self.end_us


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time [epoch microseconds, half open] in which a statement keeps its plan and its cost factors.

    `aborted_every`: beside each so-many-th execution another one is cut short; 0 for none. `often`: so many times as
    often as usual it runs. `aborted_of_each`: so many are cut short for each one that ends; 0 for none.
    """

    start_us: int
    end_us: int
    plan: int = NORMAL_PLAN
    elapsed: float = 1.0
    worker: float = 1.0
    reads: float = 1.0
    aborted_every: int = 0
    often: float = 1.0
    aborted_of_each: int = 0


@dataclass(frozen=True, slots=True)
class CacheLife:
    """A stretch of time [epoch microseconds, half open] in which the plan cache forgets nothing.

    `boot_us`: when the server started. `generation`: how often Query Store was emptied before.
    """

    start_us: int
    end_us: int
    boot_us: int
    generation: int


def lives(faults: Iterable[SimulatedFault], begin_us: int) -> list[CacheLife]:
    """Lives of the plan cache, in order; between two of them the server may be down."""
    breaks = sorted(
        (fault.start_us, fault.end_us, fault.kind is FaultKind.EVICTION)
        for fault in faults
        if fault.kind in _STOPS or fault.kind is FaultKind.EVICTION
    )
    found, since, boot, generation = [], begin_us, begin_us, 0
    for down, up, emptied in breaks:
        if down > since:
            found.append(CacheLife(since, down, boot, generation))
        since = max(since, up)
        generation += emptied
        boot = boot if emptied else since
    return [*found, CacheLife(since, FOR_EVER_US, boot, generation)]


def spans(faults: Sequence[SimulatedFault], statement: int, life: CacheLife) -> list[Span]:
    """One life of one statement, cut where a fault begins or ends; factors of faults at the same time multiply."""
    mine = [fault for fault in faults if fault.concerns(statement)]
    quiet = [fault for fault in faults if fault.kind is FaultKind.QUIET]
    moments = {moment for fault in [*mine, *quiet] for moment in (fault.start_us, fault.end_us)}
    inside = sorted(moment for moment in moments if life.start_us < moment < life.end_us)
    cuts = [life.start_us, *inside, life.end_us]
    born = max((fault.start_us for fault in mine if fault.kind is FaultKind.NEW_STATEMENT), default=life.start_us)
    return [
        _span(mine, start, end)
        for start, end in pairwise(cuts)
        if start >= born and not any(fault.is_on(start) for fault in quiet)
    ]


def _span(faults: Sequence[SimulatedFault], start_us: int, end_us: int) -> Span:
    plan, elapsed, worker, reads = NORMAL_PLAN, 1.0, 1.0, 1.0
    aborted_every, often, of_each = 0, 1.0, 0
    for fault in sorted(faults, key=lambda fault: fault.start_us):
        if not fault.is_on(start_us):
            continue
        if fault.kind is FaultKind.ABORTED_EXECUTIONS:
            aborted_every = max(1, round(fault.factor))
        elif fault.kind is FaultKind.MORE_EXECUTIONS:
            often *= fault.factor
        if fault.kind in _OF_WORKLOAD:
            continue
        if fault.kind is FaultKind.FAILING_PLAN:
            plan, of_each = REGRESSED_PLAN, max(1, round(fault.factor))
            continue
        plan = _PLAN_OF.get(fault.kind, plan)
        elapsed *= fault.factor
        worker *= fault.factor**0.25 if fault.kind is FaultKind.INSTANCE_SLOW else fault.factor
        if fault.kind not in _KEEPS_READS:
            reads *= fault.factor
    return Span(start_us, end_us, plan, elapsed, worker, reads, aborted_every, often, of_each)
