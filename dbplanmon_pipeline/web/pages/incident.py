"""`/incidents/{incident_id}`: everything known about one incident, and what somebody may do about it."""

from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentEvent
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import PlanChange, Suggestion
from dbplanmon_pipeline.core.ports.alert_rules import MuteRule
from dbplanmon_pipeline.core.ports.pages import IncidentFilter
from dbplanmon_pipeline.core.remedies.remediation import ways_back
from dbplanmon_pipeline.services.decide_incident import find_incident
from dbplanmon_pipeline.services.explain import CAUSE_WINDOW, Explanation, explain_incident
from dbplanmon_pipeline.services.explanation_record import explanation_record
from dbplanmon_pipeline.services.mute_alerts import SPANS
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.api.answers import Answer
from dbplanmon_pipeline.web.charts.history import history_chart
from dbplanmon_pipeline.web.context import WebContext, context_of
from dbplanmon_pipeline.web.pages.incident_series import (
    IncidentSeries,
    database_loads,
    instance_series,
    shown_span,
    statement_series,
)
from dbplanmon_pipeline.web.pages.incident_timeline import history, timeline
from dbplanmon_pipeline.web.pages.mutes import UNMUTED
from dbplanmon_pipeline.web.pages.plan_sides import plan_sides
from dbplanmon_pipeline.web.pages.statement_layout import lay_out
from dbplanmon_pipeline.web.pages.templating import render

TOLD = {
    "acknowledged": "Acknowledged. It stays open until the statement is normal again.",
    "resolved": "Resolved. It opens again if the statement is still slow in half an hour.",
    "dismissed": "Dismissed. It stays away for a week unless it gets worse.",
    "reopened": "Reopened.",
    "muted": "Muted. Messages that fall under the rule are kept and counted, but not sent.",
    "unmuted": UNMUTED,
}
ACTIONS = {
    IncidentEvent.ACKNOWLEDGED: ("acknowledge", "Acknowledge"),
    IncidentEvent.RESOLVED: ("resolve", "Resolve"),
    IncidentEvent.DISMISSED: ("dismiss", "Dismiss"),
    IncidentEvent.REOPENED: ("reopen", "Reopen"),
}
MOST_RELATED, RELATED_SHOWN = 50, 10
_SPAN_WORDS = {"1h": "1 hour", "24h": "24 hours", "7d": "7 days", "never": "Until removed"}


@dataclass(frozen=True, slots=True)
class ShownSuggestion:
    """A way back with the words of its kind."""

    suggestion: Suggestion
    title: str
    rationale: str


@require(Role.VIEWER)
def incident(request: Request) -> Response:
    """The page."""
    context = context_of(request)
    found = find_incident(context.session.store, request.path_params["incident_id"])
    return show_incident(request, found)


def show_incident(request: Request, found: Incident, *, problem: str = "", status: int = 200) -> Response:
    """The page of an incident; `problem` says what could not be done to it."""
    context = context_of(request)
    store, now = context.session.store, context.clock()
    explanation = explain_incident(store, found, context.session.dialect(found.instance))
    suggested = ways_back(store.suggestions([found.incident_id]), explanation.suggestions)
    steps = store.incident_events(found.incident_id)
    changes = _plan_changes(context, found)
    series = statement_series(context, found, changes) if found.query_hash else instance_series(context, found)
    return render(
        request,
        "incident.html",
        status=status,
        it=found,
        explanation=explanation,
        chart=_chart(series),
        series=series,
        timeline=timeline(found, explanation, changes, steps),
        history=history(steps),
        alerts=store.incident_alerts(found.incident_id),
        suggestions=[_shown(suggestion) for suggestion in suggested],
        sides=plan_sides(explanation.old_plan, explanation.new_plan, (found.previous_plan_hash, found.plan_hash)),
        statement=lay_out(explanation.statement.text) if explanation.statement else None,
        loads=[] if found.query_hash else database_loads(context, found)[:MOST_RELATED],
        related=_related(context, found),
        most_related=RELATED_SHOWN,
        mutes=[mute for mute in store.mutes(at=now) if is_muted_by(found, mute, explanation)],
        actions=_actions(found),
        spans=[(span, _SPAN_WORDS.get(span, span)) for span in SPANS],
        told=TOLD.get(request.query_params.get("told", ""), "") if user_of(request).role.covers(Role.OPERATOR) else "",
        problem=problem,
    )


@require(Role.VIEWER)
def incident_json(request: Request) -> Response:
    """The same for programs, in the keys of `dbplanmon incidents show --json`."""
    context = context_of(request)
    store = context.session.store
    found = find_incident(store, request.path_params["incident_id"])
    explanation = explain_incident(store, found, context.session.dialect(found.instance))
    suggestions = ways_back(store.suggestions([found.incident_id]), explanation.suggestions)
    return Answer(explanation_record(found, explanation, suggestions, store.incident_events(found.incident_id)))


def is_muted_by(incident: Incident, mute: MuteRule, explanation: Explanation) -> bool:
    """True where messages about the incident fall under the rule."""
    text = explanation.statement.text if explanation.statement else ""
    return (
        mute.instance in ("", incident.instance)
        and mute.database in ("", incident.database)
        and mute.query_hash in (0, incident.query_hash)
        and mute.label in ("", incident.label.value)
        and mute.text.casefold() in text.casefold()
    )


def _chart(series: IncidentSeries) -> Markup:
    return history_chart(series.chart) if series.chart.points else Markup("")


def _plan_changes(context: WebContext, incident: Incident) -> list[PlanChange]:
    """Of the statement, within what the chart shows, oldest first."""
    if not incident.query_hash:
        return []
    start, _ = shown_span(incident, context.clock())
    ref = DatabaseRef(incident.instance, incident.database)
    changes = context.session.store.plan_changes(start, ref)
    return [change for change in reversed(changes) if change.query_hash == incident.query_hash]


def _related(context: WebContext, incident: Incident) -> list[Incident]:
    """Other incidents on the same instance at the same time, the dearest first."""
    now = context.clock()
    last = incident.closed_at or now
    chosen = IncidentFilter(instance=incident.instance, since=incident.began_at - CAUSE_WINDOW)
    page = context.session.store.incident_page(chosen, limit=MOST_RELATED)
    return [
        other
        for other in page.incidents
        if other.incident_id != incident.incident_id
        and other.began_at <= last
        and (other.closed_at or now) >= incident.began_at
    ]


def _shown(suggestion: Suggestion) -> ShownSuggestion:
    title = suggestion.kind.replace("_", " ")
    return ShownSuggestion(suggestion, title[:1].upper() + title[1:], one_line(suggestion.rationale, 1_000))


def _actions(incident: Incident) -> list[tuple[str, str]]:
    """Path and word of what may be done now, the usual one first."""
    if not incident.state.is_open:
        return [ACTIONS[IncidentEvent.REOPENED]]
    closing = [ACTIONS[IncidentEvent.RESOLVED], ACTIONS[IncidentEvent.DISMISSED]]
    return closing if incident.state.value == "acknowledged" else [ACTIONS[IncidentEvent.ACKNOWLEDGED], *closing]
