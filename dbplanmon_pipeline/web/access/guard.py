"""Which handlers need which role, and the checks of every request that changes something.

A handler below `@require(Role.OPERATOR)` that takes POST needs no check of its own: the guard has looked at the role,
at where the request comes from, and at the token of the form, which it hands over as `form_of(request)`.
"""

import inspect
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeVar
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dbplanmon_pipeline.web.access.answers import is_for_program, root_of
from dbplanmon_pipeline.web.access.csrf import FIELD, HEADER, is_csrf_token
from dbplanmon_pipeline.web.access.forms import read_form
from dbplanmon_pipeline.web.access.origin import SAFE_METHODS, is_same_origin
from dbplanmon_pipeline.web.access.user import Role, user_of

ResponseT = TypeVar("ResponseT", bound=Response)
Handler = Callable[[Request], ResponseT] | Callable[[Request], Awaitable[ResponseT]]


def require(role: Role) -> Callable[[Handler[Response]], Callable[[Request], Awaitable[Response]]]:
    """Let only people with this role reach a handler, which may block: one without `async` runs in a thread.

    Others are sent to the login, or get 401 or 403 where a program asks: below `/api/`, or with a token of its own.
    """

    def decorate(handler: Handler[Response]) -> Callable[[Request], Awaitable[Response]]:
        @wraps(handler)
        async def guarded(request: Request) -> Response:
            refusal = _refusal(request, role)
            if refusal is not None:
                return refusal
            if request.method not in SAFE_METHODS:
                request.state.form = await read_form(request)
                _check_change(request)
            if inspect.iscoroutinefunction(handler):
                answer: Response = await handler(request)
                return answer
            return await run_in_threadpool(handler, request)  # type: ignore[arg-type]  # told apart above

        return guarded

    return decorate


def form_of(request: Request) -> FormData:
    """The form of a guarded request, without waiting; empty where it sent none."""
    form: FormData = getattr(request.state, "form", FormData())
    return form


def is_api(request: Request) -> bool:
    """True where a program asks, which wants JSON and a status instead of a page."""
    return is_for_program(request.scope)


def _refusal(request: Request, role: Role) -> Response | None:
    user = user_of(request)
    if user.role.covers(role):
        return None
    if not user.is_anonymous:
        raise HTTPException(403, f"{user.name} may not do this; it takes the role {role.value}")
    if is_api(request):
        raise HTTPException(
            401,
            f"it takes the role {role.value}; send Authorization: Bearer TOKEN",
            {"WWW-Authenticate": 'Bearer realm="dbplanmon"'},
        )
    return RedirectResponse(f"{root_of(request.scope)}/login?next={quote(_wanted(request), safe='')}", 303)


def _wanted(request: Request) -> str:
    """Where to go after the login: this page, or the first one where a form was sent."""
    if request.method not in SAFE_METHODS:
        return f"{root_of(request.scope)}/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _check_change(request: Request) -> None:
    if getattr(request.state, "is_bearer", False):
        return
    if not is_same_origin(request):
        raise HTTPException(403, "the form came from another site, or the browser does not say where from")
    given = request.headers.get(HEADER) or str(form_of(request).get(FIELD, ""))
    if not is_csrf_token(request, given):
        raise HTTPException(403, "the form is too old or not ours; load the page again")
