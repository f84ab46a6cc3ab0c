"""Deliver what is queued: each alert at least once, one bad channel never in the way of the others."""

import random
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.alerts.delivery_policy import ChannelPolicy
from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.ports import Channel, Clock, Delivery, DeliveryStore, QueuedAlert
from dbplanmon_pipeline.services.channel_breaker import ChannelBreaker
from dbplanmon_pipeline.services.screen_alerts import screen_alerts
from dbplanmon_pipeline.services.send_alert import failure_of_sending

_CLAIMED_AT_ONCE = 10
_CHANNELS_AT_ONCE = 8
_FAILURES_IN_A_ROW = 3


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How far one pass goes.

    Attributes:
        per_channel: most attempts per channel.
        budget: time after which no new attempt begins, so that a pass ends before the next one is due.
        lease: how long a claimed alert is out of the reach of other processors.
        longest_sending: none begins when less than this is left of the lease; a channel gives up after a minute.
    """

    per_channel: int = 100
    budget: timedelta = timedelta(seconds=25)
    lease: timedelta = timedelta(minutes=3)
    longest_sending: timedelta = timedelta(seconds=75)


@dataclass(frozen=True, slots=True)
class AlertReport:
    """What one pass did with the alerts that were due.

    Attributes:
        sent: taken by their channel.
        failed: not taken, will be tried again.
        dropped: not taken and given up; the delivery log says why.
        suppressed: not wanted by their channel.
        held: wait for the hours of their channel.
        pending: left for a later pass, because of a limit, a channel that rests, or an older one of the same incident.
    """

    sent: int = 0
    failed: int = 0
    dropped: int = 0
    suppressed: int = 0
    held: int = 0
    pending: int = 0


@dataclass(slots=True)
class _Pass:
    """What the parts of one pass share."""

    store: DeliveryStore
    now: Clock
    breaker: BreakerPolicy
    limits: DeliveryLimits
    chance: Callable[[], float]
    cancelled: Callable[[], bool]
    ends_at: datetime
    stopped: threading.Event = field(default_factory=threading.Event)

    def is_over(self) -> bool:
        return self.stopped.is_set() or self.cancelled() or self.now() >= self.ends_at


def process_alerts(
    store: DeliveryStore,
    channels: Sequence[Channel],
    *,
    now: Clock,
    policies: Mapping[str, ChannelPolicy] | None = None,
    breaker: BreakerPolicy | None = None,
    limits: DeliveryLimits | None = None,
    chance: Callable[[], float] = random.random,
    cancelled: Callable[[], bool] = lambda: False,
) -> AlertReport:
    """Send what is due, oldest first per channel, channels side by side, and record every attempt at once.

    A crash between sending and recording sends an alert again when its claim is over, with the same idempotency key.

    Args:
        store: the queue.
        channels: those that are configured now; an alert for another one is recorded as failed and ends.
        now: the present moment.
        policies: by name of channel; one without takes everything at any time.
        breaker: when a channel that fails is left alone, also by later passes.
        limits: how far this pass goes.
        chance: a number from 0 to 1, for waits that differ.
        cancelled: true as soon as the run was asked to stop; looked at before each attempt.
    """
    limits = limits or DeliveryLimits()
    due = store.due_channels(now())
    if not due:
        return AlertReport()
    configured, chosen = {channel.name: channel for channel in channels}, policies or {}
    shared = _Pass(store, now, breaker or BreakerPolicy(), limits, chance, cancelled, now() + limits.budget)
    passes = [
        _ChannelPass(shared, name, configured.get(name), chosen.get(name) or ChannelPolicy(), count)
        for name, count in sorted(due.items())
    ]
    return _total(_side_by_side(passes, shared.stopped))


def _side_by_side(passes: "Sequence[_ChannelPass]", stopped: threading.Event) -> list[AlertReport]:
    if len(passes) == 1:
        return [passes[0].run()]
    with ThreadPoolExecutor(min(len(passes), _CHANNELS_AT_ONCE), "alerts") as pool:
        try:
            return [future.result() for future in [pool.submit(each.run) for each in passes]]
        finally:
            stopped.set()


def _total(reports: Sequence[AlertReport]) -> AlertReport:
    return AlertReport(*(sum(getattr(r, name) for r in reports) for name in AlertReport.__dataclass_fields__))


class _ChannelPass:
    """One pass over the due alerts of one channel."""

    def __init__(self, shared: _Pass, name: str, channel: Channel | None, policy: ChannelPolicy, due: int) -> None:
        self._shared, self._store, self._now = shared, shared.store, shared.now
        self._name, self._channel, self._policy, self._due = name, channel, policy, due
        self._breaker = ChannelBreaker(shared.store, name, shared.breaker, shared.now)
        self._claimant = secrets.token_hex(16)
        self._claims_end = shared.ends_at
        self._sent = self._failed = self._dropped = self._suppressed = self._held = 0
        self._in_a_row = 0
        self._stuck: set[str] = set()
        self._claimed: set[str] = set()

    def run(self) -> AlertReport:
        if self._breaker.rests():
            self._dropped += self._breaker.give_up_old(self._policy.retry)
            return self._report()
        try:
            while self._goes_on() and (claimed := self._claim()):
                for queued in claimed:
                    if not self._goes_on() or self._now() > self._claims_end:
                        break
                    # An end must not overtake the beginning that failed a moment ago.
                    if queued.alert.incident_id not in self._stuck:
                        self._deliver(queued)
        finally:
            if self._claimed:
                self._store.release_claims(self._claimant)
        return self._report()

    def _report(self) -> AlertReport:
        done = self._sent + self._failed + self._dropped + self._suppressed + self._held
        left = max(self._due - done, 0)
        return AlertReport(self._sent, self._failed, self._dropped, self._suppressed, self._held, left)

    @property
    def _tried(self) -> int:
        return self._sent + self._failed + self._dropped

    def _goes_on(self) -> bool:
        return (
            self._tried < self._shared.limits.per_channel
            and self._in_a_row < _FAILURES_IN_A_ROW
            and not self._breaker.rests()
            and not self._shared.is_over()
        )

    def _claim(self) -> list[QueuedAlert]:
        """The next alerts to send, after those were sorted out that the channel does not want now."""
        while True:
            now = self._now()
            until = now + self._shared.limits.lease
            self._claims_end = until - self._shared.limits.longest_sending
            wanted = min(_CLAIMED_AT_ONCE, self._shared.limits.per_channel - self._tried)
            claimed = self._store.claim_alerts(self._name, now=now, until=until, claimant=self._claimant, limit=wanted)
            self._claimed |= {queued.alert.alert_id for queued in claimed}
            if not claimed or self._channel is None:
                return claimed
            screened = screen_alerts(self._store, self._name, self._policy, claimed, now)
            self._claimed -= {one.alert.alert_id for one in claimed} - {one.alert.alert_id for one in screened.wanted}
            self._suppressed += screened.suppressed
            self._held += screened.held
            if screened.wanted:
                return screened.wanted

    def _deliver(self, queued: QueuedAlert) -> None:
        at = self._now()
        failure = failure_of_sending(self._channel, queued.alert)
        if failure is None:
            self._record(Delivery(queued.alert.alert_id, at, succeeded=True))
            self._breaker.succeeded()
            self._in_a_row = 0
            self._sent += 1
            return
        again = None
        if failure.transient:
            again = self._policy.retry.next_attempt(queued, at, failure.asked_seconds, self._shared.chance())
            self._in_a_row += 1
            self._stuck.add(queued.alert.incident_id)
        self._record(Delivery(queued.alert.alert_id, at, False, failure.message, again))
        if failure.transient:
            self._breaker.failed(failure.message, failure.asked_seconds)
        self._failed += again is not None
        self._dropped += again is None

    def _record(self, delivery: Delivery) -> None:
        self._store.record_deliveries([delivery])
        self._claimed.discard(delivery.alert_id)
