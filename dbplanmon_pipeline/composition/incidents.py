"""When incidents end, where a browser shows them, and what people decide about them, as the settings ask for it."""

from collections.abc import Callable
from datetime import datetime, timedelta

from dbplanmon_pipeline.composition.alert_rules import tracking_channels
from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy
from dbplanmon_pipeline.services.decide_incident import DecisionStore, decide_incident
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


def decide_by_person(
    store: DecisionStore,
    settings: Settings,
    incident_id: str,
    event: IncidentEvent,
    *,
    actor: str,
    at: datetime,
    note: str = "",
) -> IncidentChange:
    """What a person decides, from wherever; channels that keep the incident open on their side hear of it.

    Raises:
        UnknownIncident, IllegalTransition: as `decide_incident`.
    """
    return decide_incident(
        store, incident_id, event, actor=actor, at=at, note=note, trackers=tracking_channels(settings)
    )
