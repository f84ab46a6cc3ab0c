"""Alerts and suggestions in our store, and the channels that carry alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Alert:
    """One message about one incident for one channel.

    Attributes:
        alert_id: idempotency key, the same for the same event of the same incident and channel.
        event: of `IncidentEvent`.
        subject / body: plain text, no literal of a statement, no secret.
        facts: the same in fields, for machines; JSON-able.
    """

    alert_id: str
    incident_id: str
    event: str
    channel: str
    severity: str
    created_at: datetime
    subject: str
    body: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to send one alert."""

    alert_id: str
    attempted_at: datetime
    succeeded: bool
    error: str = ""
    next_attempt_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ChannelFailures:
    """What a channel did not take since the last message that it took.

    Attributes:
        failing_since: the first attempt that failed, aware UTC.
        attempts: that failed.
        error: of the last one, one scrubbed line.
    """

    channel: str
    failing_since: datetime
    attempts: int
    error: str


class AlertStore(Protocol):
    """The queue as those who fill it see it; `DeliveryStore` is how it is emptied."""

    def add_alerts(self, alerts: Sequence[Alert]) -> int:
        """Queue those not yet known by id; returns how many were new."""
        ...

    def pending_alerts(self, now: datetime, limit: int) -> list[Alert]:
        """Undelivered alerts that are due, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A way back for one incident, never executed by itself.

    `script` and `undo_script` are statements for the monitored database; risk is `low`, `medium` or `high`.
    """

    suggestion_id: str
    incident_id: str
    kind: str
    risk: str
    rationale: str
    script: str
    undo_script: str
    created_at: datetime


class SuggestionStore(Protocol):
    """What `suggest` needs besides `AnalysisStore`."""

    def save_suggestions(self, suggestions: Sequence[Suggestion]) -> int:
        """Insert those not yet known by id; returns how many were new."""
        ...

    def suggestions(self, incident_ids: Sequence[str] | None = None) -> list[Suggestion]:
        """All, or those of some incidents, newest first."""
        ...


class Channel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """Unique among the channels of the settings."""
        ...

    def send(self, alert: Alert) -> None:
        """Hand over one alert; `alert.alert_id` is the idempotency key.

        Raises:
            NotificationError: it was not taken; says whether trying again can help.
        """
        ...
