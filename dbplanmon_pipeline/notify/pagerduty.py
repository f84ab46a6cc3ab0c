"""Alerts in PagerDuty, through its Events API v2."""

import json
from datetime import UTC

from dbplanmon_pipeline.core.alert_rules.ends import tracking_key
from dbplanmon_pipeline.core.alerts.delivery_policy import ENDING_EVENTS, AlertKind
from dbplanmon_pipeline.core.ports import Alert, Clock
from dbplanmon_pipeline.notify.http_sender import DEFAULT_TIMEOUT_S, HttpSender, Secret, utc_now
from dbplanmon_pipeline.notify.message import Message, machine_facts, message_of

BASE_URL = "https://events.pagerduty.com"
MAX_BODY_BYTES = 400 * 1024
"""PagerDuty refuses events above 512 KB."""

_SUMMARY_CHARACTERS = 1_024
_KEY_CHARACTERS = 255
_TEXT_CHARACTERS = 20_000
_SEVERITIES = {"low": "info", "medium": "warning", "high": "error", "critical": "critical"}


class PagerDutyChannel:
    """Opens, acknowledges and resolves alerts of PagerDuty; one incident of ours, or one group, is one of theirs.

    A summary and a test become change events: they stand in the time line and wake nobody.

    Args:
        name: of the channel.
        routing_key: integration key of the service.
        base_url: http or https, without path.
        timeout_s / ca_file / proxy: see `HttpSender`.
    """

    def __init__(
        self,
        name: str,
        routing_key: Secret,
        *,
        base_url: Secret = lambda: BASE_URL,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        ca_file: str | None = None,
        proxy: Secret | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._name = name
        self._routing_key = routing_key
        self._base_url = base_url
        self._sender = HttpSender(name, timeout_s=timeout_s, ca_file=ca_file, proxy=proxy, clock=clock)

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    def send(self, alert: Alert) -> None:
        """POST one event.

        Raises:
            NotificationError: not taken; `RetryLater` where trying again can help.
        """
        message = message_of(alert)
        event = pagerduty_event(alert, message) | {"routing_key": self._routing_key().strip()}
        path = "/v2/enqueue" if "event_action" in event else "/v2/change/enqueue"
        body = json.dumps(event, default=str).encode("ascii")
        if len(body) > MAX_BODY_BYTES:
            body = json.dumps(_without_details(event), default=str).encode("ascii")
        key = {"Idempotency-Key": alert.alert_id}
        self._sender.post(lambda: self._base_url().strip().rstrip("/") + path, body, key)


def pagerduty_event(alert: Alert, message: Message) -> dict[str, object]:
    """The alert as an event without its routing key; one without `event_action` is a change event."""
    payload: dict[str, object] = {
        "summary": message.title[:_SUMMARY_CHARACTERS],
        "source": _source(alert),
        "timestamp": alert.created_at.astimezone(UTC).isoformat(),
        "custom_details": {
            "alert_id": alert.alert_id,
            "text": alert.body[:_TEXT_CHARACTERS],
            "facts": machine_facts(alert),
        },
    }
    links = [{"href": message.link, "text": "Open"}] if message.link else []
    if message.kind is AlertKind.SUMMARY or alert.event == "test":
        return {"payload": payload, "links": links}
    payload |= {"severity": _SEVERITIES.get(alert.severity, "warning"), **_place(alert)}
    event = {"event_action": _action(alert.event), "dedup_key": tracking_key(alert)[:_KEY_CHARACTERS]}
    return {**event, "client": "dbplanmon", "links": links, "payload": payload}


def _action(event: str) -> str:
    if event in ENDING_EVENTS:
        return "resolve"
    return "acknowledge" if event == "acknowledged" else "trigger"


def _place(alert: Alert) -> dict[str, str]:
    named = {"component": "database", "group": "instance", "class": "label"}
    found = {key: alert.facts.get(name) for key, name in named.items()}
    return {key: value for key, value in found.items() if isinstance(value, str) and value}


def _source(alert: Alert) -> str:
    parts = [alert.facts.get("instance"), alert.facts.get("database")]
    return "/".join(part for part in parts if isinstance(part, str) and part)[:_SUMMARY_CHARACTERS] or "dbplanmon"


def _without_details(event: dict[str, object]) -> dict[str, object]:
    payload = event["payload"]
    return event | {"payload": {**payload, "custom_details": {}}} if isinstance(payload, dict) else event
