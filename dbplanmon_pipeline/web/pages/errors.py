"""Errors as pages: one clear line in the frame of every page, and a way back; as JSON where a program asks."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.incidents.machine import IllegalTransition
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.errors import DbPlanMonError, StoreError, StoreSchemaMismatch, StoreUnavailable
from dbplanmon_pipeline.services.decide_incident import UnknownIncident
from dbplanmon_pipeline.services.mute_alerts import NothingToMute, UnknownMute
from dbplanmon_pipeline.web.access.answers import is_for_program, notice, path_of
from dbplanmon_pipeline.web.pages.templating import render

_log = logging.getLogger(__name__)

_TITLES = {
    400: "This cannot be done",
    401: "Please log in",
    403: "You may not do this",
    404: "There is no such page",
    405: "This page cannot be asked for in this way",
    409: "That is not possible any more",
    413: "That is too large",
}
_KINDS: tuple[tuple[type[DbPlanMonError], int, str], ...] = (
    (UnknownIncident, 404, "There is no such incident"),
    (IllegalTransition, 409, "That is not possible any more"),
    (NothingToMute, 400, "Nothing was muted"),
    (UnknownMute, 409, "That is not possible any more"),
    (StoreSchemaMismatch, 503, "The store is not ready"),
    (StoreUnavailable, 503, "The store cannot be reached"),
    (StoreError, 503, "The store cannot be read"),
    (DbPlanMonError, 400, "This cannot be done"),
)
_WITHOUT_WORDS = ("Not Found", "Method Not Allowed")
_MOST_WORDS = 600

Handler = Callable[[Request, Any], Response]


def error_pages() -> dict[Any, Handler]:
    """Handlers for the app, by class of error."""
    return {HTTPException: _refused, DbPlanMonError: _expected}


def _refused(request: Request, error: HTTPException) -> Response:
    line = "" if error.detail in _WITHOUT_WORDS else error.detail
    title = _TITLES.get(error.status_code, "This did not work")
    return _answer(request, error.status_code, title, line, dict(error.headers or {}))


def _expected(request: Request, error: DbPlanMonError) -> Response:
    status, title = next((status, title) for kind, status, title in _KINDS if isinstance(error, kind))
    if status != 503:
        return _answer(request, status, title, str(error))
    _log.warning("%s", one_line(str(error)), extra={"event": "page_without_store", "path": path_of(request.scope)})
    return _answer(request, status, title, str(error), {"Retry-After": "10"})


def _answer(
    request: Request, status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    line = one_line(detail, _MOST_WORDS)
    if is_for_program(request.scope):
        return notice(request.scope, status, line or title, dict(headers or {}))
    answer = render(request, "error.html", status=status, heading=title, detail=line)
    answer.headers.update(headers or {})
    return answer
