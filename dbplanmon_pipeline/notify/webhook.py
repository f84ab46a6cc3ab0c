"""Alerts as JSON over HTTP, for whatever listens: a chat bridge, an incident tool, a script."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC

from dbplanmon_pipeline.core.ports import Alert, Clock
from dbplanmon_pipeline.notify.http_sender import DEFAULT_TIMEOUT_S, HttpSender, Secret, utc_now
from dbplanmon_pipeline.notify.message import machine_facts

MAX_TEXT_CHARACTERS = 20_000
MAX_BODY_BYTES = 256 * 1024
_OWN_HEADERS = frozenset(
    {
        "idempotency-key",
        "x-dbplanmon-signature",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "connection",
    }
)


class WebhookChannel:
    """POSTs each alert as one JSON object; what an answer means says `HttpSender`.

    Args:
        name: of the channel.
        url: http or https; may hold `user:password@` and a secret path.
        secret: key of the signature, see `signature`; None leaves it out.
        headers: added to each request, resolved late because they often carry tokens.
        timeout_s: for the whole exchange.
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
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ca_file: str | None = None,
        proxy: Secret | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._name = name
        self._url = url
        self._secret = secret
        self._headers = dict(headers or {})
        self._clock = clock
        self._sender = HttpSender(name, timeout_s=timeout_s, ca_file=ca_file, proxy=proxy, clock=clock)

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    def send(self, alert: Alert) -> None:
        """POST one alert.

        Raises:
            NotificationError: not taken; `RetryLater` where trying again can help.
        """
        body = payload(alert)
        headers = {key: value() for key, value in self._headers.items() if key.lower() not in _OWN_HEADERS}
        headers["Idempotency-Key"] = alert.alert_id
        if self._secret is not None:
            headers["X-DbPlanMon-Signature"] = signature(self._secret(), int(self._clock().timestamp()), body)
        self._sender.post(self._url, body, headers)


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
        "facts": machine_facts(alert),
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
