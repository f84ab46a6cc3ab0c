"""When incidents end, and where a browser shows them, as the settings ask for it."""

from collections.abc import Callable
from datetime import timedelta

from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy
from dbplanmon_pipeline.settings import Settings

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


def incident_link(settings: Settings) -> Callable[[str], str | None]:
    """Address of the page of an incident; None without `web.public_url`."""
    address = settings.web.public_url
    return lambda incident_id: f"{address}/incidents/{incident_id}" if address else None
