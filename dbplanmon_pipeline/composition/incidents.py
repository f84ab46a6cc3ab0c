"""When incidents end, by the cadence of the settings."""

from datetime import timedelta

from dbplanmon_pipeline.core.incident_machine import IncidentPolicy

CALM_INTERVALS, INSTANCE_CALM_INTERVALS = 36, 12
"""Three hours and one hour of activity at the usual cadence."""


def incident_policy(step: timedelta) -> IncidentPolicy:
    """When incidents end; with a faster cadence the same number of calm intervals passes sooner."""
    usual = IncidentPolicy()
    return IncidentPolicy(
        step=step,
        calm_after=min(usual.calm_after, CALM_INTERVALS * step),
        instance_calm_after=min(usual.instance_calm_after, INSTANCE_CALM_INTERVALS * step),
    )
