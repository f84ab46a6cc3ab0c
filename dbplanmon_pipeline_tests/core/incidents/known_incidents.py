"""An incident to start from."""

from datetime import UTC, datetime

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope, IncidentState
from dbplanmon_pipeline.core.model import Label, Severity

NOW = datetime(2026, 3, 1, 12, 5, tzinfo=UTC)

PLAN_REGRESSION = Incident(
    incident_id="0123456789ab",
    scope=IncidentScope.QUERY,
    instance="prod",
    database="Shop",
    query_hash=0xAB,
    state=IncidentState.NEW,
    label=Label.PLAN_REGRESSION,
    severity=Severity.HIGH,
    metric="worker_time_us",
    plan_hash=-1,
    previous_plan_hash=0xCD,
    effect_ratio=40.0,
    extra_seconds_per_hour=90.0,
    extra_seconds_low=80.0,
    extra_seconds_high=100.0,
    baseline_us=100.0,
    observed_us=4000.0,
    score=9.0,
    began_at=NOW,
    opened_at=NOW,
    updated_at=NOW,
    last_bad_at=NOW,
)
