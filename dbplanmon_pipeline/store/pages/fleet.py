"""What the status page reads: small answers about a large fleet, each from a few rows of an index."""

from datetime import datetime
from math import isnan
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, or_, select, tuple_

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef, Severity, hash_sought
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.core.ports.pages import (
    FleetRow,
    IncidentAlert,
    IncidentCursor,
    IncidentFilter,
    IncidentPage,
    Normal,
)
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS
from dbplanmon_pipeline.core.readings.query_store_health import STATE_FACT
from dbplanmon_pipeline.store.alerts.queue import IDLE_REMINDER
from dbplanmon_pipeline.store.incidents import read_incident
from dbplanmon_pipeline.store.intervals.database_hours import read_hours
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import (
    alert,
    baseline,
    collection_log,
    counter_state,
    database_fact,
    incident,
    monitored_database,
    query,
    query_text,
)

_FAILING_WEIGHT = 1e12
"""More than any incident costs: no engine keeps the time of executions that failed, so theirs would come last."""

_weight: ColumnElement[Any] = func.coalesce(incident.c.extra_seconds_per_hour, 0.0) + case(
    (incident.c.metric == FAILED_EXECUTIONS, _FAILING_WEIGHT), else_=0.0
)
_METRICS = {"elapsed_time_us": "elapsed", "worker_time_us": "worker"}


class PagePart(StorePart):
    """Reads for pages that people wait for."""

    def fleet(self) -> list[FleetRow]:
        """Every database ever read, by name, with its last attempt, last success and state of Query Store."""
        target, log, state, fact = monitored_database, collection_log, counter_state, database_fact
        newest = select(func.max(log.c.started_at)).where(log.c.database_id == target.c.database_id)
        last_try = newest.correlate(target).scalar_subquery()
        rows = (
            select(
                target.c.database_id,
                target.c.instance,
                target.c.database,
                target.c.engine,
                state.c.read_at,
                log.c.started_at,
                log.c.status,
                log.c.message,
            )
            .outerjoin_from(target, state, state.c.database_id == target.c.database_id)
            .outerjoin(log, and_(log.c.database_id == target.c.database_id, log.c.started_at == last_try))
            .order_by(target.c.instance, target.c.database)
        )
        told = select(fact.c.database_id, fact.c.value).where(fact.c.name == STATE_FACT).order_by(fact.c.seen_at)
        with self._database.read(snapshot=True) as connection:
            states = {row[0]: row[1] for row in connection.execute(told)}
            return [
                FleetRow(
                    DatabaseRef(instance, name),
                    engine,
                    read_at,
                    tried_at,
                    CollectionStatus(status) if status else None,
                    message or "",
                    states.get(number, ""),
                )
                for number, instance, name, engine, read_at, tried_at, status, message in connection.execute(rows)
            ]

    def database_hours(self, start: datetime, end: datetime) -> dict[DatabaseRef, Floats]:
        """Float64 [hours, 4] for each database with work: executions, elapsed and CPU time [us], pages; NaN unknown."""
        with self._database.read() as connection:
            return read_hours(connection, start, end)

    def incident_page(
        self, chosen: IncidentFilter, *, after: IncidentCursor | None = None, limit: int = 50
    ) -> IncidentPage:
        """Incidents whose executions fail, then the dearest first, and how many there are in all."""
        terms = _terms(chosen)
        wanted = select(incident).where(*terms).order_by(_weight.desc(), incident.c.incident_id).limit(limit + 1)
        if after is not None:
            behind = and_(_weight == after.weight, incident.c.incident_id > after.incident_id)
            wanted = wanted.where(or_(_weight < after.weight, behind))
        with self._database.read(snapshot=True) as connection:
            total = connection.scalar(select(func.count()).select_from(incident).where(*terms)) or 0
            found = [read_incident(row) for row in connection.execute(wanted).mappings()]
        shown = tuple(found[:limit])
        if len(found) <= limit:
            return IncidentPage(shown, None, total)
        return IncidentPage(shown, IncidentCursor(_weight_of(shown[-1]), shown[-1].incident_id), total)

    def normal(self, ref: DatabaseRef, query_hash: int, layout: str, as_of: datetime) -> Normal | None:
        """The newest baseline of one statement in this layout that is not younger than `as_of`."""
        table, target = baseline, monitored_database
        names = [f"{name}_{figure}_us" for name in _METRICS.values() for figure in ("median", "p95")]
        wanted = (
            select(table.c.as_of, *(table.c[name] for name in names))
            .join(target, target.c.database_id == table.c.database_id)
            .where(target.c.instance == ref.instance, target.c.database == ref.database)
            .where(table.c.layout == layout, table.c.query_hash == query_hash, table.c.as_of <= as_of)
            .order_by(table.c.as_of.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        if row is None:
            return None
        figures = {
            figure: {metric: _known(row[f"{name}_{figure}_us"]) for metric, name in _METRICS.items()}
            for figure in ("median", "p95")
        }
        return Normal(row["as_of"], figures["median"], figures["p95"])

    def incident_alerts(self, incident_id: str) -> list[IncidentAlert]:
        """Messages about one incident, the newest first, but for reminders that wait or were not needed."""
        names = ("alert_id", "created_at", "channel", "event", "severity", "state", "reason", "ended_at")
        wanted = (
            select(*(alert.c[name] for name in names))
            .where(alert.c.incident_id == incident_id, ~IDLE_REMINDER)
            .order_by(alert.c.created_at.desc(), alert.c.channel)
        )
        with self._database.read() as connection:
            return [
                IncidentAlert(
                    **(dict(row) | {"severity": Severity(row["severity"]), "state": AlertState(row["state"])})
                )
                for row in connection.execute(wanted).mappings()
            ]


def _terms(chosen: IncidentFilter) -> list[ColumnElement[bool]]:
    columns = incident.c
    terms: list[ColumnElement[bool]] = []
    for column, values in (
        (columns.state, chosen.states),
        (columns.severity, chosen.severities),
        (columns.label, chosen.labels),
    ):
        terms += [column.in_([str(value) for value in values])] if values else []
    for column, value in ((columns.instance, chosen.instance), (columns.database, chosen.database)):
        terms += [column == value] if value else []
    terms += [columns.query_hash == chosen.query_hash] if chosen.query_hash else []
    terms += [columns.updated_at >= chosen.since] if chosen.since is not None else []
    terms += [_mentions(chosen.text)] if chosen.text else []
    return terms


def _mentions(words: str) -> ColumnElement[bool]:
    """The id begins so, the hash is this, or the statement contains it."""
    target = monitored_database
    found = (
        select(target.c.instance, target.c.database, query.c.query_hash)
        .join(query, query.c.database_id == target.c.database_id)
        .join(query_text, query_text.c.text_sha256 == query.c.text_sha256)
        .where(query_text.c.text.icontains(words, autoescape=True))
    )
    key = tuple_(incident.c.instance, incident.c.database, incident.c.query_hash)
    terms = [incident.c.incident_id.startswith(words.lower(), autoescape=True), key.in_(found)]
    value = hash_sought(words)
    return or_(*terms, incident.c.query_hash == value) if value else or_(*terms)


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def _weight_of(one: Incident) -> float:
    """As `_weight` has it."""
    cost = 0.0 if isnan(one.extra_seconds_per_hour) else one.extra_seconds_per_hour
    return cost + (_FAILING_WEIGHT if one.metric == FAILED_EXECUTIONS else 0.0)
