"""From the settings to the ages of each kind of data."""

from datetime import timedelta

from dbplanmon_pipeline.core.retention import RetentionPolicy
from dbplanmon_pipeline.settings import Settings

AGE_OF = {
    "interval_day": "intervals",
    "archive_segment": "intervals",
    "collection_log": "logs",
    "alert_delivery": "logs",
    "alert": "alerts",
    "mute_rule": "alerts",
    "maintenance_window": "alerts",
    "job_state": "memory",
    "kpi_result": "kpis",
    "hotspot": "hotspots",
    "hourly_rollup": "rollups",
    "database_hour": "rollups",
    "history_import": "intervals",
    "database_fact": "facts",
    "incident": "incidents",
    "deployment": "facts",
    "plan_change": "plan_changes",
    "plan_observation": "plans",
    "plan": "plans",
    "query": "statements",
    "query_text": "statements",
    "baseline": "baselines",
    "audit_log": "audit",
}
"""Key of `retention` that says how long a kind is kept; in the order of removal."""


def retention_policy(settings: Settings) -> RetentionPolicy:
    """Ages, grace and pace, as the settings have them."""
    chosen = settings.retention
    return RetentionPolicy(
        ages={subject: getattr(chosen, key) for subject, key in AGE_OF.items()},
        grace=chosen.grace,
        # A day more: baselines are learnt from whole days, some hours after the last one ended.
        baseline_window=timedelta(days=settings.baselines.days + 1),
        batch_rows=chosen.batch_rows,
        pause=chosen.pause,
    )
