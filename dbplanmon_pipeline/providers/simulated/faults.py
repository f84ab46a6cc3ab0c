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
FOR_EVER_US = 1 << 59
"""Year 20,238; far enough, and small enough to compute with."""


class FaultKind(StrEnum):
    """What can be ordered."""

    PLAN_REGRESSION = "plan_regression"
    SLOWER_SAME_PLAN = "slower_same_plan"
    HARMLESS_PLAN_CHANGE = "harmless_plan_change"
    SMALL_BUT_DOUBLE = "small_but_double"
    INSTANCE_SLOW = "instance_slow"
    RESTART = "restart"


_PLAN_OF = {FaultKind.PLAN_REGRESSION: REGRESSED_PLAN, FaultKind.HARMLESS_PLAN_CHANGE: HARMLESS_PLAN}
_WHOLE_DATABASE = frozenset({FaultKind.INSTANCE_SLOW, FaultKind.RESTART})


@dataclass(frozen=True, slots=True)
class SimulatedFault:
    """One thing that goes wrong.

    Attributes:
        name: for reports.
        database: where; empty for every database of the instance.
        statement: number of the statement, from 0; without meaning for `instance_slow` and `restart`.
        kind: `plan_regression` (another plan; elapsed time, CPU and reads x factor), `slower_same_plan` (the same
            without another plan), `harmless_plan_change` (another plan x factor, for example 0.95),
            `small_but_double` (elapsed time and CPU x factor; the statement costs 3 ms once a minute all its life),
            `instance_slow` (elapsed time x factor, CPU x its fourth root), `restart` (counters begin again).
        starts_at / ends_at: aware; without an end it lasts. A restart is down in between, and comes back at once
            without an end.
        factor: > 0; without meaning for a restart.

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

    def __post_init__(self) -> None:
        if self.kind not in set(FaultKind):
            raise SettingsError(f"fault {self.name!r}: kind must be one of {', '.join(FaultKind)}, not {self.kind!r}")
        object.__setattr__(self, "kind", FaultKind(self.kind))
        moments = [moment for moment in (self.starts_at, self.ends_at) if moment is not None]
        if any(moment.tzinfo is None for moment in moments):
            raise SettingsError(f"fault {self.name!r}: times need a time zone")
        if len(moments) == 2 and moments[1] <= moments[0]:
            raise SettingsError(f"fault {self.name!r}: ends_at must be later than starts_at")
        if not self.factor > 0:
            raise SettingsError(f"fault {self.name!r}: factor must be above 0, not {self.factor}")

    @property
    def start_us(self) -> int:
        """Epoch microseconds."""
        return epoch_us(self.starts_at)

    @property
    def end_us(self) -> int:
        """Epoch microseconds, far away for a fault that lasts; a restart without an end is over at once."""
        if self.ends_at is not None:
            return epoch_us(self.ends_at)
        return self.start_us if self.kind is FaultKind.RESTART else FOR_EVER_US

    def concerns(self, statement: int) -> bool:
        """True where it changes what this statement costs."""
        return self.kind is not FaultKind.RESTART and (self.kind in _WHOLE_DATABASE or self.statement == statement)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time [epoch microseconds, half open] in which a statement keeps its plan and its cost factors."""

    start_us: int
    end_us: int
    plan: int = NORMAL_PLAN
    elapsed: float = 1.0
    worker: float = 1.0
    reads: float = 1.0


def lives(faults: Iterable[SimulatedFault], begin_us: int) -> list[tuple[int, int]]:
    """Stretches of uptime [epoch microseconds, half open], in order."""
    restarts = sorted((fault.start_us, fault.end_us) for fault in faults if fault.kind is FaultKind.RESTART)
    found, since = [], begin_us
    for down, up in restarts:
        if down > since:
            found.append((since, down))
        since = max(since, up)
    return [*found, (since, FOR_EVER_US)]


def spans(faults: Sequence[SimulatedFault], statement: int, life: tuple[int, int]) -> list[Span]:
    """One life of one statement, cut where a fault begins or ends; factors of faults at the same time multiply."""
    mine = [fault for fault in faults if fault.concerns(statement)]
    inside = {moment for fault in mine for moment in (fault.start_us, fault.end_us) if life[0] < moment < life[1]}
    cuts = [life[0], *sorted(inside), life[1]]
    return [_span(mine, start, end) for start, end in pairwise(cuts)]


def _span(faults: Sequence[SimulatedFault], start_us: int, end_us: int) -> Span:
    plan, elapsed, worker, reads = NORMAL_PLAN, 1.0, 1.0, 1.0
    for fault in sorted(faults, key=lambda fault: fault.start_us):
        if not fault.start_us <= start_us < fault.end_us:
            continue
        plan = _PLAN_OF.get(fault.kind, plan)
        elapsed *= fault.factor
        worker *= fault.factor**0.25 if fault.kind is FaultKind.INSTANCE_SLOW else fault.factor
        if fault.kind not in (FaultKind.INSTANCE_SLOW, FaultKind.SMALL_BUT_DOUBLE):
            reads *= fault.factor
    return Span(start_us, end_us, plan, elapsed, worker, reads)
