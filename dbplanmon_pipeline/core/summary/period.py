"""A day or a week of the fleet: what opened, what closed, what still burns, and how well we watched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from dbplanmon_pipeline.core.fleet import WHOLE_INSTANCE
from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import DatabaseRef, Severity
from dbplanmon_pipeline.core.ports import Hotspot, PlanChange
from dbplanmon_pipeline.core.ports.summary import KpiSpan, Watch
from dbplanmon_pipeline.core.workload.changes import BusierInstance, WorkloadChange
from dbplanmon_pipeline.core.workload.quiet import QuietStatement

_DAY = timedelta(days=1)
_UNWATCHED_NOTED, _UNWATCHED_BAD = 0.01, 0.25
"""Shares of the time without a reading."""

_LISTED = 5


class Grade(StrEnum):
    """Overall health: A is calm and fully watched, D has a critical incident or was mostly blind."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


@dataclass(frozen=True, slots=True)
class Load:
    """All recorded work of one hour [seconds of elapsed time]."""

    hour_start: datetime
    elapsed_seconds: float


@dataclass(frozen=True, slots=True)
class DaySummary:
    """Some whole UTC days, one or seven.

    Attributes:
        day / last_day: the first and the last one.
        reasons: why the grade is not better, one sentence each, the worst first; empty for A.
        opened / closed / ongoing: incidents by what happened to them in that time; ongoing at its end.
        watches: how each database was read.
        alerts: messages of that time by what became of them, summaries aside.
        loads: one per hour.
        texts: redacted statements, where known.
        growth: statements that cost more than usual because they ran more often or are new, the most extra first.
        busier: instances that did more work than usual.
        quiet: dear statements that ran on each earlier day and did not on this one, the dearest first.
    """

    day: date
    last_day: date
    grade: Grade
    reasons: tuple[str, ...]
    opened: tuple[Incident, ...]
    closed: tuple[Incident, ...]
    ongoing: tuple[Incident, ...]
    hotspots: tuple[Hotspot, ...]
    plan_changes: tuple[PlanChange, ...]
    kpis: tuple[KpiSpan, ...]
    watches: tuple[Watch, ...]
    alerts: Mapping[str, int]
    loads: tuple[Load, ...] = ()
    texts: Mapping[tuple[DatabaseRef, int], str] = field(default_factory=dict)
    growth: tuple[WorkloadChange, ...] = ()
    busier: tuple[BusierInstance, ...] = ()
    quiet: tuple[QuietStatement, ...] = ()

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.last_day - self.day).days + 1

    @property
    def start(self) -> datetime:
        """Its first moment, aware UTC."""
        return datetime.combine(self.day, time(), UTC)

    @property
    def key(self) -> str:
        """What the alerts are about: `summary:<day>`, for a week with its last day behind it."""
        return f"summary:{self.day}" if self.days == 1 else f"summary:{self.day}..{self.last_day}"

    @property
    def databases_read(self) -> int:
        """Databases with at least one good reading."""
        return sum(watch.good > 0 for watch in self.watches)

    @property
    def databases_silent(self) -> tuple[str, ...]:
        """Databases that were asked but never read."""
        return tuple(map(str, _never_read(self.watches)))

    @property
    def readings(self) -> int:
        """Over all databases."""
        return sum(watch.readings for watch in self.watches)

    @property
    def failed_readings(self) -> int:
        """Over all databases."""
        return sum(watch.failed for watch in self.watches)

    @property
    def gap_seconds(self) -> float:
        """Time without a reading, over all databases."""
        return sum(watch.gap_seconds for watch in self.watches)

    @property
    def cost_seconds(self) -> float:
        """What the targets spent on our statements, as far as they tell."""
        return sum(watch.cost_ms for watch in self.watches) / 1000


