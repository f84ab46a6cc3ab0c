"""Messages, rules about them, and figures of people's own in the JSON of commands and pages; keys are stable."""

from datetime import datetime

from dbplanmon_pipeline.core.alert_rules.windows import WEEKDAYS, open_until
from dbplanmon_pipeline.core.kpis.health import KpiStatus
from dbplanmon_pipeline.core.kpis.rules import KpiResult, KpiState
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.ports.alert_rules import AlertRow, MaintenanceWindow, MuteRule
from dbplanmon_pipeline.core.records import Record, alert_record


def alert_row_record(row: AlertRow) -> Record:
    """One message and what was decided about it."""
    return {
        **alert_record(row.alert),
        "state": row.state,
        "rule": row.rule,
        "reason": row.reason,
        "next_attempt_at": row.next_attempt_at,
        "decided_at": row.decided_at,
        "grouped_into": row.grouped_into,
    }


def mute_record(rule: MuteRule) -> Record:
    """One mute rule."""
    return {
        "mute_id": rule.mute_id,
        "instance": rule.instance,
        "database": rule.database,
        "query_hash": hash_text(rule.query_hash),
        "label": rule.label,
        "text": rule.text,
        "created_at": rule.created_at,
        "created_by": rule.created_by,
        "reason": rule.reason,
        "expires_at": rule.expires_at,
        "removed_at": rule.removed_at,
    }


def window_record(window: MaintenanceWindow, now: datetime) -> Record:
    """One maintenance window, and until when it is open; null while closed."""
    return {
        "window_id": window.window_id,
        "days": [WEEKDAYS[day] for day in sorted(window.weekdays)],
        "start": f"{window.starts:%H:%M}",
        "end": f"{window.ends:%H:%M}",
        "zone": window.time_zone,
        "instance": window.instance,
        "database": window.database,
        "open_until": None if window.removed_at else open_until(window, now),
        "created_at": window.created_at,
        "created_by": window.created_by,
        "reason": window.reason,
        "removed_at": window.removed_at,
    }


def kpi_record(status: KpiStatus) -> Record:
    """One KPI with its newest reading; never its statement."""
    spec, memory, result = status
    return {
        "name": spec.name,
        "instance": spec.ref.instance,
        "database": spec.ref.database,
        "severity": spec.severity,
        "limits": spec.limits,
        "trouble": None if memory.trouble is KpiState.OK else memory.trouble,
        "began_at": memory.began_at,
        "latest": kpi_result_record(result) if result else None,
    }


def kpi_result_record(result: KpiResult) -> Record:
    """One reading of a KPI."""
    return {
        "name": result.name,
        "started_at": result.started_at,
        "duration_ms": round(result.duration_ms, 1),
        "state": result.state,
        "value": result.value,
        "normal": result.normal,
        "message": result.message,
    }
