"""The checks behind `/health`; each asks our own store or this host, never a monitored server."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from dbplanmon_pipeline.composition.daemon import DaemonWatch
from dbplanmon_pipeline.core.breaker import is_open
from dbplanmon_pipeline.core.health import Finding, Health, Row, freshness
from dbplanmon_pipeline.services.check_health import schema_finding
from dbplanmon_pipeline.web.context import WebContext
from dbplanmon_pipeline.web.fleet import cadence, watched_databases

OVERDUE, LONG_OVERDUE = timedelta(minutes=15), timedelta(hours=2)
_GIGABYTE = 1_000_000_000
LITTLE_BYTES, NO_BYTES = _GIGABYTE, _GIGABYTE // 10
_REUSED = {
    "named_statements_cover_the_load": "coverage",
    "collector_cost_is_low": "collector_cost",
    "baselines_are_recent": "baselines",
    "query_store_is_healthy": "query_store",
}
"""Findings that the asset checks of Dagster show too, by the name they have here."""


class Tag(StrEnum):
    """What a check says something about."""

    LIVENESS = "liveness"
    READINESS = "readiness"


@dataclass(frozen=True, slots=True)
class Check:
    """One question.

    Attributes:
        names: under which its answers are shown.
        tags: liveness for what a restart may heal, readiness for what people would miss.
        ask: gives a finding for each name; may block.
    """

    names: tuple[str, ...]
    tags: tuple[Tag, ...]
    ask: Callable[[], Mapping[str, Finding]]


def health_checks(context: WebContext, daemon: DaemonWatch) -> tuple[Check, ...]:
    """All of them, the most important first."""
    return (
        _one("storage", (Tag.READINESS,), lambda: storage(context)),
        _one("targets", (Tag.READINESS,), lambda: targets(context)),
        _one("daemon", (Tag.LIVENESS,), daemon.finding),
        _one("deliveries", (), lambda: deliveries(context)),
        _one("breakers", (), lambda: breakers(context)),
        _one("disk", (), lambda: disk(context.settings.state_dir)),
        Check(tuple(_REUSED.values()), (), lambda: reused(context)),
    )


def _one(name: str, tags: tuple[Tag, ...], ask: Callable[[], Finding]) -> Check:
    return Check((name,), tags, lambda: {name: ask()})


def storage(context: WebContext) -> Finding:
    """Healthy where the store answers and has our schema; degraded where a part of it is missing."""
    status = context.session.store.schema_status()
    finding = schema_finding(status)
    if status.revision == status.expected and status.missing_tables:
        return Finding(Health.DEGRADED, finding.summary, finding.rows)
    return finding


def targets(context: WebContext) -> Finding:
    """Healthy where every database was read lately; unhealthy from `collection.failure_threshold` of silent ones on."""
    session = context.session
    states = watched_databases(session, session.store.database_states())
    if not states:
        return Finding(Health.HEALTHY, "no database is watched")
    if all(state.logged_at is None for state in states):
        return Finding(Health.DEGRADED, f"none of {len(states)} databases was read yet: start the daemon")
    threshold = session.settings.collection.failure_threshold
    last = {state.ref: state.last_success_at for state in states}
    return freshness(last, context.clock(), cadence(session), unhealthy_share=threshold)


def deliveries(context: WebContext) -> Finding:
    """Degraded where a message waits too long or was given up within a day; unhealthy where it waits for hours."""
    now = context.clock()
    figures = context.session.store.store_figures(now)
    waits = {channel: now - since for channel, since in figures.overdue_since.items()}
    rows: tuple[Row, ...] = tuple(
        {"channel": channel, "waits_minutes": round(wait.total_seconds() / 60, 1)}
        for channel, wait in sorted(waits.items())
        if wait > OVERDUE
    )
    longest = max(waits.values(), default=timedelta())
    names = ", ".join(str(row["channel"]) for row in rows)
    if longest > LONG_OVERDUE:
        return Finding(Health.UNHEALTHY, f"messages wait for more than {LONG_OVERDUE} for {names}", rows)
    if rows:
        return Finding(Health.DEGRADED, f"messages wait for more than {OVERDUE} for {names}", rows)
    if figures.given_up_lately:
        told = f"{figures.given_up_lately} messages were given up within a day: `dbplanmon channels dead`"
        return Finding(Health.DEGRADED, told)
    return Finding(Health.HEALTHY, "no message waits too long")


def breakers(context: WebContext) -> Finding:
    """Degraded where an instance or a channel is left alone after failures in a row."""
    now = context.clock()
    policy = context.session.breaker
    jobs = context.session.store.store_figures(now).jobs
    resting = [job for job in jobs if job.name.startswith(("breaker:", "channel:")) and is_open(job, now, policy)]
    rows: tuple[Row, ...] = tuple(
        {"name": job.name.partition(":")[2], "failures": job.consecutive_failures} for job in resting
    )
    if not resting:
        return Finding(Health.HEALTHY, "nothing is left alone")
    names = ", ".join(str(row["name"]) for row in rows[:3]) + (" ..." if len(rows) > 3 else "")
    return Finding(Health.DEGRADED, f"{len(rows)} left alone after failures in a row: {names}", rows)


def disk(folder: Path) -> Finding:
    """Degraded where less than 1 GB is free beside the state folder, unhealthy below 100 MB."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    told = f"{free / _GIGABYTE:,.1f} GB free in {there}"
    if free >= LITTLE_BYTES:
        return Finding(Health.HEALTHY, told)
    return Finding(Health.UNHEALTHY if free < NO_BYTES else Health.DEGRADED, told)


def reused(context: WebContext) -> dict[str, Finding]:
    """What the asset checks of Dagster judge."""
    found = context.session.health()
    findings = {ours: found[theirs] for theirs, ours in _REUSED.items()}
    if not watched_databases(context.session, context.session.store.database_states()):
        # Without statements there is nothing to learn, and nobody to be blamed for it.
        findings["baselines"] = Finding(Health.HEALTHY, "no database is watched")
    return findings
