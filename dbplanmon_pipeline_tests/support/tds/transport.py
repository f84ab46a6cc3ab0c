"""TDS packets over a socket, in the clear or inside TLS."""

import select
import socket
import ssl
import struct

BATCH, CALL, RESPONSE, STOP, TRANSACTION, LOGIN, PRELOGIN = 1, 3, 4, 6, 14, 16, 18
_END = 1
_READ_BYTES = 1 << 16
_SERVER_PROCESS = 51


class Closed(Exception):
    """The connection is over: by the client, by the test, or because what came is no TDS."""


class Line:
    """One client's connection; used by one thread, closed by any."""

    def __init__(self, connection: socket.socket) -> None:
        self.packet_size = 4096
        self._socket = connection
        self._buffer = bytearray()
        self._sent_packets = 0
        self._tls: ssl.SSLObject | None = None
        self._inside = ssl.MemoryBIO()
        self._outside = ssl.MemoryBIO()

    def read(self) -> tuple[int, bytes]:
        """The next message: its kind and content.

        Raises:
            Closed: there is none.
        """
        content = bytearray()
        while True:
            kind, status, part = self._packet()
            content += part
            if status & _END:
                return kind, bytes(content)

    def write(self, content: bytes, kind: int = RESPONSE, *, last: bool = True) -> None:
        """Send a message, or the beginning of one that `last` ends later.

        Raises:
            OSError: the client is gone.
        """
        step = self.packet_size - 8
        parts = [content[at : at + step] for at in range(0, len(content), step)] or [b""]
        ends = [*([0] * (len(parts) - 1)), _END if last else 0]
        self._send(b"".join(self._packed(kind, end, part) for part, end in zip(parts, ends, strict=True)))

    def waiting(self, seconds: float) -> bool:
        """True as soon as the client sends something or leaves; False after `seconds` of silence."""
        if self._buffer or (self._tls and (self._tls.pending() or self._inside.pending)):
            return True
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def secure(self, context: ssl.SSLContext) -> None:
        """Shake hands, each TLS record inside a packet of its own.

        Raises:
            ssl.SSLError: the client does not agree.
            Closed: it left.
        """
        tls = context.wrap_bio(self._inside, self._outside, server_side=True)
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush_handshake()
                self._inside.write(self._packet()[2])
            else:
                self._flush_handshake()
                self._tls = tls
                return

    def unsecure(self) -> None:
        """Go on in the clear, as after a login that alone was encrypted."""
        self._tls = None

    def ignore(self) -> None:
        """Read until the client leaves and say nothing."""
        try:
            while self._socket.recv(_READ_BYTES):
                pass
        except OSError:
            return
        finally:
            self.close()

    def cut(self) -> None:
        """Break the connection under whoever reads from it."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def close(self) -> None:
        """Give the socket back."""
        self.cut()
        self._socket.close()

    def _packed(self, kind: int, end: int, part: bytes) -> bytes:
        self._sent_packets = (self._sent_packets + 1) & 0xFF
        head = struct.pack(">BBHHBB", kind, end, len(part) + 8, _SERVER_PROCESS, self._sent_packets, 0)
        if end:
            self._sent_packets = 0
        return head + part

    def _flush_handshake(self) -> None:
        if record := self._outside.read():
            self.write(record, PRELOGIN)

    def _packet(self) -> tuple[int, int, bytes]:
        self._fill(8)
        kind, status, length = struct.unpack_from(">BBH", self._buffer)
        if length < 8:
            raise Closed
        self._fill(length)
        part = bytes(self._buffer[8:length])
        del self._buffer[:length]
        return kind, status, part

    def _fill(self, count: int) -> None:
        while len(self._buffer) < count:
            self._buffer += self._decrypted() if self._tls else self._received()

    def _received(self) -> bytes:
        content = self._socket.recv(_READ_BYTES)
        if not content:
            raise Closed
        return content

    def _decrypted(self) -> bytes:
        assert self._tls is not None
        while True:
            try:
                content = self._tls.read(_READ_BYTES)
            except ssl.SSLWantReadError:
                self._inside.write(self._received())
            else:
                if not content:
                    raise Closed
                return content

    def _send(self, content: bytes) -> None:
        if self._tls:
            self._tls.write(content)
            content = self._outside.read()
        self._socket.sendall(content)
