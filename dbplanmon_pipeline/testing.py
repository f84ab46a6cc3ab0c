"""Test doubles for programs that build on this package: a clock, an alert queue and a channel, all in memory.

store = MemoryAlertStore()
store.add_alerts([alert])
channel = RecordingChannel("dba", failures=[NotificationError("busy")])
process_alerts(store, [channel], now=FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.ports import Alert, Delivery, JobState, QueuedAlert


class FixedClock:
    """A `Clock` that stands still until it is moved.

    Args:
        moment: aware.
    """

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        """The moment it stands at."""
        return self.moment

    def advance(self, by: timedelta) -> datetime:
        """Move it on; returns the new moment."""
        self.moment += by
        return self.moment


class MemoryAlertStore:
    """An `AlertStore` and a `DeliveryStore` that keep queue and log in memory, for one processor without claims.

    Attributes:
        alerts: all alerts ever added, by id, in order.
        deliveries: all attempts ever recorded, in order.
        ended: reason of each alert that was ended without an attempt, by id.
        jobs: memories by name.
    """

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.deliveries: list[Delivery] = []
        self.ended: dict[str, str] = {}
        self.jobs: dict[str, JobState] = {}
        self._postponed: dict[str, datetime] = {}
        self._claimed: dict[str, str] = {}

    def add_alerts(self, alerts: Sequence[Alert]) -> int:
        """Queue those not yet known by id."""
        new = {alert.alert_id: alert for alert in alerts if alert.alert_id not in self.alerts}
        self.alerts.update(new)
        return len(new)

    def pending_alerts(self, now: datetime, limit: int) -> list[Alert]:
        """Undelivered alerts that are due, oldest first."""
        last = {delivery.alert_id: delivery for delivery in self.deliveries}
        due = [
            alert
            for alert in self.alerts.values()
            if alert.alert_id not in self.ended
            and self._postponed.get(alert.alert_id, now) <= now
            and _is_due(last.get(alert.alert_id), now)
        ]
        return sorted(due, key=lambda alert: alert.created_at)[:limit]

    def due_channels(self, now: datetime) -> dict[str, int]:
        """Due alerts, by the name of their channel."""
        channels = [alert.channel for alert in self.pending_alerts(now, len(self.alerts))]
        return {channel: channels.count(channel) for channel in channels}

    def claim_alerts(
        self, channel: str, *, now: datetime, until: datetime, claimant: str, limit: int
    ) -> list[QueuedAlert]:
        """The next due ones of a channel that nobody claimed; a claim lasts until it is given back."""
        del until
        due = [
            alert
            for alert in self.pending_alerts(now, len(self.alerts))
            if alert.channel == channel and alert.alert_id not in self._claimed
        ]
        self._claimed.update((alert.alert_id, claimant) for alert in due[:limit])
        return [self._queued(alert) for alert in due[:limit]]

    def _queued(self, alert: Alert) -> QueuedAlert:
        attempts = sum(delivery.alert_id == alert.alert_id for delivery in self.deliveries)
        return QueuedAlert(alert, attempts, self._postponed.get(alert.alert_id, alert.created_at))

    def release_claims(self, claimant: str) -> None:
        """Give back."""
        self._claimed = {alert_id: owner for alert_id, owner in self._claimed.items() if owner != claimant}

    def postpone_alerts(self, alert_ids: Iterable[str], until: datetime) -> None:
        """Let them wait, unclaimed."""
        for alert_id in alert_ids:
            self._postponed[alert_id] = until
            self._claimed.pop(alert_id, None)

    def suppress_alerts(self, reasons: Mapping[str, str], at: datetime) -> None:
        """End them unsent."""
        del at
        self.ended.update(reasons)

    def give_up_alerts(self, channel: str, queued_before: datetime, reason: str, at: datetime) -> int:
        """End old ones of a channel."""
        due = self.pending_alerts(datetime.max.replace(tzinfo=at.tzinfo), len(self.alerts))
        old = [a for a in due if a.channel == channel and self._queued(a).queued_at < queued_before]
        self.ended.update((alert.alert_id, reason) for alert in old)
        return len(old)

    def told_incidents(self, channel: str, incident_ids: Iterable[str]) -> frozenset[str]:
        """Those of the incidents the channel took a message about."""
        taken = [self.alerts[delivery.alert_id] for delivery in self.deliveries if delivery.succeeded]
        return frozenset(alert.incident_id for alert in taken if alert.channel == channel) & set(incident_ids)

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name."""
        return {name: self.jobs.get(name, JobState(name)) for name in names}

    def save_job_states(self, states: Sequence[JobState]) -> None:
        """Insert or replace."""
        self.jobs.update((state.name, state) for state in states)

    def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Log attempts, which ends the claims."""
        self.deliveries.extend(deliveries)
        for delivery in deliveries:
            self._claimed.pop(delivery.alert_id, None)


class RecordingChannel:
    """A `Channel` that keeps what it is given.

    Args:
        name: of the channel.
        failures: raised one per call, in order, before anything is taken.

    Attributes:
        sent: alerts taken.
        calls: how often it was asked.
    """

    def __init__(self, name: str = "recording", failures: Sequence[Exception] = ()) -> None:
        self._name = name
        self._failures = list(failures)
        self.sent: list[Alert] = []
        self.calls = 0

    @property
    def name(self) -> str:
        """Name in the settings."""
        return self._name

    def send(self, alert: Alert) -> None:
        """Take the alert, or raise the next failure."""
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)
        self.sent.append(alert)


def _is_due(last: Delivery | None, now: datetime) -> bool:
    if last is None:
        return True
    return not last.succeeded and last.next_attempt_at is not None and last.next_attempt_at <= now
