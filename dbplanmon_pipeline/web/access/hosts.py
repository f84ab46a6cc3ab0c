"""By which names the page may be asked for.

A page of somebody else may point its own name at our address and then read our answers as its own (DNS rebinding). Such
a request has that name in its Host header, so names that are not ours get nothing.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dbplanmon_pipeline.settings.web import WebSettings
from dbplanmon_pipeline.web.access.answers import refuse

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared with, not listened on


class KnownHosts:
    """Answers 400 where Host is none of ours: no loopback name, none of the settings, not the address asked."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        public = host_name(urlsplit(settings.public_url).netloc) if settings.public_url else ""
        names = {settings.host, public, *settings.trusted_hosts} - _ANY_ADDRESS
        self._names = LOOPBACK | {name.lower().strip("[]").rstrip(".") for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the name before anything else does."""
        if scope["type"] == "http" and not self._knows(scope):
            line = "this name is not known here; ask by a name of web.trusted_hosts or web.public_url"
            await refuse(scope, receive, send, 400, line)
            return
        await self._app(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        given = Headers(scope=scope).getlist("host")
        if len(given) != 1:
            return False
        name = host_name(given[0])
        # Probes and Prometheus ask by the address; a name that was rebound is none.
        return name in self._names or bool(name and scope.get("server") and name == scope["server"][0])


def host_name(host: str) -> str:
    """`status.example.net` for `Status.example.net.:8443`, `::1` for `[::1]:80`; empty for what is no host."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        port = port.removeprefix(":") if bracket else "?"
    else:
        name, _, port = host.partition(":")
    return name.lower().rstrip(".") if port.isascii() and (port.isdigit() or not port) else ""
