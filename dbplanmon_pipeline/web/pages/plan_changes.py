"""`/plan-changes`: statements that run with another plan than before, on the whole fleet."""

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.ports.page_lists import ListFilter, PlanChangePage
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.list_query import PERIOD_CHOICES, ListQuery, list_query
from dbplanmon_pipeline.web.pages.templating import render

PAGE = 50


@require(Role.VIEWER)
def plan_changes(request: Request) -> Response:
    """The list, the newest first."""
    store = context_of(request).session.store
    query, page = plan_change_list(request, PAGE)
    return render(
        request,
        "plan_changes.html",
        page=page,
        texts=store.statement_texts([(row.change.ref, row.change.query_hash) for row in page.rows]),
        chosen=query.chosen,
        is_narrowed=query.is_narrowed,
        instances=sorted({ref.instance for ref in store.known_databases()}),
        periods=PERIOD_CHOICES,
        turn=query.pages(request, "plan_changes", page.following),
    )


def plan_change_list(request: Request, limit: int) -> tuple[ListQuery, PlanChangePage]:
    """What is asked for, and the changes that fit, the newest first."""
    context = context_of(request)
    query = list_query(request.query_params, q="", instance="", database="", period="7d")
    chosen = ListFilter(
        instance=query.chosen["instance"],
        database=query.chosen["database"],
        text=query.chosen["q"],
        since=query.since(context.clock()),
    )
    return query, query.asked(lambda after: context.session.store.plan_change_page(chosen, after=after, limit=limit))
