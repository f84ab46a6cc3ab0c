"""`/api/kpis` and `/api/kpis/{name}`: figures of your own, in the keys of `dbplanmon kpis`."""

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.records_of_people import kpi_record, kpi_result_record
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.api.answers import Answer, limit_of
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.kpis import SPANS, named_kpi
from dbplanmon_pipeline.web.pages.spans import chosen_span


@require(Role.VIEWER)
def kpis_json(request: Request) -> Response:
    """All of the settings, each with its newest reading."""
    return Answer({"kpis": [kpi_record(status) for status in context_of(request).session.kpi_status()]})


@require(Role.VIEWER)
def kpi_json(request: Request) -> Response:
    """One of them with its readings, the newest first."""
    context, status = context_of(request), named_kpi(request)
    span = chosen_span(SPANS, request.query_params.get("span", ""))
    results = context.session.store.kpi_results(status[0].name, context.clock() - span.length, limit=limit_of(request))
    return Answer({**kpi_record(status), "span": span.key, "results": [kpi_result_record(one) for one in results]})
