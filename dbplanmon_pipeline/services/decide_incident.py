"""A person's decision about an incident: find it by the start of its id, change its state, write down who and why."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.alerts.delivery_policy import CALMING_EVENTS
from dbplanmon_pipeline.core.alerts.incident_alerts import decision_alert
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.incidents.machine import IllegalTransition, transition
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.errors import DbPlanMonError

LARGEST_SEARCH = 100_000


class UnknownIncident(DbPlanMonError):
    """No incident, or more than one, has an id that begins so."""


class DecisionStore(Protocol):
    """The parts of the store a decision touches."""

    def incident(self, incident_id: str) -> Incident | None:
        """One incident by its whole id."""
        ...

    def incidents(
        self, *, states: Iterable[IncidentState] | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[Incident]:
        """Incidents, the latest first."""
        ...

    def open_incidents(self) -> list[Incident]:
        """Those in which somebody may have to act."""
        ...

    def save_incident_changes(self, changes: Sequence[IncidentChange], alerts: Sequence[Alert] = ()) -> None:
        """Store the step, who decided it and why in the audit, and what is told of it."""
        ...


def find_incident(store: DecisionStore, id_or_start: str) -> Incident:
    """The one incident whose id is or begins so.

    Raises:
        UnknownIncident: there is none, or more than one.
    """
    wanted = id_or_start.strip().lower()
    whole = store.incident(wanted) if wanted else None
    if whole is not None:
        return whole
    found = [i for i in store.incidents(limit=LARGEST_SEARCH) if wanted and i.incident_id.startswith(wanted)]
    if not found:
        raise UnknownIncident(f"no incident {id_or_start!r}; see dbplanmon incidents list --all")
    if len(found) > 1:
        names = ", ".join(i.incident_id for i in found[:5])
        raise UnknownIncident(f"{id_or_start!r} is the start of {len(found)} incidents, give more of it: {names}")
    return found[0]


def decide_incident(
    store: DecisionStore,
    id_or_start: str,
    event: IncidentEvent,
    *,
    actor: str,
    at: datetime,
    note: str = "",
    trackers: Sequence[str] = (),
) -> IncidentChange:
    """Acknowledge, resolve, dismiss or reopen an incident.

    Args:
        store: where the incident lies.
        id_or_start: its id, or enough of it.
        event: what to do.
        actor: who decides.
        at: aware UTC.
        note: why.
        trackers: channels that keep the incident open on their side; they are told when it is taken or over.

    Raises:
        UnknownIncident: it cannot be found.
        IllegalTransition: it is not in a state from which this may happen, another one about the same is open, or
            the reason for opening it again is missing.
    """
    incident = find_incident(store, id_or_start)
    change = transition(incident, event, actor, at, note)
    if event is IncidentEvent.REOPENED:
        _refuse_a_second(store, incident)
    command = f"dbplanmon incidents show {incident.incident_id}"
    told = trackers if event.value in CALMING_EVENTS else ()
    store.save_incident_changes([change], [decision_alert(change, channel=one, command=command) for one in told])
    saved = store.incident(incident.incident_id)
    if saved is None or saved.state is not change.incident.state:
        raise IllegalTransition(f"incident {incident.incident_id} changed in this very moment; look at it again")
    return change


def _refuse_a_second(store: DecisionStore, incident: Incident) -> None:
    for other in store.open_incidents():
        if other.key == incident.key:
            raise IllegalTransition(
                f"incident {incident.incident_id} cannot be reopened: {other.incident_id} about the same is open"
            )
