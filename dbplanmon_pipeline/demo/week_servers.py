"""The two ends of the channels of the week: one that takes every message, one that hangs up."""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Received:
    """One message as it came in: its idempotency key and its JSON."""

    key: str
    message: dict[str, Any]


@dataclass(slots=True)
class Inbox:
    """An HTTP server on a free port of loopback that keeps what is posted to it.

    Attributes:
        before_answer: called with each message before the sender learns that it was taken.
        received: in order of arrival.
    """

    before_answer: Callable[[Received], None] = lambda _: None
    received: list[Received] = field(default_factory=list)
    _server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                taken = Received(self.headers.get("Idempotency-Key", ""), json.loads(body))
                inbox.received.append(taken)
                inbox.before_answer(taken)
                self.send_response(HTTPStatus.NO_CONTENT)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """The story tells what comes in."""

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{LOOPBACK}:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class DeadEnd:
    """A port of loopback that lets everybody in and hangs up at once, without an answer."""

    def __init__(self) -> None:
        self._socket = socket.create_server((LOOPBACK, 0))
        self.connections = 0

    @property
    def url(self) -> str:
        """Where nobody listens."""
        return f"http://{LOOPBACK}:{self._socket.getsockname()[1]}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._hang_up, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _hang_up(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()
