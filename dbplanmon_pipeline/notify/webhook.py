"""Alerts as JSON over HTTP, for whatever listens: a chat bridge, an incident tool, a script.

The request goes through a bare httpx transport instead of a client: no redirects, no cookies, no environment, and no
log line that names the whole URL, whose path and query are often the secret.
"""

import base64
import email.utils
import hashlib
import hmac
import json
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import unquote

import httpx

from dbplanmon_pipeline.core.alerts import RetryLater
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import Alert, Clock
from dbplanmon_pipeline.errors import NotificationError

Secret = Callable[[], str]
"""Resolved at the moment of use, so that a rotated secret is taken up and none lingers in a setting."""

MAX_TEXT_CHARACTERS = 20_000
MAX_BODY_BYTES = 256 * 1024
_LONGEST_WAIT_S = 86_400.0
_OWN_HEADERS = frozenset({"idempotency-key", "x-dbplanmon-signature", "content-length", "host", "transfer-encoding"})


def _utc_now() -> datetime:
    return datetime.now(UTC)


class WebhookChannel:
    """POSTs each alert as one JSON object.

    A 2xx answer means taken. 408, 425, 429, 5xx, timeouts and lost connections may pass and are tried again; everything
    else is final. Nobody who reads an error or a log learns more of the URL than its host.

    Args:
        name: of the channel.
        url: http or https; may hold `user:password@` and a secret path.
        secret: key of the signature, see `signature`; None leaves it out.
        headers: added to each request, resolved late because they often carry tokens.
        timeout_s: for connecting and for each wait for the other side.
        ca_file: certificates to trust instead of the usual ones.
        proxy: URL of a proxy.
        clock: stamps the signature.
    """

    def __init__(
        self,
        name: str,
        url: Secret,
        *,
        secret: Secret | None = None,
        headers: Mapping[str, Secret] | None = None,
        timeout_s: float = 10.0,
        ca_file: str | None = None,
        proxy: Secret | None = None,
        clock: Clock = _utc_now,
    ) -> None:
        self._name = name
        self._url = url
        self._secret = secret
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._proxy = proxy
        self._clock = clock
        self._tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    def send(self, alert: Alert) -> None:
        """POST one alert; only status and headers of the answer are read.

        Raises:
            NotificationError: not taken; `RetryLater` where trying again can help.
        """
        url = self._destination()
        host = url.netloc.decode("ascii", "replace")
        try:
            request = self._request(url, alert)
            status, retry_after = self._exchange(request)
        except httpx.TimeoutException as error:
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

    def _destination(self) -> httpx.URL:
        try:
            url = httpx.URL(self._url().strip())
        except (httpx.InvalidURL, UnicodeError):
            url = httpx.URL()
        if url.scheme not in ("http", "https") or not url.host:
            message = f"{self._name}: the url of the channel is no http or https address; check the settings"
            raise NotificationError(message, transient=False)
        return url

    def _request(self, url: httpx.URL, alert: Alert) -> httpx.Request:
        body = payload(alert)
        headers = {
            "Accept": "application/json",
            "User-Agent": "dbplanmon",
            **{key: value() for key, value in self._headers.items() if key.lower() not in _OWN_HEADERS},
            "Content-Type": "application/json",
            "Idempotency-Key": alert.alert_id,
        }
        if url.userinfo and not any(key.lower() == "authorization" for key in headers):
            login = f"{unquote(url.username)}:{unquote(url.password)}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(login).decode("ascii")
        if self._secret is not None:
            headers["X-DbPlanMon-Signature"] = signature(self._secret(), int(self._clock().timestamp()), body)
        timeout = httpx.Timeout(self._timeout_s).as_dict()
        return httpx.Request("POST", url, headers=headers, content=body, extensions={"timeout": timeout})

    def _exchange(self, request: httpx.Request) -> tuple[int, str]:
        proxy = self._proxy() if self._proxy is not None else None
        with httpx.HTTPTransport(verify=self._trust(), trust_env=False, proxy=proxy) as transport:
            response = transport.handle_request(request)
            try:
                return response.status_code, response.headers.get("Retry-After", "")
            finally:
                response.close()

    def _trust(self) -> ssl.SSLContext:
        if self._tls is None and self._ca_file:
            try:
                self._tls = ssl.create_default_context(cafile=self._ca_file)
            except OSError as error:
                raise NotificationError(f"{self._name}: ca_file cannot be read; check the settings") from error
        if self._tls is None:
            self._tls = httpx.create_ssl_context(trust_env=False)
        return self._tls

    def _judge(self, host: str, status: int, retry_after: str) -> None:
        if 200 <= status < 300:
            return
        said = f"{self._name}: {host} answered {status}"
        if status in (408, 425, 429) or status >= 500:
            raise RetryLater(said, retry_after_seconds=seconds_to_wait(retry_after, self._clock()))
        if 300 <= status < 400:
            raise NotificationError(f"{said}; redirects are not followed, set the final url", transient=False)
        raise NotificationError(f"{said}; check url and credentials of the channel", transient=False)


def payload(alert: Alert) -> bytes:
    """The alert as JSON, at most 256 KiB: an endless text is cut, facts that still do not fit are left out."""
    document: dict[str, object] = {
        "alert_id": alert.alert_id,
        "incident_id": alert.incident_id,
        "event": alert.event,
        "severity": alert.severity,
        "channel": alert.channel,
        "created_at": alert.created_at.astimezone(UTC).isoformat(),
        "subject": alert.subject[:MAX_TEXT_CHARACTERS],
        "body": alert.body[:MAX_TEXT_CHARACTERS],
        "facts": dict(alert.facts),
    }
    body = json.dumps(document, default=str).encode("ascii")
    if len(body) > MAX_BODY_BYTES:
        body = json.dumps(document | {"facts": {}, "facts_omitted": True}).encode("ascii")
    return body


def signature(secret: str, at: int, body: bytes) -> str:
    """`t=<unix seconds>,v1=<hex>`: HMAC-SHA256 over `<unix seconds>.<body>`.

    A receiver computes it again over the raw body, compares in constant time and refuses stamps older than minutes.
    """
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


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
