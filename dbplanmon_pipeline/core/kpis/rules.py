"""Figures of users: when they are due, what a value means, and when people are told of it; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from statistics import median

from dbplanmon_pipeline.core.cron import Cron
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.kpis.statement import KpiRow, KpiStatement
from dbplanmon_pipeline.core.model import DatabaseRef, Severity

HISTORY_WEEKS = 8
FIRST_CRON_SPAN = timedelta(minutes=5)
"""A KPI that never ran takes up the moment of its cron so much later; earlier ones are past."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR, _WEEK = timedelta(hours=1), timedelta(weeks=1)

Span = tuple[datetime, datetime]


class KpiState(StrEnum):
    """What one reading says.

    `unknown` is a value that cannot be judged yet, `error` one that could not be read, `left_alone` one that nobody
    asked for since its instance rests.
    """

    OK = "ok"
    BREACH = "breach"
    UNKNOWN = "unknown"
    ERROR = "error"
    LEFT_ALONE = "left_alone"


@dataclass(frozen=True, slots=True)
class KpiLimits:
    """What a value is compared with; None is not compared.

    Attributes:
        deviation_percent: distance from what is normal at this hour of the week.
        minimum_samples: earlier values of that hour that are needed to know what is normal.
    """

    expected: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    deviation_percent: float | None = None
    minimum_samples: int = 8


@dataclass(frozen=True, slots=True)
class KpiSpec:
    """One KPI as the settings have it.

    Attributes:
        name: unique.
        ref: where it is read.
        statement: what is run.
        limits: what its value is compared with.
        column: whose value counts; empty takes the first.
        interval: time between readings, counted from 1970 in UTC.
        cron: in place of the interval.
        timeout_seconds: of one reading, connecting included.
        severity: of a breach.
    """

    name: str
    ref: DatabaseRef
    statement: KpiStatement
    limits: KpiLimits
    column: str = ""
    interval: timedelta = timedelta(minutes=5)
    cron: Cron | None = None
    timeout_seconds: float = 300.0
    severity: Severity = Severity.MEDIUM


@dataclass(frozen=True, slots=True)
class KpiResult:
    """One reading.

    Attributes:
        normal: what the value was compared with where that is learnt; None where it is not.
        message: why it is not ok, one line without text of the statement.
    """

    name: str
    started_at: datetime
    duration_ms: float
    state: KpiState
    value: float | None = None
    normal: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class KpiMemory:
    """A KPI between two readings.

    Attributes:
        started_at: begin of the last reading, the one under way included; None before the first.
        leased_until: a reading is under way, at most until then.
        trouble: `ok`, or `breach` or `error` once people were told of it.
        began_at: when that trouble was first seen.
        calm: good readings in a row since.
        errors: failed readings in a row.
        escalated: people were told a second time.
    """

    name: str
    started_at: datetime | None = None
    leased_until: datetime | None = None
    trouble: KpiState = KpiState.OK
    began_at: datetime | None = None
    calm: int = 0
    errors: int = 0
    escalated: bool = False

    def is_under_way(self, now: datetime) -> bool:
        """True while another reading holds it."""
        return self.leased_until is not None and self.leased_until > now


@dataclass(frozen=True, slots=True)
class KpiPolicy:
    """When people are told.

    Attributes:
        calm_readings: good readings in a row that end a trouble.
        tolerated_errors: failed readings in a row before people are told; a KPI nobody can read is no calm one.
        escalate_after: age of a breach at which they are told again; None never.
    """

    calm_readings: int = 3
    tolerated_errors: int = 2
    escalate_after: timedelta | None = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class KpiChange:
    """A step that people are told of; `began_at` is that of the trouble that opened, lasts or ended."""

    event: IncidentEvent
    trouble: KpiState
    began_at: datetime


def is_due(spec: KpiSpec, memory: KpiMemory, now: datetime) -> bool:
    """True where its last moment has passed since the last reading began; never while that one is under way."""
    if memory.is_under_way(now):
        return False
    if spec.cron is not None:
        return spec.cron.latest(now, memory.started_at or now - FIRST_CRON_SPAN) is not None
    return memory.started_at is None or memory.started_at < _aligned(now, spec.interval)


def _aligned(now: datetime, interval: timedelta) -> datetime:
    return _EPOCH + (now - _EPOCH) // interval * interval


def same_hours(now: datetime, weeks: int = HISTORY_WEEKS) -> list[Span]:
    """The same hour of the week in the weeks before, half open, the newest first."""
    start = _aligned(now, _HOUR)
    return [(start - week * _WEEK, start - week * _WEEK + _HOUR) for week in range(1, weeks + 1)]


