"""TCP ports: is this one free, and which one is."""

import errno
import http.client
import socket

from dbplanmon_pipeline.errors import DbPlanMonError


class CannotListen(DbPlanMonError):
    """The port is taken, or the address is none of this host."""


def listen(host: str, port: int, option: str = "--port") -> socket.socket:
    """A socket that listens there; the caller closes it. Port 0 takes a free one; `option` chooses another.

    Raises:
        CannotListen: says why not and what to do.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise CannotListen(f"port {port} on {host} is taken; choose another with {option}") from None
        raise CannotListen(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    return listener


def require_free(host: str, port: int, option: str = "--port") -> None:
    """Try to listen there for a moment; `option` chooses another port.

    Raises:
        CannotListen: says why not and what to do.
    """
    listen(host, port, option).close()


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def accepts(port: int) -> bool:
    """True where somebody listens on the loopback address."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def answers(host: str, port: int, path: str, timeout_seconds: float = 2.0) -> bool:
    """True where GET on that path gives 200."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout_seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def reachable_host(host: str) -> str:
    """An address at which this host reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - never listened on
