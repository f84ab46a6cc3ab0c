"""`/api/deploys`: pipelines mark what they roll out; a listing of the last weeks."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dbplanmon_pipeline.core.deployments import AHEAD, UnusableDeployment
from dbplanmon_pipeline.core.jsonable import jsonable
from dbplanmon_pipeline.core.records import Record, deployment_record
from dbplanmon_pipeline.services import mark_deployment as marking
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.context import context_of

LISTED_FOR = timedelta(days=30)
_TEXTS = ("name", "instance", "database", "at", "note")
_FORM = 'send {"name": "shop 2.4"}, and if you like "instance", "database", "at" and "note", each a text'


@require(Role.VIEWER)
def deployments_json(request: Request) -> Response:
    """Those of the last 30 days, the last first."""
    context = context_of(request)
    now = context.clock()
    found = context.session.store.deployments(now - LISTED_FOR, now + AHEAD)
    return JSONResponse(jsonable({"deployments": [deployment_record(one) for one in reversed(found)]}))


@require(Role.OPERATOR)
async def mark_deployment(request: Request) -> Response:
    """Mark one; the same one twice is kept once."""
    texts = _texts(await request.body())
    return JSONResponse(jsonable(await run_in_threadpool(_mark, request, texts)), status_code=201)


def _mark(request: Request, texts: dict[str, str]) -> Record:
    context = context_of(request)
    try:
        marker = marking.mark_deployment(
            context.session.store,
            texts["name"],
            instances={one.name for one in context.settings.instances},
            instance=texts["instance"],
            database=texts["database"],
            deployed_at=_moment(texts["at"]),
            note=texts["note"],
            now=context.clock(),
            actor=user_of(request).name,
        )
    except UnusableDeployment as problem:
        raise HTTPException(400, str(problem)) from None
    return deployment_record(marker)


def _texts(body: bytes) -> dict[str, str]:
    try:
        given: Any = json.loads(body)
    except ValueError:
        raise HTTPException(400, f"the body is no JSON; {_FORM}") from None
    if not isinstance(given, dict) or not set(given) <= set(_TEXTS):
        raise HTTPException(400, _FORM)
    if not all(isinstance(value, str) for value in given.values()):
        raise HTTPException(400, _FORM)
    return {name: given.get(name, "") for name in _TEXTS}


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise HTTPException(400, '"at" is no moment; send 2026-01-31T14:05:00Z') from None
