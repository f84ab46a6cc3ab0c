"""A day of the fleet on one page: what opened, what closed, what still burns, and how well we watched."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from dbplanmon_pipeline.core.incidents import Incident
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Severity, hash_text
from dbplanmon_pipeline.core.ports import Hotspot, PlanChange


class Grade(StrEnum):
    """Overall health of the day: A is calm and fully watched, D has a critical incident or was mostly blind."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


@dataclass(frozen=True, slots=True)
class DaySummary:
    """One UTC day.

    Attributes:
        reasons: why the grade is not better, one sentence each; empty for A.
        opened / closed / ongoing: incidents by what happened to them on that day.
        databases_read / databases_silent: with at least one reading, and with none.
        readings / failed_readings: over all databases.
    """

    day: date
    grade: Grade
    reasons: tuple[str, ...]
    opened: tuple[Incident, ...]
    closed: tuple[Incident, ...]
    ongoing: tuple[Incident, ...]
    hotspots: tuple[Hotspot, ...]
    plan_changes: tuple[PlanChange, ...]
    databases_read: int
    databases_silent: tuple[str, ...]
    readings: int
    failed_readings: int


def summarise_day(
    day: date,
    start: datetime,
    incidents: Sequence[Incident],
    hotspots: Sequence[Hotspot],
    plan_changes: Sequence[PlanChange],
    log: Sequence[CollectionOutcome],
) -> DaySummary:
    """Sort what is known into one day that begins at `start` (aware UTC)."""
    end = start + timedelta(days=1)
    touching = [i for i in incidents if i.opened_at < end and (i.closed_at is None or i.closed_at >= start)]
    opened = tuple(i for i in touching if i.opened_at >= start)
    closed = tuple(i for i in touching if i.closed_at is not None and i.closed_at < end)
    ongoing = tuple(i for i in touching if i.closed_at is None or i.closed_at >= end)
    read = {o.ref for o in log if o.status in (CollectionStatus.OK, CollectionStatus.FIRST_READING)}
    silent = tuple(sorted(str(ref) for ref in {o.ref for o in log} - read))
    failed = sum(o.status is CollectionStatus.FAILED for o in log)
    grade, reasons = _grade(ongoing, opened, silent, failed, len(log))
    return DaySummary(
        day,
        grade,
        reasons,
        opened,
        closed,
        ongoing,
        tuple(hotspots),
        tuple(c for c in plan_changes if start <= c.changed_at < end),
        len(read),
        silent,
        len(log),
        failed,
    )


def _grade(
    ongoing: Sequence[Incident], opened: Sequence[Incident], silent: Sequence[str], failed: int, readings: int
) -> tuple[Grade, tuple[str, ...]]:
    verdicts: list[tuple[Grade, str]] = []
    worst = max((i.severity for i in ongoing), key=lambda s: s.rank, default=None)
    if worst is Severity.CRITICAL:
        verdicts.append((Grade.D, "a critical incident is open"))
    elif worst is Severity.HIGH:
        verdicts.append((Grade.C, "an incident of high severity is open"))
    elif ongoing or opened:
        verdicts.append((Grade.B, f"{len(opened)} incidents opened, {len(ongoing)} are still open"))
    if not readings:
        verdicts.append((Grade.D, "nothing was collected"))
    elif failed / readings >= 0.5:
        verdicts.append((Grade.D, f"{failed} of {readings} readings failed"))
    elif silent:
        verdicts.append((Grade.C, f"never read: {', '.join(silent[:5])}"))
    elif failed:
        verdicts.append((Grade.B, f"{failed} of {readings} readings failed"))
    grade = max((g for g, _ in verdicts), default=Grade.A)
    return grade, tuple(reason for _, reason in sorted(verdicts, reverse=True))


def render_markdown(summary: DaySummary, texts: Mapping[tuple[DatabaseRef, int], str] | None = None) -> str:
    """The page as Markdown; `texts` are redacted statements, shown where given."""
    lines = [f"# {summary.day:%A %d %B %Y}: grade {summary.grade}", ""]
    lines += [f"- {reason}" for reason in summary.reasons] or ["- nothing to complain about"]
    lines += ["", f"{summary.databases_read} databases, {summary.readings} readings, {summary.failed_readings} failed."]
    for title, incidents in (("Opened", summary.opened), ("Closed", summary.closed), ("Still open", summary.ongoing)):
        if incidents:
            lines += ["", f"## {title}", "", "| incident | where | statement | label | times | extra s/h |"]
            lines += ["|---|---|---|---|---|---|", *(_incident_line(i) for i in incidents)]
    if summary.plan_changes:
        lines += ["", "## Plan changes", ""]
        lines += [
            f"- {c.changed_at:%H:%M} {c.ref} {hash_text(c.query_hash)}: {c.summary or 'another plan'}"
            for c in summary.plan_changes[:50]
        ]
    if summary.hotspots:
        lines += ["", "## Dearest statements", "", "| database | statement | seconds | executions | share |"]
        lines += ["|---|---|---|---|---|", *(_hotspot_line(h, texts or {}) for h in summary.hotspots)]
    return "\n".join(lines) + "\n"


def _incident_line(incident: Incident) -> str:
    where = f"{incident.instance}/{incident.database}" if incident.database else incident.instance
    return (
        f"| {incident.incident_id} | {where} | {hash_text(incident.query_hash) or 'instance'} | {incident.label} "
        f"| {incident.effect_ratio:.1f} | {incident.extra_seconds_per_hour:,.0f} |"
    )


def _hotspot_line(hotspot: Hotspot, texts: Mapping[tuple[DatabaseRef, int], str]) -> str:
    text = " ".join(texts.get((hotspot.ref, hotspot.query_hash), hash_text(hotspot.query_hash)).split())
    return (
        f"| {hotspot.ref} | {text[:80].replace('|', '/')} | {hotspot.elapsed_time_us / 1e6:,.1f} "
        f"| {hotspot.execution_count:,.0f} | {hotspot.share:.1%} |"
    )
