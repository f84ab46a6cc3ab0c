"""One POST with a time limit, and what its answer means; shared by every channel that speaks HTTP.

The request goes through a bare httpx transport instead of a client: no redirects, no cookies, no environment, and no
log line that names the whole URL, whose path and query are often the secret. It runs on an event loop of its own,
since only there a limit holds for the whole exchange: a server that sends a byte now and then outlives any time-out of
a single read.
"""

import asyncio
import base64
import email.utils
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import unquote

import httpx

from dbplanmon_pipeline.core.alerts.incident_alerts import RetryLater
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import Clock
from dbplanmon_pipeline.errors import NotificationError

Secret = Callable[[], str]
"""Resolved at the moment of use, so that a rotated secret is taken up and none lingers in a setting."""

DEFAULT_TIMEOUT_S = 10.0
_LONGEST_WAIT_S = 86_400.0
_MAY_PASS = (408, 425, 429)


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


class HttpSender:
    """Posts bodies for one channel.

    A 2xx answer means taken. 408, 425, 429, 5xx, time-outs and lost connections may pass and are tried again;
    everything else is final. Of an answer only status and headers are read. Nobody who reads an error or a log learns
    more of the URL than its host.

    Args:
        name: of the channel, begins every message.
        timeout_s: for the whole exchange.
        ca_file: certificates to trust instead of the usual ones.
        proxy: URL of a proxy.
        clock: dates of `Retry-After` are compared with it.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ca_file: str | None = None,
        proxy: Secret | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._name = name
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._proxy = proxy
        self._clock = clock
        self._tls: ssl.SSLContext | None = None

    def post(self, url: Secret, body: bytes, headers: Mapping[str, str]) -> None:
        """Send one JSON body.

        Args:
            url: http or https; may hold `user:password@`, which becomes basic authentication, and a secret path.
            body: JSON.
            headers: added to our own.

        Raises:
            NotificationError: not taken; `RetryLater` where trying again can help.
        """
        target = self._destination(url)
        host = target.netloc.decode("ascii", "replace")
        try:
            status, retry_after = asyncio.run(self._exchange(_request(target, body, headers)))
        except (TimeoutError, httpx.TimeoutException) as error:
            raise RetryLater(f"{self._name}: {host} did not answer within {self._timeout_s:g} s") from error
        except httpx.ConnectError as error:
            raise RetryLater(f"{self._name}: cannot connect to {host}: {one_line(str(error), 160)}") from error
        except (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, UnicodeError, ValueError):
            # Without its cause: that one quotes the header or the URL.
            message = f"{self._name}: the request cannot be written; check url, proxy and headers of the channel"
            raise NotificationError(message, transient=False) from None
        except httpx.TransportError as error:
            raise RetryLater(f"{self._name}: {host} cut the connection ({type(error).__name__})") from error
        self._judge(host, status, retry_after)

    def _destination(self, address: Secret) -> httpx.URL:
        try:
            url = httpx.URL(address().strip())
        except (httpx.InvalidURL, UnicodeError):
            url = httpx.URL()
        if url.scheme not in ("http", "https") or not url.host:
            message = f"{self._name}: the url of the channel is no http or https address; check the settings"
            raise NotificationError(message, transient=False)
        return url

    async def _exchange(self, request: httpx.Request) -> tuple[int, str]:
        proxy = self._proxy() if self._proxy is not None else None
        async with (
            asyncio.timeout(self._timeout_s),
            httpx.AsyncHTTPTransport(verify=self._trust(request.url, proxy), trust_env=False, proxy=proxy) as transport,
        ):
            response = await transport.handle_async_request(request)
            try:
                return response.status_code, response.headers.get("Retry-After", "")
            finally:
                await response.aclose()

    def _trust(self, url: httpx.URL, proxy: str | None) -> ssl.SSLContext:
        if url.scheme == "http" and proxy is None:
            # Never used, and trusts nobody; reading the usual authorities takes longer than a message.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self._tls is None and self._ca_file:
            self._tls = trusting(self._name, self._ca_file)
        if self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
        return self._tls

    def _judge(self, host: str, status: int, retry_after: str) -> None:
        if 200 <= status < 300:
            return
        said = f"{self._name}: {host} answered {status}"
        if status in _MAY_PASS or status >= 500:
            raise RetryLater(said, retry_after_seconds=seconds_to_wait(retry_after, self._clock()))
        if 300 <= status < 400:
            raise NotificationError(f"{said}; redirects are not followed, set the final url", transient=False)
        raise NotificationError(f"{said}; check url and credentials of the channel", transient=False)


def trusting(name: str, ca_file: str) -> ssl.SSLContext:
    """A context that trusts the authorities of one file only.

    Raises:
        NotificationError: the file cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise NotificationError(f"{name}: ca_file cannot be read; check the settings") from error


def seconds_to_wait(retry_after: str, now: datetime) -> float | None:
    """A Retry-After header, in seconds or as a date, between 0 and a day; None where it says nothing."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_WAIT_S)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), _LONGEST_WAIT_S)


def _request(url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
    sent = {"Accept": "application/json", "User-Agent": "dbplanmon", "Content-Type": "application/json", **headers}
    if url.userinfo and not any(key.lower() == "authorization" for key in sent):
        login = f"{unquote(url.username)}:{unquote(url.password)}".encode()
        sent["Authorization"] = "Basic " + base64.b64encode(login).decode("ascii")
    return httpx.Request("POST", url, headers=sent, content=body)
