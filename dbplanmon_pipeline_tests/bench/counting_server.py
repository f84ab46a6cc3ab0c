"""A TDS server that counts the bytes on its connections, and the connections that are really open."""

import select
import socket
import threading
from typing import Any

from dbplanmon_pipeline_tests.support.tds import TdsServer
from dbplanmon_pipeline_tests.support.tds.transport import Line


class CountingServer(TdsServer):
    """A `TdsServer` that is measured.

    Attributes:
        moved_bytes: sent and received, packet heads included.
        peak_held: most connections that clients held at one time; those they had closed already do not count, though
            a busy server has not seen it yet.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.moved_bytes = 0
        self.peak_held = 0
        self._counting = threading.Lock()
        self._held: set[socket.socket] = set()

    def count(self, moved: int) -> None:
        """Add bytes of one connection."""
        with self._counting:
            self.moved_bytes += moved

    def _serve(self, line: Line) -> None:
        connection = line._socket
        with self._counting:
            self._held.add(connection)
            self.peak_held = max(self.peak_held, sum(not _left(one) for one in self._held))
        line._socket = _Counted(connection, self)  # type: ignore[assignment]
        try:
            super()._serve(line)
        finally:
            with self._counting:
                self._held.discard(connection)


class _Counted:
    """A socket that tells what it moved."""

    def __init__(self, inner: socket.socket, server: CountingServer) -> None:
        self._inner = inner
        self._server = server

    def recv(self, size: int) -> bytes:
        content = self._inner.recv(size)
        self._server.count(len(content))
        return content

    def sendall(self, content: bytes) -> None:
        self._inner.sendall(content)
        self._server.count(len(content))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def _left(connection: socket.socket) -> bool:
    """True where the client has closed it, or we have."""
    if connection.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP)
    return bool(poll.poll(0))
