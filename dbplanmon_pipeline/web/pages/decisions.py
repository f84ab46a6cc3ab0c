"""What operators do to incidents: acknowledge, resolve, dismiss, reopen, mute; the audit has it with their name."""

from collections.abc import Mapping

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dbplanmon_pipeline.composition.decisions import decide_by_person
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.incidents.machine import IllegalTransition
from dbplanmon_pipeline.core.records import change_record
from dbplanmon_pipeline.services.decide_incident import find_incident
from dbplanmon_pipeline.services.mute_alerts import MuteScope, mute_alerts
from dbplanmon_pipeline.web.access.guard import form_of, require
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.api.answers import Answer, body_of
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.incident import ACTIONS, show_incident
from dbplanmon_pipeline.web.pages.mutes import reason_of
from dbplanmon_pipeline.web.pages.templating import link, with_query

EVENTS: Mapping[str, IncidentEvent] = {path: event for event, (path, _word) in ACTIONS.items()}


@require(Role.OPERATOR)
def decide(request: Request) -> Response:
    """The form of the page of an incident; what is not possible any more is said on that page."""
    event = _event(request)
    note = reason_of(str(form_of(request).get("note", "")))
    try:
        change = _decide(request, event, note)
    except IllegalTransition as problem:
        found = find_incident(context_of(request).session.store, request.path_params["incident_id"])
        return show_incident(request, found, problem=str(problem), status=409)
    return _back(request, change.incident, change.event.value)


@require(Role.OPERATOR)
async def decide_json(request: Request) -> Response:
    """The same for programs: `{"note": "why"}`, or nothing."""
    event, given = _event(request), await body_of(request, ("note",))
    change = await run_in_threadpool(_decide, request, event, reason_of(given.get("note", "")))
    return Answer({"incident_id": change.incident.incident_id, **change_record(change)})


@require(Role.OPERATOR)
def mute(request: Request) -> Response:
    """Mute what the incident is about, or more."""
    context, form = context_of(request), form_of(request)
    store = context.session.store
    found = find_incident(store, str(form.get("incident_id", "")))
    mute_alerts(
        store,
        _scope(found, str(form.get("scope", ""))),
        span=str(form.get("span", "")),
        actor=user_of(request).name,
        at=context.clock(),
        reason=reason_of(str(form.get("reason", ""))),
    )
    return _back(request, found, "muted")


def _decide(request: Request, event: IncidentEvent, note: str) -> IncidentChange:
    context = context_of(request)
    return decide_by_person(
        context.session.store,
        context.settings,
        request.path_params["incident_id"],
        event,
        actor=user_of(request).name,
        at=context.clock(),
        note=note,
    )


def _event(request: Request) -> IncidentEvent:
    name = request.path_params["event"]
    if name not in EVENTS:
        raise HTTPException(404, f"an incident can be told to {', '.join(EVENTS)}, not to {name}")
    return EVENTS[name]


def _scope(incident: Incident, name: str) -> MuteScope:
    scopes = {
        "statement": MuteScope(incident.instance, incident.database, incident.query_hash),
        "database": MuteScope(incident.instance, incident.database),
        "instance": MuteScope(incident.instance),
    }
    if name not in scopes or (name == "statement" and not incident.query_hash):
        raise HTTPException(400, "mute the statement, the database or the instance of the incident")
    return scopes[name]


def _back(request: Request, incident: Incident, told: str) -> Response:
    path = link(request, "incident", incident_id=incident.incident_id)
    return RedirectResponse(with_query(path, told=told), 303)
