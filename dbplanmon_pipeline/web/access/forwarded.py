"""What a trusted proxy says about the client it stands before: address, scheme, host, and the user it has logged in.

From anybody else these headers are taken for what they are: text of a stranger.
"""

from ipaddress import ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.settings.web import WebSettings
from dbplanmon_pipeline.web.access.user import ANONYMOUS

LONGEST_NAME = 255
_SCHEMES = frozenset({"http", "https"})


class Forwarded:
    """Puts what a trusted proxy says in the place of what the connection shows."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self._app = app
        self._networks = [ip_network(address, strict=False) for address in settings.trusted_proxies]
        self._user_header = settings.user_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Change a copy of the scope."""
        if scope["type"] == "http" and scope.get("client") and self._trusts(scope["client"][0]):
            scope = self._believed(scope)
        await self._app(scope, receive, send)

    def _believed(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        found = dict(scope)
        if client := self._client(headers):
            found["client"] = (client, 0)
        if (scheme := _last(headers, "x-forwarded-proto").lower()) in _SCHEMES:
            found["scheme"] = scheme
        if host := _last(headers, "x-forwarded-host"):
            others = [(name, value) for name, value in scope["headers"] if name != b"host"]
            found["headers"] = [(b"host", host.encode("latin-1")), *others]
        if self._user_header and (name := _name(headers.getlist(self._user_header))):
            found["state"] = {**scope.get("state", {}), "proxy_user": name}
        return found

    def _client(self, headers: Headers) -> str:
        """The nearest address that is no proxy of ours; what stands before it anybody may have written."""
        for address in reversed([part.strip() for part in ",".join(headers.getlist("x-forwarded-for")).split(",")]):
            try:
                ip_address(address)
            except ValueError:
                return ""
            if not self._trusts(address):
                return address
        return ""

    def _trusts(self, address: str) -> bool:
        try:
            peer = ip_address(address)
        except ValueError:
            return False
        mapped = getattr(peer, "ipv4_mapped", None)
        return any((mapped or peer) in network for network in self._networks)


def _last(headers: Headers, name: str) -> str:
    return ",".join(headers.getlist(name)).rsplit(",", 1)[-1].strip()


def _name(values: list[str]) -> str:
    """The name in the header; none where there are two, since the client may have sent one of them."""
    if len(values) != 1:
        return ""
    try:
        text = values[0].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        text = values[0]
    name = one_line(text, LONGEST_NAME)
    return "" if name.casefold() == ANONYMOUS else name
