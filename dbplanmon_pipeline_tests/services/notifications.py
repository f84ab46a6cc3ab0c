"""Notifications as a replay would make them, with figures that nobody looks at."""

from datetime import timedelta

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope, IncidentState
from dbplanmon_pipeline.core.model import Label, Severity
from dbplanmon_pipeline.services.backtest import Notification


def notification(raised_at, query_hash=1, *, instance="shop", database="db0", ended_at=None, **facts):
    """About a statement, or about the whole instance where `query_hash` is 0."""
    is_query = query_hash != 0
    values = {
        "incident_id": "0badcafe0123",
        "scope": IncidentScope.QUERY if is_query else IncidentScope.INSTANCE,
        "instance": instance,
        "database": database if is_query else "",
        "query_hash": query_hash,
        "state": IncidentState.NEW,
        "label": Label.PLAN_REGRESSION if is_query else Label.INSTANCE_SLOWDOWN,
        "severity": Severity.HIGH,
        "metric": "elapsed_time_us",
        "plan_hash": 0,
        "previous_plan_hash": 0,
        "effect_ratio": 3.0,
        "extra_seconds_per_hour": 20.0,
        "extra_seconds_low": 10.0,
        "extra_seconds_high": 30.0,
        "baseline_us": 1000.0,
        "observed_us": 3000.0,
        "score": 9.0,
        "began_at": raised_at - timedelta(minutes=15),
        "opened_at": raised_at,
        "updated_at": raised_at,
        "last_bad_at": raised_at,
    }
    return Notification(raised_at, Incident(**values | facts), ended_at)
