"""Alerts of a back-test in the columns that other programs read; names and order are stable."""

from datetime import datetime

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.records import Record

COLUMNS = (
    "raised_at",
    "scope",
    "instance",
    "database",
    "query_hash",
    "plan_hash",
    "previous_plan_hash",
    "label",
    "severity",
    "metric",
    "effect_ratio",
    "extra_seconds_per_hour",
)

_ZERO = "0" * 16
"""A record from elsewhere may number its statements from 0; its reader wants a number wherever the scope is `query`."""


def alert_record(raised_at: datetime, incident: Incident) -> Record:
    """One alert by the names of COLUMNS."""
    values = (
        raised_at,
        incident.scope,
        incident.instance,
        incident.database,
        hash_text(incident.query_hash) or (_ZERO if incident.scope is IncidentScope.QUERY else ""),
        hash_text(incident.plan_hash),
        hash_text(incident.previous_plan_hash),
        incident.label,
        incident.severity,
        incident.metric,
        incident.effect_ratio,
        incident.extra_seconds_per_hour,
    )
    return dict(zip(COLUMNS, values, strict=True))


def alert_cells(raised_at: datetime, incident: Incident) -> tuple[str, ...]:
    """The same as cells of a CSV file: figures with four digits, moments in ISO 8601."""
    return tuple(_cell(value) for value in alert_record(raised_at, incident).values())


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:.4g}" if isinstance(value, float) else str(value)
