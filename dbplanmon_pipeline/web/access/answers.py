"""Answers that are no page: what is wrong in one line, as a plain page for people and as JSON for programs."""

import logging
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.errors import DbPlanMonError, StoreError
from dbplanmon_pipeline.logs import places_of
from dbplanmon_pipeline.web.foreign_text import shown

_log = logging.getLogger(__name__)
_FOR_PROGRAMS = ("/api/", "/health", "/metrics")
_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1] / "templates"),
    autoescape=True,
    finalize=shown,
    undefined=StrictUndefined,
)


def root_of(scope: Scope) -> str:
    """Path below which the app is served, without a slash at its end."""
    # Within a mounted folder `root_path` is that of the folder.
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return root.rstrip("/")


def path_of(scope: Scope) -> str:
    """Path within the app."""
    path: str = scope["path"]
    return path.removeprefix(root_of(scope)) or "/"


def is_for_program(scope: Scope) -> bool:
    """True where a program asks, which wants JSON and a status instead of a page."""
    return path_of(scope).startswith(_FOR_PROGRAMS) or bool(scope.get("state", {}).get("is_bearer"))


def render(template: str, status: int, **facts: object) -> HTMLResponse:
    """A page of this room."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(**facts), status)


def notice(scope: Scope, status: int, line: str, headers: Mapping[str, str] | None = None) -> Response:
    """One line that says what is wrong."""
    answer: Response
    if is_for_program(scope):
        answer = JSONResponse({"error": line}, status)
    else:
        title = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
        answer = render("notice.html", status, title=title, line=line, home=f"{root_of(scope)}/")
    answer.headers.update(headers or {})
    return answer


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, line: str) -> None:
    """Answer without asking the app."""
    answer = notice(scope, status, line, {"Connection": "close"} if status == 413 else None)
    await answer(scope, receive, send)


async def on_http_error(request: Request, error: Exception) -> Response:
    """What a handler refused."""
    assert isinstance(error, HTTPException)
    lines = {404: "there is nothing here", 405: f"{request.method} is not understood here"}
    told = error.detail != HTTPStatus(error.status_code).phrase
    line = error.detail if told else lines.get(error.status_code, error.detail)
    return notice(request.scope, error.status_code, line, dict(error.headers or {}))


async def on_expected_error(request: Request, error: Exception) -> Response:
    """One of our own errors: the store is away or of another version, or what was asked for cannot be done."""
    status = 503 if isinstance(error, StoreError) else 400
    if status == 503:
        _log.warning("%s", error, extra={"event": "page_without_store", "path": path_of(request.scope)})
    return notice(request.scope, status, one_line(str(error)), {"Retry-After": "10"} if status == 503 else None)


class LastResort:
    """Turns what nobody expected into a plain page and one entry of the log, by whose number people ask for it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the app answer."""
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except Exception as error:
            if scope["type"] != "http":
                raise
            number = secrets.token_hex(4)
            facts = {"event": "page_failed", "error_id": number, "path": path_of(scope), "trace": places_of(error)}
            _log.error("a page failed: %s", type(error).__name__, extra=facts)
            if started:
                return
            line = f"this went wrong, and it is our fault; the log has it as {number}"
            await refuse(scope, receive, send, 500, line)


HANDLERS = {HTTPException: on_http_error, DbPlanMonError: on_expected_error}
"""For the app: by class of error."""
