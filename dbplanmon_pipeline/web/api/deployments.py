"""`/api/deploys`: pipelines mark what they roll out, and take a marker back; a listing of the last weeks."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.causes.deployments import AHEAD, UnknownDeployment, UnusableDeployment
from dbplanmon_pipeline.core.records import Record, deployment_record
from dbplanmon_pipeline.services import mark_deployment as marking
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.api.answers import Answer, body_of
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.mutes import reason_of

LISTED_FOR = timedelta(days=30)
_KEYS = ("name", "instance", "database", "at", "note")


@require(Role.VIEWER)
def deployments_json(request: Request) -> Response:
    """Those of the last 30 days, the last first."""
    context = context_of(request)
    now = context.clock()
    found = context.session.store.deployments(now - LISTED_FOR, now + AHEAD)
    return Answer({"deployments": [deployment_record(one) for one in reversed(found)]})


@require(Role.OPERATOR)
async def mark_deployment(request: Request) -> Response:
    """Mark one; the same one twice is kept once."""
    given = await body_of(request, _KEYS)
    return Answer(await run_in_threadpool(_mark, request, given), status_code=201)


@require(Role.OPERATOR)
async def take_back_deployment(request: Request) -> Response:
    """Remove one by its id, or by its name where only one has it: `{"reason": "why"}` or nothing."""
    given = await body_of(request, ("reason",))
    return Answer(await run_in_threadpool(_take_back, request, given))


def _mark(request: Request, given: Mapping[str, str]) -> Record:
    context = context_of(request)
    try:
        marker = marking.mark_deployment(
            context.session.store,
            given.get("name", ""),
            instances={one.name for one in context.settings.instances},
            instance=given.get("instance", ""),
            database=given.get("database", ""),
            deployed_at=_moment(given.get("at", "")),
            note=given.get("note", ""),
            now=context.clock(),
            actor=user_of(request).name,
        )
    except UnusableDeployment as problem:
        raise HTTPException(400, str(problem)) from None
    return deployment_record(marker)


def _take_back(request: Request, given: Mapping[str, str]) -> Record:
    context, actor = context_of(request), user_of(request).name
    wanted, reason = request.path_params["deployment"], reason_of(given.get("reason", ""))
    try:
        removed = marking.take_back_deployment(context.session.store, wanted, actor=actor, reason=reason)
    except UnknownDeployment as problem:
        raise HTTPException(404, str(problem)) from None
    return {**deployment_record(removed), "removed_by": actor}


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise HTTPException(400, '"at" is no moment; send 2026-01-31T14:05:00Z') from None
