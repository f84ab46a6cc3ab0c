"""Deliver what is queued: each alert at least once, one bad channel never in the way of the others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.alerts import RetryLater
from dbplanmon_pipeline.core.ports import Alert, AlertStore, Channel, Clock, Delivery
from dbplanmon_pipeline.errors import DbPlanMonError, NotificationError


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """When to try again.

    The wait before the next attempt is the age of the alert, within limits: the same as doubling it each time, and it
    needs no memory of earlier attempts.

    Attributes:
        first_wait / longest_wait: limits of the wait.
        give_up_after: age at which a failed alert is not tried again.
        failures_in_a_row: transient ones after which a channel is left alone for the rest of a pass.
    """

    first_wait: timedelta = timedelta(seconds=30)
    longest_wait: timedelta = timedelta(minutes=10)
    give_up_after: timedelta = timedelta(hours=24)
    failures_in_a_row: int = 3

    def next_attempt(self, alert: Alert, now: datetime, asked_seconds: float | None) -> datetime | None:
        """When to try again after a failure at `now`, None for never; the channel may ask for a longer wait."""
        age = now - alert.created_at
        wait = min(max(age, self.first_wait), self.longest_wait)
        if asked_seconds is not None:
            wait = max(wait, timedelta(seconds=asked_seconds))
        return None if age + wait > self.give_up_after else now + wait


@dataclass(frozen=True, slots=True)
class AlertReport:
    """What one pass did with the alerts it took up.

    Attributes:
        sent: taken by their channel.
        failed: not taken, will be tried again.
        dropped: not taken and given up; the delivery log says why.
        pending: due, but left for the next pass because their channel is down or the run was asked to stop.
    """

    sent: int = 0
    failed: int = 0
    dropped: int = 0
    pending: int = 0


def process_alerts(
    store: AlertStore,
    channels: Sequence[Channel],
    *,
    now: Clock,
    limit: int = 100,
    policy: DeliveryPolicy | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> AlertReport:
    """Send what is due, oldest first, and record every attempt at once.

    A crash between sending and recording sends an alert again, with the same idempotency key.

    Args:
        store: the queue.
        channels: those that are configured now; an alert for another one is recorded as failed and ends.
        now: the present moment.
        limit: most attempts in this pass.
        policy: when to try again.
        cancelled: true as soon as the run was asked to stop; looked at before each attempt.
    """
    return _Pass(store, channels, now, policy or DeliveryPolicy(), cancelled).run(limit)


class _Pass:
    """One pass over the queue."""

    def __init__(
        self,
        store: AlertStore,
        channels: Sequence[Channel],
        now: Clock,
        policy: DeliveryPolicy,
        cancelled: Callable[[], bool],
    ) -> None:
        self._store = store
        self._channels = {channel.name: channel for channel in channels}
        self._now = now
        self._policy = policy
        self._cancelled = cancelled
        self._in_a_row: dict[str, int] = {}
        self._seen: set[str] = set()
        self._left: set[str] = set()
        self._sent = self._failed = self._dropped = 0

    def run(self, limit: int) -> AlertReport:
        fresh = self._fresh(limit)
        while fresh:
            for alert in fresh:
                self._seen.add(alert.alert_id)
                if self._tried >= limit or self._cancelled() or self._is_down(alert.channel):
                    self._left.add(alert.alert_id)
                else:
                    self._deliver(alert)
            done = self._tried >= limit or self._cancelled()
            fresh = [] if done else self._fresh(limit - self._tried)
        return AlertReport(self._sent, self._failed, self._dropped, len(self._left))

    @property
    def _tried(self) -> int:
        return self._sent + self._failed + self._dropped

    def _fresh(self, wanted: int) -> list[Alert]:
        """Due alerts not yet looked at: those of a channel that is down must not hide the ones behind them."""
        due = self._store.pending_alerts(self._now(), wanted + len(self._left))
        return [alert for alert in due if alert.alert_id not in self._seen]

    def _is_down(self, channel: str) -> bool:
        return self._in_a_row.get(channel, 0) >= self._policy.failures_in_a_row

    def _deliver(self, alert: Alert) -> None:
        at, again = self._now(), None
        try:
            self._send(alert)
        except NotificationError as error:
            if error.transient:
                asked = error.retry_after_seconds if isinstance(error, RetryLater) else None
                again = self._policy.next_attempt(alert, at, asked)
                self._in_a_row[alert.channel] = self._in_a_row.get(alert.channel, 0) + 1
            self._record_failure(alert, at, str(error), again)
            return
        self._in_a_row[alert.channel] = 0
        self._store.record_deliveries([Delivery(alert.alert_id, at, succeeded=True)])
        self._sent += 1

    def _send(self, alert: Alert) -> None:
        channel = self._channels.get(alert.channel)
        if channel is None:
            raise NotificationError(f"channel {alert.channel!r} is no longer configured", transient=False)
        try:
            channel.send(alert)
        except NotificationError:
            raise
        except DbPlanMonError as error:
            raise NotificationError(f"{alert.channel}: {error}") from error
        # A channel is foreign code in part; whatever it throws, the others get their turn. Its words may hold secrets.
        except Exception as error:
            raise NotificationError(f"{alert.channel}: unexpected {type(error).__name__}") from error

    def _record_failure(self, alert: Alert, at: datetime, message: str, again: datetime | None) -> None:
        delivery = Delivery(alert.alert_id, at, succeeded=False, error=message, next_attempt_at=again)
        self._store.record_deliveries([delivery])
        if again is None:
            self._dropped += 1
        else:
            self._failed += 1
