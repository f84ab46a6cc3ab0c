"""What happens in a week of life: what breaks, who does what, and where the monitor itself is restarted."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from dbplanmon_pipeline.core.incidents.machine import Key
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports.alert_rules import MaintenanceWindow, MuteRule
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault
from dbplanmon_pipeline.providers.simulated.statements import query_hash

INSTANCE = "shop"
DATABASES = ("orders", "billing")
STATEMENTS = 40
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
"""The week is always the same one, so that it always tells the same story."""

BEGINS_AT = MONDAY + timedelta(hours=9)
RESTART_AT = MONDAY + timedelta(days=3, hours=11)
"""In the middle of the third incident."""

PERSON = "dba"
WHOLE_INSTANCE = -1
TUESDAY = 1


def moment(day: int, clock: str) -> datetime:
    """A time of day of the week; Monday is 0."""
    return datetime.combine((MONDAY + timedelta(days=day)).date(), time.fromisoformat(clock), UTC)


@dataclass(frozen=True, slots=True)
class Disturbance:
    """Something that truly makes a statement or the instance slower.

    Attributes:
        name / story: for the reader.
        kind: of fault.
        database: where; empty for the whole instance.
        statement: number, or `WHOLE_INSTANCE`.
        spells: when it is there, as (start, end).
        factor: how much slower.
        also: faults without a cost that explain it, at the start of the first spell.
    """

    name: str
    story: str
    kind: FaultKind
    database: str
    statement: int
    spells: tuple[tuple[datetime, datetime], ...]
    factor: float
    also: tuple[FaultKind, ...] = ()

    @property
    def starts_at(self) -> datetime:
        """Start of the first spell."""
        return self.spells[0][0]

    @property
    def about(self) -> str:
        """Name of what it slows, as in the messages of the week."""
        return statement_name(self.database, self.statement) if self.database else INSTANCE

    @property
    def key(self) -> Key:
        """Key of the incident it owes."""
        return (INSTANCE, self.database, query_hash(self.statement) if self.database else 0)

    def explains(self, key: Key, at: datetime, *, spells: int | None = None) -> bool:
        """True where an incident with this key began within one of the (first) spells."""
        return key == self.key and any(start < at <= end for start, end in self.spells[:spells])

    def faults(self) -> list[SimulatedFault]:
        """As the simulated server takes them."""
        statement = max(self.statement, 0)
        return [
            SimulatedFault(self.name, self.database, statement, self.kind, start, end, self.factor)
            for start, end in self.spells
        ] + [SimulatedFault(self.name, self.database, statement, kind, self.starts_at) for kind in self.also]


def statement_name(database: str, statement: int) -> str:
    """`orders/07`: simulated statements have numbers, not names."""
    return f"{database}/{statement:02d}"


def _every(first: datetime, period: timedelta, lasts: timedelta, times: int) -> tuple[tuple[datetime, datetime], ...]:
    return tuple((first + n * period, first + n * period + lasts) for n in range(times))


DISTURBANCES = (
    Disturbance(
        "plan_flip",
        "A sampled update of statistics makes a statement scan a table instead of seeking.",
        FaultKind.PLAN_REGRESSION,
        "orders",
        6,
        ((moment(0, "14:00"), moment(0, "17:00")),),
        8.0,
        (FaultKind.STATISTICS_UPDATE,),
    ),
    Disturbance(
        "slower_same_plan",
        "A statement needs two and a half times the CPU and reads, with the plan it always had.",
        FaultKind.SLOWER_SAME_PLAN,
        "orders",
        18,
        ((moment(1, "10:00"), moment(1, "15:00")),),
        2.5,
    ),
    Disturbance(
        "maintenance_load",
        "Indexes are rebuilt in the maintenance window, and the whole server is slow.",
        FaultKind.INSTANCE_SLOW,
        "",
        WHOLE_INSTANCE,
        ((moment(1, "22:15"), moment(1, "23:30")),),
        2.2,
    ),
    Disturbance(
        "maintenance_leftover",
        "The rebuild leaves a statement with a bad plan, also after the window.",
        FaultKind.PLAN_REGRESSION,
        "billing",
        6,
        ((moment(1, "23:30"), moment(2, "05:00")),),
        4.0,
        (FaultKind.STATISTICS_UPDATE,),
    ),
    Disturbance(
        "muted_report",
        "A report that everybody knows about gets slow; its messages are muted.",
        FaultKind.PLAN_REGRESSION,
        "billing",
        16,
        ((moment(2, "13:00"), moment(2, "16:00")),),
        6.0,
    ),
    Disturbance(
        "slow_instance",
        "The storage of the server is slow.",
        FaultKind.INSTANCE_SLOW,
        "",
        WHOLE_INSTANCE,
        ((moment(3, "10:00"), moment(3, "13:00")),),
        2.5,
    ),
    Disturbance(
        "flapping_plan",
        "The plan of a statement goes back and forth: two hours slow, four hours well.",
        FaultKind.PLAN_REGRESSION,
        "orders",
        32,
        _every(moment(4, "06:00"), timedelta(hours=6), timedelta(hours=2), 7),
        4.0,
    ),
)

_BY_NAME = {disturbance.name: disturbance for disturbance in DISTURBANCES}

TAKEN, TAKEN_AT = _BY_NAME["slower_same_plan"], moment(1, "11:00")
"""Somebody acknowledges this one, before a reminder is due."""

MUTED = _BY_NAME["muted_report"]
MUTE = MuteRule(
    mute_id="week-report",
    created_at=moment(1, "16:00"),
    created_by=PERSON,
    reason="known; waits for the next release",
    instance=INSTANCE,
    database=MUTED.database,
    query_hash=query_hash(MUTED.statement),
    expires_at=moment(8, "16:00"),
)
WINDOW = MaintenanceWindow(
    window_id="week-rebuild",
    weekdays=frozenset({TUESDAY}),
    starts=time(22),
    ends=time(2),
    time_zone="UTC",
    created_at=moment(1, "16:00"),
    created_by=PERSON,
    reason="indexes are rebuilt",
    instance=INSTANCE,
)


def faults() -> tuple[SimulatedFault, ...]:
    """All that goes wrong, known from the start: the life of a simulated server follows from it."""
    return tuple(fault for disturbance in DISTURBANCES for fault in disturbance.faults())


def ends_at(days: int) -> datetime:
    """The end of a story of so many days."""
    return BEGINS_AT + timedelta(days=days)


def names() -> dict[tuple[DatabaseRef, int], str]:
    """Name of each statement by its database and query hash."""
    return {
        (DatabaseRef(INSTANCE, database), query_hash(number)): statement_name(database, number)
        for database in DATABASES
        for number in range(STATEMENTS)
    }
