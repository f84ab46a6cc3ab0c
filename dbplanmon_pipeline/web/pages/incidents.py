"""`/incidents`: what is slow, the dearest first, narrowed by a form whose address can be sent to somebody."""

from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports.pages import IncidentPage
from dbplanmon_pipeline.core.records import incident_record
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.api.answers import Answer, limit_of
from dbplanmon_pipeline.web.charts.bars import bar
from dbplanmon_pipeline.web.context import WebContext, context_of
from dbplanmon_pipeline.web.pages.incident_query import ANY, OPEN, IncidentQuery, cursor_text, incident_query
from dbplanmon_pipeline.web.pages.templating import link, render, with_query
from dbplanmon_pipeline.web.pages.words import LABELS, SEVERITIES, STATES

PAGE = 50
STATEMENT_WORDS = 220

_STATES = ((OPEN, "Open"), *STATES.items(), (ANY, "All"))
_PERIODS = (("1h", "Last hour"), ("24h", "Last 24 hours"), ("7d", "Last 7 days"), ("30d", "Last 30 days"))


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident of the list; the bar is its cost beside the dearest of the page."""

    incident: Incident
    statement: str
    bar: Markup


@require(Role.VIEWER)
def incidents(request: Request) -> Response:
    """The list as a page."""
    context, query = context_of(request), incident_query(request.query_params)
    page = _page(context, query, PAGE)
    path = link(request, "incidents")
    return render(
        request,
        "incidents.html",
        rows=_rows(context, page),
        total=page.total,
        query=query,
        chosen=query.chosen,
        instances=sorted({ref.instance for ref in context.session.store.known_databases()}),
        states=_STATES,
        severities=tuple(SEVERITIES.items()),
        labels=tuple(LABELS.items()),
        periods=_PERIODS,
        first=with_query(path, **query.chosen) if query.after else "",
        following=with_query(path, **query.chosen, after=cursor_text(page.following)) if page.following else "",
    )


@require(Role.VIEWER)
def incidents_json(request: Request) -> Response:
    """The list for programs: the same query, `limit` up to 500, `next` is the `after` of the next page."""
    query = incident_query(request.query_params)
    page = _page(context_of(request), query, limit_of(request, PAGE))
    found = [incident_record(incident) for incident in page.incidents]
    return Answer({"incidents": found, "total": page.total, "next": cursor_text(page.following) or None})


def _page(context: WebContext, query: IncidentQuery, limit: int) -> IncidentPage:
    return context.session.store.incident_page(query.filter(context.clock()), after=query.after, limit=limit)


def _rows(context: WebContext, page: IncidentPage) -> list[IncidentRow]:
    keys = [(DatabaseRef(i.instance, i.database), i.query_hash) for i in page.incidents if i.query_hash]
    texts = context.session.store.statement_texts(keys)
    largest = max((i.extra_seconds_per_hour for i in page.incidents), default=0.0)
    rows = []
    for incident in page.incidents:
        text = texts.get((DatabaseRef(incident.instance, incident.database), incident.query_hash))
        words = one_line(text.text[: 4 * STATEMENT_WORDS], STATEMENT_WORDS) if text else ""
        rows.append(
            IncidentRow(incident, words, bar(incident.extra_seconds_per_hour, largest, incident.severity.value))
        )
    return rows
