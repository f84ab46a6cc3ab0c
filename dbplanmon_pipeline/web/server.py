"""The HTTP server of `dbplanmon serve`: uvicorn, with limits on what a client may take of our time and memory."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 10.0
"""A client that has not sent its whole head by then is hung up on."""

HEADER_BYTES = 65_536
KEEP_ALIVE_SECONDS = 15
CONNECTIONS = 1_000
STOP_SECONDS = 1
"""Answers under way when the server stops have so long to end."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 with a limit on the time between the first byte of a request and the end of its head.

    uvicorn limits only the pause between two requests: a client that sends a byte now and then would stay forever.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A new client; its time runs."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Some bytes; the time ends with the head and begins with the next request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._hang_up)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _hang_up(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


class UnderPath:
    """Serves an app below a path, whether or not the proxy before it takes that path away.

    Args:
        app: what answers.
        path: as people see it, such as `/dbplanmon`; empty for none.
    """

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        self._path = path.rstrip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell the app its path, and give every request the path it would have without a proxy."""
        if self._path and scope["type"] == "http":
            path = scope["path"]
            whole = path if f"{path}/".startswith(f"{self._path}/") else self._path + path
            scope = {**scope, "root_path": self._path, "path": whole}
        await self._app(scope, receive, send)


class StatusServer(uvicorn.Server):
    """Says when it answers, and stops within two seconds."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup(sockets)
        if self.started:
            self._ready()


def status_server(app: ASGIApp, *, path: str = "", ready: Callable[[], None] = lambda: None) -> StatusServer:
    """A server for the app; `run(sockets=[...])` serves until SIGTERM, SIGINT, or `should_exit` is set."""
    config: dict[str, Any] = {
        "http": BoundedProtocol,
        "ws": "none",
        "loop": "asyncio",
        "lifespan": "on",
        "log_config": None,
        # A line for each request would hold what people search for.
        "access_log": False,
        "server_header": False,
        # Who is believed about the address of a client is decided in `web/access/`.
        "proxy_headers": False,
        "limit_concurrency": CONNECTIONS,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": STOP_SECONDS,
        "h11_max_incomplete_event_size": HEADER_BYTES,
    }
    log = logging.getLogger("uvicorn.error")
    log.setLevel(logging.WARNING)
    log.addFilter(_is_no_cancellation)
    return StatusServer(uvicorn.Config(UnderPath(app, path), **config), ready)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """An answer that is cut off when the server stops is no failure of it."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
