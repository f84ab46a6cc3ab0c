"""How much a client may send."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dbplanmon_pipeline.web.access.answers import refuse

LARGEST_BODY_BYTES = 1_000_000
_TOO_LARGE = "the request is larger than 1 MB"


class BodyLimit:
    """Answers 413 to larger requests, before their body is read where they say how large they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count what comes in."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = Headers(scope=scope).get("content-length", "")
        if told.isdigit() and int(told) > LARGEST_BODY_BYTES:
            await refuse(scope, receive, send, 413, _TOO_LARGE)
            return
        size = 0

        async def receive_counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > LARGEST_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._app(scope, receive_counted, send)
