"""`/audit`: who did what; entries are only ever added."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports.page_lists import AuditPage, AuditRow
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.list_query import PERIOD_CHOICES, ListQuery, list_query
from dbplanmon_pipeline.web.pages.templating import render
from dbplanmon_pipeline.web.pages.words import is_incident_id

PAGE = 100
_WORDS = 300


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One entry; `detail` by name, without what is empty; `incident_id` where it is about one."""

    entry: AuditRow
    detail: tuple[tuple[str, str], ...]
    incident_id: str


@require(Role.VIEWER)
def audit(request: Request) -> Response:
    """The list, the newest first."""
    query, page = audit_list(request, PAGE)
    return render(
        request,
        "audit.html",
        lines=[_line(entry) for entry in page.rows],
        chosen=query.chosen,
        is_narrowed=query.is_narrowed,
        periods=PERIOD_CHOICES,
        turn=query.pages(request, "audit", page.following),
    )


def audit_list(request: Request, limit: int) -> tuple[ListQuery, AuditPage]:
    """What is asked for, and the entries that fit, the newest first."""
    context = context_of(request)
    query = list_query(request.query_params, actor="", action="", subject="", period="30d")
    chosen, since = query.chosen, query.since(context.clock())
    return query, query.asked(
        lambda after: context.session.store.audit_page(
            actor=chosen["actor"],
            action=chosen["action"],
            subject=chosen["subject"],
            since=since,
            after=after,
            limit=limit,
        )
    )


def _line(entry: AuditRow) -> AuditLine:
    is_step = entry.action.startswith("incident ") and is_incident_id(entry.subject)
    return AuditLine(entry, tuple(_detail(entry.detail)), entry.subject if is_step else "")


def _detail(detail: Mapping[str, object]) -> list[tuple[str, str]]:
    return [
        (one_line(name.replace("_", " "), 60), one_line(str(value), _WORDS))
        for name, value in sorted(detail.items())
        if value not in ("", None, 0, [], {})
    ]
