"""What people decide about incidents, with the channels that the settings name."""

from datetime import datetime

from dbplanmon_pipeline.composition.alert_rules import tracking_channels
from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.services.decide_incident import DecisionStore, decide_incident
from dbplanmon_pipeline.settings import Settings


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
