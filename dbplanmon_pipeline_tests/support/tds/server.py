"""A scripted TDS 7.4 server on the loopback, one thread per connection."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dbplanmon_pipeline_tests.support.tds.answers import Handler, Login, ServerError
from dbplanmon_pipeline_tests.support.tds.login import ENCRYPTION
from dbplanmon_pipeline_tests.support.tds.session import Session
from dbplanmon_pipeline_tests.support.tds.transport import Line

_JOIN_SECONDS = 5.0


class TdsServer:
    """Speaks enough TDS for ODBC drivers to log in, run batches and calls, and read typed results.

    Use it as a context manager. An exception of the handler reaches the client as error 50000 and is raised again
    where the block ends.

    Args:
        handler: decides every answer that is not housekeeping; called in the thread of the connection.
        auth: refuses a login by returning an error.
        encryption: what the server says about TLS: `not_sup`, `off` (login alone, unless the client wants more), `on`,
            `req`.
        certificate: PEM file with key and certificate; needed unless `not_sup`.
        login_delay: seconds between the login and its answer.
        silent: accept connections and never say a word.

    Attributes:
        log: (kind, sql, params) of everything asked.
        logins: one dict per login tried.
        open_connections, peak_connections: TCP connections now, and at most at one time.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        auth: Callable[[Login], ServerError | None] | None = None,
        encryption: str = "not_sup",
        certificate: Path | None = None,
        login_delay: float = 0.0,
        silent: bool = False,
    ) -> None:
        if encryption not in ENCRYPTION:
            raise ValueError(f"encryption is one of {', '.join(ENCRYPTION)}, not {encryption!r}")
        if encryption != "not_sup" and certificate is None:
            raise ValueError(f"encryption {encryption!r} needs a certificate")
        self.handler = handler
        self.encryption = encryption
        self.login_delay = login_delay
        self.log: list[tuple[str, str, list[Any]]] = []
        self.logins: list[Login] = []
        self.handler_errors: list[Exception] = []
        self.open_connections = 0
        self.peak_connections = 0
        self.port = 0
        self._auth = auth
        self._certificate = certificate
        self._silent = silent
        self._guard = threading.Lock()
        self._lines: set[Line] = set()
        self._threads: list[threading.Thread] = []
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="tds-accept", daemon=True)
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if self.handler_errors and error is None:
            raise self.handler_errors[0]

    def stop(self) -> None:
        """Take no more connections and cut the ones there are, as a server that goes down."""
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(_JOIN_SECONDS)
        self._listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join(_JOIN_SECONDS)

    def cut_all(self) -> None:
        """Break every open connection; new ones are welcome."""
        with self._guard:
            lines = list(self._lines)
        for line in lines:
            line.cut()

    def refusal(self, login: Login) -> ServerError | None:
        """Why this login is not let in; None when it is."""
        return self._auth(login) if self._auth else None

    def tls_context(self) -> ssl.SSLContext:
        """TLS 1.2 at most: later versions send tickets after the handshake, which TDS has no place for."""
        assert self._certificate is not None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        return context

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=[Line(connection)], name="tds-client", daemon=True)
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: Line) -> None:
        with self._guard:
            self._lines.add(line)
            self.open_connections += 1
            self.peak_connections = max(self.peak_connections, self.open_connections)
        try:
            if self._stopping.is_set():
                line.close()
            elif self._silent:
                line.ignore()
            else:
                Session(self, line).run()
        finally:
            with self._guard:
                self._lines.discard(line)
                self.open_connections -= 1
