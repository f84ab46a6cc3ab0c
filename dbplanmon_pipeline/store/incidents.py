"""Incidents with the audit of their steps, and hotspots."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, select

from dbplanmon_pipeline.core.incidents.incident import (
    Incident,
    IncidentChange,
    IncidentEvent,
    IncidentScope,
    IncidentState,
)
from dbplanmon_pipeline.core.model import DatabaseRef, Label, Severity
from dbplanmon_pipeline.core.ports import Alert, Hotspot
from dbplanmon_pipeline.core.readings.failures import Failures
from dbplanmon_pipeline.core.workload.changes import IncidentIds
from dbplanmon_pipeline.store.alerts.queue import queue_alerts
from dbplanmon_pipeline.store.bulk import insert_records, replace_on
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import audit_log, hotspot, incident, incident_event, monitored_database
from dbplanmon_pipeline.store.targets import ensure_databases

_OPEN = tuple(str(state) for state in IncidentState if state.is_open)
_BEGINNINGS = (IncidentEvent.OPENED, IncidentEvent.REOPENED)
HOTSPOT_FIELDS = tuple(Hotspot.__dataclass_fields__)[1:]
"""All but the database, which the table names by number."""


class IncidentPart(StorePart):
    """Incidents, their steps, and hotspots."""

    def open_incidents(self) -> list[Incident]:
        """Incidents in the states new and acknowledged."""
        return self._incidents(select(incident).where(incident.c.state.in_(_OPEN)).order_by(incident.c.opened_at))

    def recent_incidents(self, since: datetime) -> list[Incident]:
        """Incidents closed since then, for reopening and for excluded spans."""
        return self._incidents(select(incident).where(incident.c.closed_at >= since).order_by(incident.c.closed_at))

    def incident_ids(self, start: datetime, end: datetime) -> IncidentIds:
        """Incidents that began by `end` and are open or were closed since `start`, by what they are about.

        Of two about the same the one that is open counts, else the one that was closed last.
        """
        table = incident.c
        wanted = (
            select(table.instance, table.database, table.query_hash, table.incident_id)
            .where(table.began_at <= end, table.state.in_(_OPEN) | (table.closed_at >= start))
            .order_by(table.state.in_(_OPEN), table.closed_at)
        )
        with self._database.read() as connection:
            return {
                (instance, database, value): number for instance, database, value, number in connection.execute(wanted)
            }

    def incident(self, incident_id: str) -> Incident | None:
        """One incident by its id."""
        found = self._incidents(select(incident).where(incident.c.incident_id == incident_id))
        return found[0] if found else None

    def incidents(
        self, *, states: Iterable[IncidentState] | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[Incident]:
        """Incidents by their last change, newest first; of some states, or changed since a moment, where asked."""
        statement = select(incident).order_by(incident.c.updated_at.desc(), incident.c.incident_id).limit(limit)
        if states is not None:
            statement = statement.where(incident.c.state.in_([str(state) for state in states]))
        if since is not None:
            statement = statement.where(incident.c.updated_at >= since)
        return self._incidents(statement)

    def incident_events(self, incident_id: str) -> list[IncidentChange]:
        """Steps of one incident, oldest first, each with the state, severity and cost it left."""
        statement = select(incident_event).where(incident_event.c.incident_id == incident_id)
        whole = self.incident(incident_id)
        if whole is None:
            return []
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(incident_event.c.at, incident_event.c.event)).mappings().all()
        return [
            IncidentChange(
                event=IncidentEvent(row["event"]),
                incident=replace(
                    whole,
                    state=IncidentState(row["state"]),
                    severity=Severity(row["severity"]),
                    extra_seconds_per_hour=row["extra_seconds_per_hour"],
                ),
                at=row["at"],
                actor=row["actor"],
                note=row["note"],
            )
            for row in rows
        ]

    def save_incident_changes(self, changes: Sequence[IncidentChange], alerts: Sequence[Alert] = ()) -> None:
        """Incidents, their steps, an audit entry for each change of state, and `alerts` about them, in one transaction.

        Repeating it changes nothing.

        A step that was decided before a person acted does not undo what the person did: an acknowledgement stays,
        and only `opened` and `reopened` open an incident that has ended. Neither opens a second one about the same.
        """
        saved = set()
        with self._database.write() as connection:
            for change in changes:
                before = _save_step(connection, change)
                if before is None:
                    continue
                new = insert_records(connection, incident_event, [_event_record(change)], "ON CONFLICT DO NOTHING")
                if new and change.event is not IncidentEvent.UPDATED:
                    insert_records(connection, audit_log, [self._audit_record(change, before)])
                saved.add(change.incident.incident_id)
            queue_alerts(connection, [alert for alert in alerts if alert.incident_id in saved])

    def _audit_record(self, change: IncidentChange, before: str) -> dict[str, object]:
        detail = {"before": before, "after": str(change.incident.state), "severity": str(change.incident.severity)}
        return {
            "at": self._clock(),
            "actor": change.actor,
            "action": f"incident {change.event.value}",
            "subject": change.incident.incident_id,
            "detail": detail | {"note": change.reason, "step_at": change.at.isoformat()},
        }

    def _incidents(self, statement: Select[Any]) -> list[Incident]:
        with self._database.read() as connection:
            return [read_incident(row) for row in connection.execute(statement).mappings()]

    # ------------------------------------------------------------ hotspots

    def save_hotspots(self, window_start: datetime, window_end: datetime, hotspots: Sequence[Hotspot]) -> None:
        """Replace the hotspots of this window."""
        window = (hotspot.c.window_start == window_start) & (hotspot.c.window_end == window_end)
        with self._database.write() as connection:
            ids = ensure_databases(connection, dict.fromkeys((item.ref for item in hotspots), ""), self._clock())
            connection.execute(hotspot.delete().where(window))
            records = [
                {
                    "window_start": window_start,
                    "window_end": window_end,
                    "database_id": ids[item.ref],
                    **{name: getattr(item, name) for name in HOTSPOT_FIELDS},
                }
                for item in hotspots
            ]
            insert_records(connection, hotspot, records)

    def hotspots(
        self, window_end: datetime | None = None, rank_by: str | None = None, limit: int = 20
    ) -> list[Hotspot]:
        """The dearest statements of the window that ended then (default: the newest), by ranking and rank.

        `limit` counts per ranking.
        """
        target = monitored_database
        with self._database.read(snapshot=True) as connection:
            end = window_end or connection.scalar(
                select(hotspot.c.window_end).order_by(hotspot.c.window_end.desc()).limit(1)
            )
            statement = (
                select(hotspot, target.c.instance, target.c.database)
                .join(target, target.c.database_id == hotspot.c.database_id)
                .where(hotspot.c.window_end == end, hotspot.c.rank <= limit)
                .order_by(hotspot.c.rank_by, hotspot.c.rank, hotspot.c.window_start)
            )
            if rank_by is not None:
                statement = statement.where(hotspot.c.rank_by == rank_by)
            rows = connection.execute(statement).mappings().all()
        return [
            Hotspot(DatabaseRef(row["instance"], row["database"]), **{name: row[name] for name in HOTSPOT_FIELDS})
            for row in rows
        ]


def _save_step(connection: Connection, change: IncidentChange) -> str | None:
    """Store the new form of an incident and return the state before, empty for a new one.

    None when a person's decision or a newer form stands against it.
    """
    new, before = change.incident, ""
    if change.event in _BEGINNINGS and _another_is_open(connection, new):
        return None
    statement = select(incident).where(incident.c.incident_id == new.incident_id).with_for_update()
    row = connection.execute(statement).mappings().first()
    if row is not None:
        stored = read_incident(row)
        if new.updated_at < stored.updated_at or _is_overtaken(stored, change):
            return None
        before = stored.state.value
        if stored.state is IncidentState.ACKNOWLEDGED and new.state is IncidentState.NEW:
            new = replace(new, state=stored.state, note=stored.note)
    record = asdict(new) | {"scope": str(new.scope), "state": str(new.state), "evidence": list(new.evidence)}
    record |= {"label": str(new.label), "severity": str(new.severity)}
    insert_records(connection, incident, [record], replace_on(["incident_id"], list(record)))
    return before


def _is_overtaken(stored: Incident, change: IncidentChange) -> bool:
    if stored.state.is_open:
        return False
    repeated = change.incident == stored
    return not repeated and change.event not in _BEGINNINGS


def _another_is_open(connection: Connection, new: Incident) -> bool:
    same = [incident.c[name] == getattr(new, name) for name in ("instance", "database", "query_hash")]
    others = select(incident.c.incident_id).where(*same, incident.c.state.in_(_OPEN))
    return connection.execute(others.where(incident.c.incident_id != new.incident_id)).first() is not None


def _event_record(change: IncidentChange) -> dict[str, object]:
    return {
        "incident_id": change.incident.incident_id,
        "at": change.at,
        "event": str(change.event),
        "actor": change.actor,
        "note": change.note,
        "severity": str(change.incident.severity),
        "state": str(change.incident.state),
        "extra_seconds_per_hour": change.incident.extra_seconds_per_hour,
    }


def read_incident(row: RowMapping) -> Incident:
    """The incident of a row."""
    facts = dict(row) | {
        "scope": IncidentScope(row["scope"]),
        "state": IncidentState(row["state"]),
        "label": Label(row["label"]),
        "severity": Severity(row["severity"]),
        "evidence": tuple(row["evidence"]),
        "failures": Failures(**row["failures"]) if row["failures"] else None,
    }
    return Incident(**facts)
