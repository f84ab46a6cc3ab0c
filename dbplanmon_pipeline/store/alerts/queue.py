"""Alerts, suggestions, memory of jobs, and the audit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, select

from dbplanmon_pipeline.core.alert_rules.policy import UNACKNOWLEDGED
from dbplanmon_pipeline.core.ports import Alert, JobState, Suggestion
from dbplanmon_pipeline.core.ports.alert_rules import AlertState
from dbplanmon_pipeline.store.alerts.deliveries import ALERT_FIELDS, PENDING, alert_of
from dbplanmon_pipeline.store.bulk import insert_records, replace_on
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import alert, audit_log, job_state, suggestion

IDLE_REMINDER = and_(
    alert.c.event == UNACKNOWLEDGED, alert.c.state.in_((AlertState.HELD.value, AlertState.SUPPRESSED.value))
)
"""Nothing depends on a reminder that waits or was not needed, and there is one for every beginning."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row of the append-only audit."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]


class AlertPart(StorePart):
    """What is told to people, and what people and jobs did."""

    def add_alerts(self, alerts: Sequence[Alert], *, decided_at: datetime | None = None) -> int:
        """Queue those not yet known by id; returns how many were new.

        They are not sent before `decide_alerts` has looked at them, unless `decided_at` says that nothing is to be
        decided about them.
        """
        with self._database.write() as connection:
            return queue_alerts(connection, alerts, decided_at=decided_at)

    def pending_alerts(self, now: datetime, limit: int) -> list[Alert]:
        """Alerts that were decided about and are due, oldest first."""
        statement = (
            select(alert)
            .where(alert.c.state == PENDING, alert.c.next_attempt_at <= now)
            .order_by(alert.c.created_at, alert.c.alert_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [alert_of(row) for row in connection.execute(statement).mappings()]

    def alerts(self, since: datetime) -> list[Alert]:
        """All alerts created since then, newest first, but for reminders that wait or were not needed."""
        statement = select(alert).where(alert.c.created_at >= since, ~IDLE_REMINDER)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(alert.c.created_at.desc(), alert.c.alert_id)).mappings()
            return [alert_of(row) for row in rows]

    # ------------------------------------------------------------ suggestions

    def save_suggestions(self, suggestions: Sequence[Suggestion]) -> int:
        """Insert those not yet known by id; returns how many were new."""
        with self._database.write() as connection:
            records = [asdict(item) for item in suggestions]
            return insert_records(connection, suggestion, records, "ON CONFLICT DO NOTHING")

    def suggestions(self, incident_ids: Sequence[str] | None = None) -> list[Suggestion]:
        """All, or those of some incidents, newest first."""
        statement = select(suggestion).order_by(suggestion.c.created_at.desc(), suggestion.c.suggestion_id)
        if incident_ids is not None:
            statement = statement.where(suggestion.c.incident_id.in_(list(incident_ids)))
        with self._database.read() as connection:
            return [Suggestion(**row) for row in connection.execute(statement).mappings()]

    # ------------------------------------------------------------ jobs and audit

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name; a fresh `JobState` where there is none."""
        wanted = list(names)
        with self._database.read() as connection:
            rows = connection.execute(select(job_state).where(job_state.c.name.in_(wanted))).mappings()
            found = {row["name"]: JobState(**row) for row in rows}
        return {name: found.get(name, JobState(name)) for name in wanted}

    def save_job_states(self, states: Sequence[JobState]) -> None:
        """Insert or replace."""
        records = sorted((asdict(state) for state in states), key=lambda record: str(record["name"]))
        if not records:
            return
        with self._database.write() as connection:
            insert_records(connection, job_state, records, replace_on(["name"], list(records[0])))

    def append_audit(self, actor: str, action: str, subject: str, detail: Mapping[str, object]) -> None:
        """Write down who did what to what; the row can never be changed, nor removed before it is a year old."""
        with self._database.write() as connection:
            self._note(connection, actor, action, subject, detail)

    def audit(self, since: datetime, limit: int = 1000) -> list[AuditEntry]:
        """Entries since then, newest first."""
        columns = [audit_log.c[name] for name in AuditEntry.__dataclass_fields__]
        statement = select(*columns).where(audit_log.c.at >= since)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(audit_log.c.audit_id.desc()).limit(limit)).mappings()
            return [AuditEntry(**row) for row in rows]


def queue_alerts(connection: Connection, alerts: Sequence[Alert], *, decided_at: datetime | None = None) -> int:
    """As `add_alerts`, within a transaction that also stores what they tell of."""
    decided = {"decided_at": decided_at, "next_attempt_at": decided_at}
    records = [alert_record(item) | decided for item in alerts]
    return insert_records(connection, alert, records, "ON CONFLICT DO NOTHING")


def alert_record(item: Alert) -> dict[str, Any]:
    """The row of a new alert about which nothing was decided."""
    return _alert_facts(item) | {
        "state": PENDING,
        "attempts": 0,
        "queued_at": item.created_at,
        "next_attempt_at": None,
        "instance": str(item.facts.get("instance", "")),
        "rule": "",
        "reason": "",
    }


def _alert_facts(item: Alert) -> dict[str, object]:
    facts = {name: getattr(item, name) for name in ALERT_FIELDS}
    return facts | {"event": str(item.event), "severity": str(item.severity), "facts": dict(item.facts)}
