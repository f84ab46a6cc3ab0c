"""What every request passes before a page sees it."""

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from dbplanmon_pipeline.settings.web import Anonymous
from dbplanmon_pipeline.web.access.user import ANONYMOUS, Role, User
from dbplanmon_pipeline.web.context import WebContext


class Identification:
    """Finds out who asks."""

    def __init__(self, app: ASGIApp, context: WebContext) -> None:
        self._app = app
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set `request.state.user`."""
        if scope["type"] == "http":
            may_look = self._context.settings.web.anonymous is Anonymous.VIEWER
            scope.setdefault("state", {})["user"] = User(ANONYMOUS, Role.VIEWER if may_look else Role.NOBODY)
        await self._app(scope, receive, send)


def protection(context: WebContext) -> list[Middleware]:
    """From the outermost to the innermost."""
    return [Middleware(Identification, context)]
