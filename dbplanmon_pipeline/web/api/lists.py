"""Lists that are read a page at a time: messages, changes of plans, hotspots, the audit."""

from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.records import Record, hotspot_record, plan_change_record
from dbplanmon_pipeline.core.records_of_people import alert_row_record
from dbplanmon_pipeline.core.workload.words import busier_record, growth_record
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.api.answers import Answer, limit_of
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.alerts import ChannelRow, alert_list, channel_rows
from dbplanmon_pipeline.web.pages.audit import audit_list
from dbplanmon_pipeline.web.pages.hotspots import hotspot_list
from dbplanmon_pipeline.web.pages.plan_changes import plan_change_list


@require(Role.VIEWER)
def alerts_json(request: Request) -> Response:
    """Messages with what was decided and how sending went, the newest first; and how the channels do."""
    context = context_of(request)
    _, page = alert_list(request, limit_of(request))
    now = context.clock()
    tried = page.attempts
    return Answer(
        {
            "alerts": [
                {
                    **alert_row_record(row),
                    "attempts": [
                        {"at": one.attempted_at, "succeeded": one.succeeded, "error": one.error}
                        for one in tried.get(row.alert.alert_id, ())
                    ],
                }
                for row in page.rows
            ],
            "next": page.following or None,
            "channels": [
                _channel_record(row) for row in channel_rows(context, context.session.store.store_figures(now), now)
            ],
        }
    )


@require(Role.VIEWER)
def plan_changes_json(request: Request) -> Response:
    """Changes of plans, the newest first."""
    _, page = plan_change_list(request, limit_of(request))
    rows = [{**plan_change_record(row.change), "incident_id": row.incident_id} for row in page.rows]
    return Answer({"plan_changes": rows, "total": page.total, "next": page.following or None})


@require(Role.VIEWER)
def hotspots_json(request: Request) -> Response:
    """The stored ranking of a moment."""
    found = hotspot_list(request)
    ranking = found.ranking
    return Answer(
        {
            "window_start": ranking.window_start if ranking else None,
            "window_end": ranking.window_end if ranking else None,
            "rank_by": found.by.column,
            "hotspots": [
                {**hotspot_record(line.hotspot, line.statement), "growth": growth_record(line.growth)}
                for line in found.lines
            ],
            "busier": [busier_record(one) for one in found.busier],
        }
    )


@require(Role.VIEWER)
def audit_json(request: Request) -> Response:
    """Who did what, the newest first."""
    _, page = audit_list(request, limit_of(request))
    return Answer({"entries": page.rows, "next": page.following or None})


def _channel_record(row: ChannelRow) -> Record:
    return {
        "name": row.name,
        "type": row.kind if row.is_configured else None,
        "state": row.badge.word.lower(),
        "pending": row.waiting,
        "held": row.held,
        "given_up": row.given_up,
        "last_success_at": row.last_success_at,
        "next_attempt_at": row.next_attempt_at,
        "last_error": row.detail,
    }
