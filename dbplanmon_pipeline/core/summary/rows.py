"""The parts of a summary in plain cells, the same for Markdown, text and HTML: harmless, short, bounded in number."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.kpis.rules import number_words
from dbplanmon_pipeline.core.model import DatabaseRef, hash_text
from dbplanmon_pipeline.core.plain_words import (
    duration_words,
    hash_words,
    moment_words,
    one_line,
    ratio_words,
    seconds_words,
)
from dbplanmon_pipeline.core.summary.period import DaySummary, counted
from dbplanmon_pipeline.core.workload.words import busier_share, growth_words

MOST_ROWS = 25
"""Rows of one table; what is left out is counted."""

_CELL = 160
_NAME = 100
_ALERT_WORDS = {
    "delivered": "delivered",
    "pending": "waiting",
    "held": "held back",
    "muted": "muted",
    "suppressed": "suppressed",
    "grouped": "told within another one",
    "given_up": "not delivered",
}


@dataclass(frozen=True, slots=True)
class Table:
    """One section: a title, the head, and rows as wide as it.

    Attributes:
        right: numbers of the columns that hold figures.
        left_out: rows there were no room for.
    """

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: frozenset[int] = frozenset()
    left_out: int = 0


def title_of(summary: DaySummary) -> str:
    """`Monday 02 November 2026: grade A`."""
    if summary.days == 1:
        return f"{summary.day:%A %d %B %Y}: grade {summary.grade}"
    return f"{summary.day:%d %B} to {summary.last_day:%d %B %Y}: grade {summary.grade}"


def reasons_of(summary: DaySummary) -> tuple[str, ...]:
    """Why the grade is what it is."""
    return tuple(one_line(reason, _CELL * 2) for reason in summary.reasons) or ("nothing to complain about",)


def watch_lines(summary: DaySummary) -> tuple[str, ...]:
    """How well we watched, what it cost, and what was told to people."""
    gaps = sum(watch.gaps for watch in summary.watches)
    databases, readings = counted(summary.databases_read, "database"), counted(summary.readings, "reading")
    lines = [f"{databases}, {readings}, {summary.failed_readings:,} failed."]
    if gaps:
        lines.append(f"{counted(gaps, 'gap')}, together {duration_words(summary.gap_seconds)} over all databases.")
    if summary.cost_seconds:
        lines.append(f"Our statements cost the servers {seconds_words(summary.cost_seconds)}.")
    return (*lines, alert_words(summary.alerts))


def alert_words(alerts: Mapping[str, int]) -> str:
    """Such as `12 messages: 9 delivered, 2 muted, 1 suppressed.`."""
    known = [f"{alerts[state]:,} {words}" for state, words in _ALERT_WORDS.items() if alerts.get(state)]
    total = sum(alerts.values())
    return f"{counted(total, 'message')}: {', '.join(known)}." if total else "No messages."


def tables_of(summary: DaySummary) -> Iterator[Table]:
    """The sections that are not empty, the most urgent first."""
    incidents = (("Still open", summary.ongoing), ("Opened", summary.opened), ("Closed", summary.closed))
    head = ("incident", "severity", "where", "statement", "label", "since", "times", "extra s/h")
    found = [_table(title, head, [_incident(i) for i in some], (6, 7)) for title, some in incidents]
    found.append(_kpis(summary))
    found.append(
        _table(
            "Plan changes",
            ("when", "database", "statement", "what"),
            [
                (moment_words(c.changed_at), _name(c.ref), hash_text(c.query_hash), c.summary or "another plan")
                for c in summary.plan_changes
            ],
        )
    )
    found.append(_growth(summary))
    found.append(_quiet(summary))
    found.append(_hotspots(summary))
    found.append(_troubled(summary))
    return (table for table in found if table.rows)


def _incident(incident: Incident) -> tuple[str, ...]:
    where = f"{incident.instance}/{incident.database}" if incident.database else incident.instance
    return (
        incident.incident_id,
        incident.severity.value,
        _name(where),
        hash_words(incident.query_hash) if incident.query_hash else incident.scope.value,
        incident.label.value.replace("_", " "),
        moment_words(incident.began_at),
        ratio_words(incident.effect_ratio),
        f"{incident.extra_seconds_per_hour:,.0f}",
    )


def _kpis(summary: DaySummary) -> Table:
    # Those in trouble first, so that they stay in where there are many.
    kpis = sorted(summary.kpis, key=lambda kpi: (-(kpi.breaches + kpi.errors), kpi.name))
    rows = [
        (
            kpi.name,
            kpi.state,
            "" if kpi.value is None else number_words(kpi.value),
            f"{kpi.readings:,}",
            f"{kpi.breaches:,}",
            f"{kpi.errors:,}",
            kpi.message,
        )
        for kpi in kpis
    ]
    return _table("KPIs", ("KPI", "last", "value", "readings", "breaches", "errors", "why"), rows, (2, 3, 4, 5))


def _growth(summary: DaySummary) -> Table:
    rows = [
        (
            _name(b.instance),
            "all of it",
            f"{busier_share(b)} busier",
            *_costs(b.seconds_per_hour, b.normal_seconds_per_hour),
        )
        for b in summary.busier
    ]
    rows += [
        (
            _name(c.ref),
            _statement(summary, c.ref, c.query_hash),
            growth_words(c),
            *_costs(c.seconds_per_hour, c.normal_seconds_per_hour),
        )
        for c in summary.growth
    ]
    head = ("where", "statement", "why", "extra s/h", "s/h", "normally")
    return _table("Busier, not slower", head, rows, (3, 4, 5))


def _quiet(summary: DaySummary) -> Table:
    rows = [
        (
            _name(q.ref),
            _statement(summary, q.ref, q.query_hash),
            f"{q.normal_executions_per_hour:,.0f}",
            f"{q.normal_seconds_per_hour:,.0f}",
            f"{q.days}",
        )
        for q in summary.quiet
    ]
    head = ("where", "statement", "normally executions/h", "normally s/h", "earlier days")
    return _table("Gone quiet: did not run at all", head, rows, (2, 3, 4))


def _statement(summary: DaySummary, ref: DatabaseRef, query_hash: int) -> str:
    return summary.texts.get((ref, query_hash)) or hash_words(query_hash)


def _costs(now: float, normal: float) -> tuple[str, str, str]:
    return f"{now - normal:,.0f}", f"{now:,.0f}", f"{normal:,.0f}"


def _hotspots(summary: DaySummary) -> Table:
    rows = [
        (
            _name(h.ref),
            _statement(summary, h.ref, h.query_hash),
            f"{h.elapsed_time_us / 1e6:,.1f}",
            f"{h.execution_count:,.0f}",
            f"{h.share:.1%}",
        )
        for h in summary.hotspots
    ]
    return _table("Dearest statements", ("database", "statement", "seconds", "executions", "share"), rows, (2, 3, 4))


def _troubled(summary: DaySummary) -> Table:
    troubled = [watch for watch in summary.watches if watch.failed or watch.gaps or not watch.good]
    troubled.sort(key=lambda watch: (-watch.failed, -watch.gap_seconds, watch.ref))
    rows = [
        (_name(w.ref), f"{w.readings:,}", f"{w.failed:,}", f"{w.gaps:,}", duration_words(w.gap_seconds))
        for w in troubled
    ]
    return _table("Databases not read well", ("database", "readings", "failed", "gaps", "unwatched"), rows, (1, 2, 3))


def _name(value: object) -> str:
    return one_line(str(value), _NAME)


def _table(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: Sequence[int] = ()) -> Table:
    shown = tuple(tuple(one_line(cell, _CELL) for cell in row) for row in rows[:MOST_ROWS])
    return Table(title, head, shown, frozenset(right), max(0, len(rows) - MOST_ROWS))
