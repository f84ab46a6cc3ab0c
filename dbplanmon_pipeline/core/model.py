"""The words of the house: targets, statements, plans and outcomes as plain frozen values."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

_UNSIGNED = 1 << 64
_SIGN_BIT = 1 << 63
_HEX_DIGITS = 16


def hash_text(value: int) -> str:
    """A signed 64-bit hash as 16 hex digits; 0, the unknown hash, as the empty text."""
    return format(value % _UNSIGNED, "016x") if value else ""


def hash_int(text: str) -> int:
    """16 hex digits (0x allowed, leading zeros optional) as a signed 64-bit hash; the empty text as 0.

    Raises:
        ValueError: the text is no 64-bit hexadecimal number.
    """
    if not text:
        return 0
    value = int(text, 16)
    if not 0 <= value < _UNSIGNED:
        raise ValueError(f"{text!r} is no 64-bit hash")
    return value - _UNSIGNED if value & _SIGN_BIT else value


def hash_sought(words: str) -> int:
    """The hash that somebody looks for by its 16 hex digits, with or without 0x; 0 for any other words."""
    digits = words.strip().lower().removeprefix("0x")
    try:
        return hash_int(digits) if len(digits) == _HEX_DIGITS else 0
    except ValueError:
        return 0


class Engine(StrEnum):
    """Kinds of monitored servers."""

    SQLSERVER = "sqlserver"
    POSTGRES = "postgres"
    SIMULATED = "simulated"


@dataclass(frozen=True, slots=True, order=True)
class DatabaseRef:
    """One monitored database, by the names the settings give it."""

    instance: str
    database: str

    def __str__(self) -> str:
        return f"{self.instance}/{self.database}"

    @classmethod
    def parse(cls, text: str) -> "DatabaseRef":
        """Read `instance/database`; the instance name holds no slash, the database name may.

        Raises:
            ValueError: there is no slash, or a part is empty.
        """
        instance, slash, database = text.partition("/")
        if not (instance and slash and database):
            raise ValueError(f"{text!r} is not of the form instance/database")
        return cls(instance, database)


class Severity(StrEnum):
    """How bad an incident is, in rising order."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for low to 3 for critical."""
        return _RISING.index(self)


_RISING = tuple(Severity)


class Label(StrEnum):
    """What kind of slowness, or of failure, an incident is."""

    PLAN_REGRESSION = "plan_regression"
    FAILING = "failing_executions"
    PARAMETER_SENSITIVITY = "parameter_sensitivity"
    DATA_GROWTH = "data_growth"
    CONTENTION = "contention"
    DATABASE_SLOWDOWN = "database_slowdown"
    INSTANCE_SLOWDOWN = "instance_slowdown"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing a target can or cannot do, and the remedy where it cannot."""

    name: str
    available: bool
    detail: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the probe found on one database: version and features, each with its remedy."""

    engine: Engine
    version: str
    version_number: int
    items: tuple[Capability, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """True where the named capability was found."""
        return any(item.name == name and item.available for item in self.items)

    @property
    def missing(self) -> tuple[Capability, ...]:
        """Capabilities that are not there."""
        return tuple(item for item in self.items if not item.available)


@dataclass(frozen=True, slots=True)
class StatementText:
    """A statement as the engine normalised it; `text` is already redacted.

    `plan_reason` is why it had no plan at the last look, as the store knows it; empty where it had one.
    """

    query_hash: int
    text: str
    kind: str = ""
    plan_reason: str = ""


@dataclass(frozen=True, slots=True)
class CapturedPlan:
    """One plan read from a target, or the reason why there is none.

    Attributes:
        query_hash: statement it belongs to.
        plan_hash: hash of the operator shape; 0 where there is no plan. Where the engine names its plans, one that
            cannot be kept (too large, not safe to mask, not there) has its hash beside the reason: it will not be
            asked for again soon.
        format: `pgjson` or `showplan`; empty where there is no plan.
        body: redacted plan text; empty where there is no plan.
        origin: how the plan was obtained: `generic`, `generic search` (of the rows that a statement looks for to change
            them), `estimated` or `cached`.
        reason: why there is no plan; empty where there is one.
        context: facts that explain the plan and help to restore it, for example
            `{"indexes": {name: ddl}, "settings": {name: value}, "tables": {name: {"rows": n}}}`.
    """

    query_hash: int
    plan_hash: int
    format: str = ""
    body: str = ""
    origin: str = ""
    reason: str = ""
    context: dict[str, Any] = field(default_factory=dict)


class CollectionStatus(StrEnum):
    """How the reading of one database ended."""

    OK = "ok"
    FIRST_READING = "first_reading"
    FAILED = "failed"
    SKIPPED = "skipped"
    SPOOLED = "spooled"
    """Read, but the store was away; never in the log: the reading is recorded as `ok` once the store is back."""


@dataclass(frozen=True, slots=True)
class CollectionOutcome:
    """One row of the collection log.

    Attributes:
        ref: which database.
        started_at: aware UTC.
        status: how it ended.
        error_class: class of the error tree (`unreachable`, `login`, `permission`, `timeout`, `feature`), else empty.
        message: one line, scrubbed; empty when all went well.
        rows: interval rows recorded.
        statements_read: statements whose counters were read from the target.
        new_statements / new_plans / plan_changes: what was seen for the first time.
        resets: counter lives that ended since the last reading.
        gap_seconds: time before the interval that no reading covers (None when there is no gap).
        lag_seconds: age of the newest reading when it was stored.
        duration_ms: wall time on our side.
        cost_ms: time the target itself spent on our statements, where it tells; else None.
    """

    ref: DatabaseRef
    started_at: datetime
    status: CollectionStatus
    error_class: str = ""
    message: str = ""
    rows: int = 0
    statements_read: int = 0
    new_statements: int = 0
    new_plans: int = 0
    plan_changes: int = 0
    resets: int = 0
    gap_seconds: float | None = None
    lag_seconds: float | None = None
    duration_ms: float = 0.0
    cost_ms: float | None = None
