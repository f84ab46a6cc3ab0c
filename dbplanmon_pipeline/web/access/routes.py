"""Log in and log out."""

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from dbplanmon_pipeline.services.grant_access import log_in, log_out, token_of
from dbplanmon_pipeline.web.access.answers import notice, render, root_of
from dbplanmon_pipeline.web.access.attempts import Attempts
from dbplanmon_pipeline.web.access.csrf import csrf_token
from dbplanmon_pipeline.web.access.forms import read_form
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.hosts import host_name
from dbplanmon_pipeline.web.access.identity import COOKIE
from dbplanmon_pipeline.web.access.origin import is_same_origin
from dbplanmon_pipeline.web.access.paths import local_path
from dbplanmon_pipeline.web.access.user import Role, user_of
from dbplanmon_pipeline.web.context import context_of

if TYPE_CHECKING:
    from dbplanmon_pipeline.core.ports.access import AccessToken

_log = logging.getLogger(__name__)


class Login:
    """The page that asks for a token, and what becomes of it."""

    def __init__(self) -> None:
        self._attempts = Attempts()

    async def page(self, request: Request) -> Response:
        """The form; somebody who has logged in sees who they are."""
        return _page(request, 200, request.query_params.get("next", ""))

    async def enter(self, request: Request) -> Response:
        """Take a token, give a cookie."""
        if not is_same_origin(request):
            raise HTTPException(403, "the form came from another site, or the browser does not say where from")
        context, address = context_of(request), request.client.host if request.client else ""
        now = context.clock()
        if wait := self._attempts.wait(address, now):
            _log.warning("too many attempts to log in", extra={"event": "login_limited", "address": address})
            line = f"too many attempts to log in; try again in {wait} seconds"
            return notice(request.scope, 429, line, {"Retry-After": str(wait)})
        form = await read_form(request)
        self._attempts.count(address, now)
        secret, wanted = str(form.get("token", "")).strip(), str(form.get("next", ""))
        token = await run_in_threadpool(token_of, context.session.store, secret, now)
        if token is None:
            _log.warning("a login failed", extra={"event": "login_failed", "address": address})
            return _page(
                request, 401, wanted, "This token opens nothing: it was never made, was taken back, or expired."
            )
        self._attempts.forgive(address, now)
        _log.info("%s has logged in", token.name, extra={"event": "login", "user": token.name, "address": address})
        return await self._welcome(request, token, wanted)

    async def leave(self, request: Request) -> Response:
        """End the login."""
        if login := getattr(request.state, "login", ""):
            await run_in_threadpool(log_out, context_of(request).session.store, login)
            _log.info("%s has logged out", user_of(request).name, extra={"event": "logout"})
        answer = RedirectResponse(f"{root_of(request.scope)}/login", 303)
        answer.delete_cookie(COOKIE, path=_cookie_path(request), httponly=True, samesite="lax")
        return answer

    async def _welcome(self, request: Request, token: "AccessToken", wanted: str) -> Response:
        context = context_of(request)
        store, lasting = context.session.store, context.settings.web.session
        if before := getattr(request.state, "login", ""):
            await run_in_threadpool(log_out, store, before)
        cookie = await run_in_threadpool(log_in, store, token, context.clock(), lasting)
        answer = RedirectResponse(local_path(request, wanted), 303)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(lasting.total_seconds()),
            path=_cookie_path(request),
            secure=_is_https(request),
            httponly=True,
            # Lax, so that a link in a mail finds the login; docs/security.md says what keeps changes safe.
            samesite="lax",
        )
        return answer


def access_routes() -> list[BaseRoute]:
    """Routes of the login."""
    login = Login()
    return [
        Route("/login", login.page, methods=["GET"], name="login"),
        Route("/login", login.enter, methods=["POST"]),
        Route("/logout", require(Role.NOBODY)(login.leave), methods=["POST"], name="logout"),
    ]


def _page(request: Request, status: int, wanted: str, problem: str = "") -> Response:
    user = user_of(request)
    return render(
        "login.html",
        status,
        user=None if user.is_anonymous else user,
        problem=problem,
        next=local_path(request, wanted),
        root=root_of(request.scope),
        csrf_token=csrf_token(request),
    )


def _cookie_path(request: Request) -> str:
    return root_of(request.scope) or "/"


def _is_https(request: Request) -> bool:
    """True where the browser speaks HTTPS: to us, or to the proxy of `web.public_url`."""
    if request.url.scheme == "https":
        return True
    public = urlsplit(context_of(request).settings.web.public_url or "")
    return public.scheme == "https" and host_name(public.netloc) == host_name(request.headers.get("host", ""))
