"""Finds out who asks: by the token of a program, the cookie of a login, or the word of a trusted proxy."""

import hashlib
import hmac
import secrets

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.services.grant_access import token_of_login
from dbplanmon_pipeline.settings.web import Anonymous
from dbplanmon_pipeline.web.access.answers import notice, path_of
from dbplanmon_pipeline.web.access.bearers import Bearers, Refusal
from dbplanmon_pipeline.web.access.origin import SAFE_METHODS, is_embedded
from dbplanmon_pipeline.web.access.user import ANONYMOUS, Role, User
from dbplanmon_pipeline.web.context import WebContext

COOKIE = "dbplanmon_session"
_NEVER_ASKED = ("/health/live", "/static/")
"""Paths that answer without the store, whoever asks."""


class Identity:
    """Sets `request.state.user`, and what forms of this user are checked with.

    A token that opens nothing is refused here, so that a program with an old one hears of it instead of looking on as
    a stranger. A cookie that has ended makes a stranger. Where the store does not answer, a cookie counts for nothing.
    What another site embeds is asked for by a stranger, too; a change it sends is refused by the guard.
    """

    def __init__(self, app: ASGIApp, context: WebContext) -> None:
        self._app = app
        self._context = context
        self._bearers = Bearers(context)
        self._key = secrets.token_bytes(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask in a thread, since the store may take its time."""
        if scope["type"] == "http":
            state = scope["state"] = dict(scope.get("state", {}))
            state["user"] = self._stranger()
            if not path_of(scope).startswith(_NEVER_ASKED):
                refusal = await self._identify(HTTPConnection(scope), state)
                if refusal:
                    await notice(scope, refusal.status, refusal.line, refusal.headers)(scope, receive, send)
                    return
        await self._app(scope, receive, send)

    async def _identify(self, connection: HTTPConnection, state: dict[str, object]) -> Refusal | None:
        scheme, _, secret = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            state["is_bearer"] = True
            return await self._by_token(secret.strip(), connection, state)
        if connection.scope["method"] in SAFE_METHODS and is_embedded(connection.headers):
            return None
        cookie = connection.cookies.get(COOKIE, "")
        if cookie and await self._by_cookie(cookie, state):
            return None
        name = state.get("proxy_user")
        if isinstance(name, str):
            role = Role.OPERATOR if name in self._context.settings.web.operators else Role.VIEWER
            state["user"] = User(name, role)
            state["csrf_key"] = hmac.digest(self._key, name.encode(), hashlib.sha256)
        return None

    async def _by_token(self, secret: str, connection: HTTPConnection, state: dict[str, object]) -> Refusal | None:
        found = await self._bearers.look_up(secret, connection.client.host if connection.client else "")
        if isinstance(found, Refusal):
            return found
        state["user"] = User(found.name, found.role)
        return None

    async def _by_cookie(self, secret: str, state: dict[str, object]) -> bool:
        store, now = self._context.session.store, self._context.clock()
        try:
            token = await run_in_threadpool(token_of_login, store, secret, now)
        except StoreError:
            return False
        if token is not None:
            state["user"] = User(token.name, token.role)
            state["login"] = secret
            state["csrf_key"] = secret.encode()
        return token is not None

    def _stranger(self) -> User:
        may_look = self._context.settings.web.anonymous is Anonymous.VIEWER
        return User(ANONYMOUS, Role.VIEWER if may_look else Role.NOBODY)