def figure_of(row: KpiRow, column: str) -> float | None:
    """The value that counts; None where it is NULL.

    Raises:
        ValueError: no row, no such column, or no finite number; the message holds no value.
    """
    if not row.row_count:
        raise ValueError("the statement gave no row; let it return one row with a number")
    place = _place_of(row.columns, column)
    value = row.values[place]
    if value is None:
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if not isinstance(value, int | float | Decimal) or not math.isfinite(value):
        raise ValueError(f"column {place + 1} holds no number; cast it to one")
    return float(value)


def _place_of(columns: Sequence[str], column: str) -> int:
    if not columns:
        raise ValueError("the statement gave no columns; let it return one row with a number")
    if not column:
        return 0
    names = [name.lower() for name in columns]
    if column.lower() not in names:
        raise ValueError(f"no column is named {column}; the statement gives {len(columns)} other columns")
    return names.index(column.lower())


def judge(value: float | None, limits: KpiLimits, history: Sequence[float]) -> tuple[KpiState, str, float | None]:
    """State, why, and what is normal; `history` holds earlier values of the same hour of the week."""
    if value is None:
        return KpiState.UNKNOWN, "the value is NULL", None
    if broken := _broken_limit(value, limits):
        return KpiState.BREACH, broken, None
    if limits.deviation_percent is None:
        return KpiState.OK, "", None
    others = (limits.expected, limits.minimum, limits.maximum)
    return _judge_deviation(value, limits, history, judged=any(limit is not None for limit in others))


def _broken_limit(value: float, limits: KpiLimits) -> str:
    if limits.expected is not None and not math.isclose(value, limits.expected, rel_tol=1e-9, abs_tol=1e-9):
        return f"{number_words(limits.expected)} is expected"
    if limits.minimum is not None and value < limits.minimum:
        return f"below the minimum of {number_words(limits.minimum)}"
    if limits.maximum is not None and value > limits.maximum:
        return f"above the maximum of {number_words(limits.maximum)}"
    return ""


def _judge_deviation(
    value: float, limits: KpiLimits, history: Sequence[float], *, judged: bool
) -> tuple[KpiState, str, float | None]:
    """The middle of earlier values, so that one bad week does not move it."""
    undecided = KpiState.OK if judged else KpiState.UNKNOWN
    if len(history) < limits.minimum_samples:
        known = f"{len(history)} of {limits.minimum_samples} values of this hour of the week are known"
        return undecided, f"learning what is normal: {known}", None
    normal = median(history)
    if not normal:
        reason = "" if not value else "0 is normal at this hour of the week; a percentage of it means nothing"
        return KpiState.OK if not value else undecided, reason, normal
    percent = abs(value - normal) / abs(normal) * 100
    if percent <= (limits.deviation_percent or 0.0):
        return KpiState.OK, "", normal
    side = "above" if value > normal else "below"
    return KpiState.BREACH, f"{percent:,.0f} % {side} the {number_words(normal)} that is normal at this hour", normal


def advance(memory: KpiMemory, result: KpiResult, policy: KpiPolicy) -> tuple[KpiMemory, KpiChange | None]:
    """The memory after a reading, and the step people are told of, if any."""
    if result.state is KpiState.OK:
        return _after_good(replace(memory, errors=0), policy)
    if result.state is KpiState.LEFT_ALONE:
        return memory, None
    if result.state is KpiState.UNKNOWN:
        return replace(memory, errors=0), None
    if result.state is KpiState.BREACH:
        return _after_bad(replace(memory, errors=0, calm=0), result, policy)
    failed = replace(memory, errors=memory.errors + 1, calm=0)
    if failed.errors <= policy.tolerated_errors or failed.trouble is KpiState.BREACH:
        return failed, None
    return _after_bad(failed, result, policy)


def _after_good(memory: KpiMemory, policy: KpiPolicy) -> tuple[KpiMemory, KpiChange | None]:
    if memory.trouble is KpiState.OK or memory.began_at is None:
        return memory, None
    if memory.calm + 1 < policy.calm_readings:
        return replace(memory, calm=memory.calm + 1), None
    ended = KpiChange(IncidentEvent.AUTO_RESOLVED, memory.trouble, memory.began_at)
    return replace(memory, trouble=KpiState.OK, began_at=None, calm=0, escalated=False), ended


def _after_bad(memory: KpiMemory, result: KpiResult, policy: KpiPolicy) -> tuple[KpiMemory, KpiChange | None]:
    at, began = result.started_at, memory.began_at
    if memory.trouble is not result.state or began is None:
        opened = replace(memory, trouble=result.state, began_at=at, escalated=False)
        return opened, KpiChange(IncidentEvent.OPENED, result.state, at)
    if memory.escalated or policy.escalate_after is None or at - began < policy.escalate_after:
        return memory, None
    return replace(memory, escalated=True), KpiChange(IncidentEvent.ESCALATED, result.state, began)


def number_words(value: float) -> str:
    """A figure as people read it: `1,240`, `0.35`; at most six digits behind the first."""
    if not math.isfinite(value):
        return "unknown"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.6g}"
