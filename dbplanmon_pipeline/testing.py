"""Test doubles for programs that build on this package: a clock, an alert queue and a channel, all in memory.

store = MemoryAlertStore()
store.add_alerts([alert])
channel = RecordingChannel("dba", failures=[NotificationError("busy")])
process_alerts(store, [channel], now=FixedClock(datetime(2026, 1, 1, tzinfo=UTC)))
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.ports import Alert, Delivery


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
    """An `AlertStore` that keeps its queue and its log in lists.

    Attributes:
        alerts: all alerts ever added, by id, in order.
        deliveries: all attempts ever recorded, in order.
    """

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.deliveries: list[Delivery] = []

    def add_alerts(self, alerts: Sequence[Alert]) -> int:
        """Queue those not yet known by id."""
        new = {alert.alert_id: alert for alert in alerts if alert.alert_id not in self.alerts}
        self.alerts.update(new)
        return len(new)

    def pending_alerts(self, now: datetime, limit: int) -> list[Alert]:
        """Undelivered alerts that are due, oldest first."""
        last = {delivery.alert_id: delivery for delivery in self.deliveries}
        due = [alert for alert in self.alerts.values() if _is_due(last.get(alert.alert_id), now)]
        return sorted(due, key=lambda alert: alert.created_at)[:limit]

    def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Log attempts."""
        self.deliveries.extend(deliveries)


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
