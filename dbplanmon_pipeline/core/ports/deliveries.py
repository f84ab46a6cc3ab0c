"""The queue of alerts as those who deliver them see it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.ports.alerts import Alert, Delivery
from dbplanmon_pipeline.core.ports.collection import JobState


@dataclass(frozen=True, slots=True)
class QueuedAlert:
    """One alert that is to be sent.

    Attributes:
        attempts: how often that was tried since it was queued.
        queued_at: since when it is to be sent; later than its creation after a replay.
    """

    alert: Alert
    attempts: int
    queued_at: datetime


@dataclass(frozen=True, slots=True)
class DeadAlert:
    """One alert that was given up, and the last reason."""

    alert: Alert
    attempts: int
    ended_at: datetime
    reason: str


class DeliveryStore(Protocol):
    """What `process_alerts` needs. A claim keeps one alert from two processors; it ends by itself."""

    def due_channels(self, now: datetime) -> dict[str, int]:
        """Pending alerts that are due, by the name of their channel."""
        ...

    def claim_alerts(
        self, channel: str, *, now: datetime, until: datetime, claimant: str, limit: int
    ) -> list[QueuedAlert]:
        """Take due alerts of one channel, oldest first, for nobody else until then.

        An alert waits behind an older pending one of its incident and channel, so that no end overtakes its beginning.
        """
        ...

    def release_claims(self, claimant: str) -> None:
        """Give back what was claimed and not recorded."""
        ...

    def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Log attempts, which ends the claims; a success or an attempt without a next one ends the alert."""
        ...

    def postpone_alerts(self, alert_ids: Iterable[str], until: datetime) -> None:
        """Let pending alerts wait without an attempt; nobody claims them any more."""
        ...

    def suppress_alerts(self, reasons: Mapping[str, str], at: datetime) -> None:
        """End pending alerts unsent, each with its reason."""
        ...

    def give_up_alerts(self, channel: str, queued_before: datetime, reason: str, at: datetime) -> int:
        """End pending alerts of a channel that were queued before then; returns how many."""
        ...

    def told_incidents(self, channel: str, incident_ids: Iterable[str]) -> frozenset[str]:
        """Those of the incidents about which the channel took a message."""
        ...

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name; a fresh `JobState` where there is none."""
        ...

    def save_job_states(self, states: Sequence[JobState]) -> None:
        """Insert or replace."""
        ...


class DeadLetterStore(Protocol):
    """What is needed to look at alerts that were given up, and to send them again."""

    def dead_alerts(
        self, *, channel: str | None = None, since: datetime | None = None, limit: int = 1000
    ) -> list[DeadAlert]:
        """Alerts that were given up, the last one first."""
        ...

    def replay_alerts(self, at: datetime, *, channel: str | None = None, since: datetime | None = None) -> int:
        """Queue alerts that were given up, as if they were new, with the same idempotency key; returns how many."""
        ...