def summarise_days(
    start: datetime,
    days: int,
    *,
    incidents: Sequence[Incident],
    hotspots: Sequence[Hotspot] = (),
    plan_changes: Sequence[PlanChange] = (),
    kpis: Sequence[KpiSpan] = (),
    watches: Sequence[Watch] = (),
    alerts: Mapping[str, int] | None = None,
    loads: Sequence[Load] = (),
    texts: Mapping[tuple[DatabaseRef, int], str] | None = None,
    growth: Sequence[WorkloadChange] = (),
    busier: Sequence[BusierInstance] = (),
    quiet: Sequence[QuietStatement] = (),
) -> DaySummary:
    """Sort what is known into whole days that begin at `start` (aware UTC midnight)."""
    end = start + days * _DAY
    touching = [i for i in incidents if i.opened_at < end and (i.closed_at is None or i.closed_at >= start)]
    touching.sort(key=lambda i: (-i.severity.rank, -i.extra_seconds_per_hour))
    opened = tuple(i for i in touching if i.opened_at >= start)
    ongoing = tuple(i for i in touching if i.closed_at is None or i.closed_at >= end)
    verdicts = [
        *_of_incidents(opened, ongoing, [i for i in touching if i.opened_at < start <= i.last_bad_at]),
        *_of_watches(watches, days * _DAY),
        *_of_kpis(kpis),
        *_of_alerts(alerts or {}),
    ]
    # The worst first; what is equally bad stays in this order.
    verdicts.sort(key=lambda verdict: verdict[0], reverse=True)
    return DaySummary(
        day=start.date(),
        last_day=(end - _DAY).date(),
        grade=max((grade for grade, _ in verdicts), default=Grade.A),
        reasons=tuple(reason for _, reason in verdicts),
        opened=opened,
        closed=tuple(i for i in touching if i.closed_at is not None and i.closed_at < end),
        ongoing=ongoing,
        hotspots=tuple(hotspots),
        plan_changes=tuple(c for c in plan_changes if start <= c.changed_at < end),
        kpis=tuple(kpis),
        watches=tuple(watches),
        alerts=dict(alerts or {}),
        loads=tuple(loads),
        texts=dict(texts or {}),
        growth=tuple(change for change in growth if change.is_growth),
        busier=tuple(busier),
        quiet=tuple(quiet),
    )


Verdict = tuple[Grade, str]


def _of_incidents(opened: Sequence[Incident], ongoing: Sequence[Incident], older: Sequence[Incident]) -> list[Verdict]:
    """`older` are those from before that were slow in these days."""
    worst = max((i.severity for i in ongoing), key=lambda severity: severity.rank, default=None)
    if worst is Severity.CRITICAL:
        return [(Grade.D, "a critical incident is open")]
    if worst is Severity.HIGH:
        return [(Grade.C, "an incident of high severity is open")]
    if ongoing or opened:
        return [(Grade.B, f"{counted(len(opened), 'incident')} opened, {len(ongoing)} still open")]
    if older:
        return [(Grade.B, f"{counted(len(older), 'incident')} from before, over by now")]
    return []


def _of_watches(watches: Sequence[Watch], span: timedelta) -> list[Verdict]:
    readings, failed = sum(w.readings for w in watches), sum(w.failed for w in watches)
    if not readings:
        return [(Grade.D, "nothing was collected")]
    verdicts: list[Verdict] = []
    silent = [_place(ref) for ref in _never_read(watches)]
    if failed / readings >= 0.5:
        verdicts.append((Grade.D, f"{failed} of {readings} readings failed"))
    elif failed:
        verdicts.append((Grade.B, f"{failed} of {readings} readings failed"))
    if silent:
        more = f" and {len(silent) - _LISTED} more" if len(silent) > _LISTED else ""
        verdicts.append((Grade.C, f"never read: {', '.join(silent[:_LISTED])}{more}"))
    unwatched = sum(w.gap_seconds for w in watches) / (len(watches) * span.total_seconds())
    if unwatched >= _UNWATCHED_NOTED:
        grade = Grade.C if unwatched >= _UNWATCHED_BAD else Grade.B
        verdicts.append((grade, f"{unwatched:.0%} of the time no reading covers"))
    return verdicts


def _never_read(watches: Sequence[Watch]) -> list[DatabaseRef]:
    """Databases that were asked in vain; an instance that could not be listed counts where it never could be."""
    read = {watch.ref.instance for watch in watches if watch.good}
    silent = [watch.ref for watch in watches if not watch.good]
    return [ref for ref in silent if ref.database != WHOLE_INSTANCE or ref.instance not in read]


def _place(ref: DatabaseRef) -> str:
    return f"any database of {ref.instance}" if ref.database == WHOLE_INSTANCE else str(ref)


def _of_kpis(kpis: Sequence[KpiSpan]) -> list[Verdict]:
    out = [kpi.name for kpi in kpis if kpi.breaches]
    dead = [kpi.name for kpi in kpis if kpi.errors and kpi.errors == kpi.readings]
    verdicts = [(Grade.B, f"out of limits: KPI {', '.join(out[:_LISTED])}")] if out else []
    return verdicts + ([(Grade.B, f"never readable: KPI {', '.join(dead[:_LISTED])}")] if dead else [])


def _of_alerts(alerts: Mapping[str, int]) -> list[Verdict]:
    lost = alerts.get("given_up", 0)
    return [(Grade.C, f"{counted(lost, 'message')} could not be delivered")] if lost else []


def counted(number: int, noun: str) -> str:
    """`1 incident`, `2 incidents`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
