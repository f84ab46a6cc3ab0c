"""What one channel wants to hear, when it may be used, and when a failed message is tried again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, tzinfo
from enum import StrEnum

from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Alert, QueuedAlert

BEGINNING_EVENTS = frozenset({"opened", "reopened"})
"""Events with which a trouble begins, for the first time or again."""

ENDING_EVENTS = frozenset({"auto_resolved", "resolved", "dismissed", "recovered"})
"""Events after which nobody has to act."""

CALMING_EVENTS = ENDING_EVENTS | {"acknowledged", "deescalated", "de_escalated"}
"""Events that only matter to those who heard of the trouble."""

_MINUTE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(days=9)
_JITTER = 0.25


class AlertKind(StrEnum):
    """What a message is about."""

    INCIDENTS = "incidents"
    SUMMARY = "summary"
    KPIS = "kpis"
    JOBS = "jobs"


_PREFIXES = {"summary": AlertKind.SUMMARY, "kpi": AlertKind.KPIS, "job": AlertKind.JOBS, "channel": AlertKind.JOBS}


def kind_of(incident_id: str) -> AlertKind:
    """The kind of a message by its subject: `kpi:<name>`, `job:<name>` and so on, else an incident."""
    prefix, colon, _ = incident_id.partition(":")
    return _PREFIXES.get(prefix, AlertKind.INCIDENTS) if colon else AlertKind.INCIDENTS


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When to try again: the wait doubles with each attempt, a quarter of it is chance.

    Attributes:
        first_wait / longest_wait: limits of the wait.
        give_up_after: age in the queue at which a failed alert is not tried again.
    """

    first_wait: timedelta = timedelta(seconds=30)
    longest_wait: timedelta = timedelta(minutes=10)
    give_up_after: timedelta = timedelta(hours=24)

    def next_attempt(
        self, queued: QueuedAlert, now: datetime, asked_seconds: float | None, chance: float
    ) -> datetime | None:
        """When to try again after a failure at `now`, None for never.

        Args:
            queued: as it was before the failure.
            now: the moment of the failure.
            asked_seconds: wait the channel asked for; never undercut.
            chance: from 0 to 1, shortens the wait so that many do not come back at once.
        """
        # 2**20 times any wait is above every bound; it keeps the product of timedelta in range.
        wait = min(self.first_wait * (1 << min(queued.attempts, 20)), self.longest_wait) * (1 - _JITTER * chance)
        if asked_seconds is not None:
            wait = max(wait, timedelta(seconds=asked_seconds))
        return None if now - queued.queued_at + wait > self.give_up_after else now + wait


@dataclass(frozen=True, slots=True)
class DeliveryHours:
    """When a channel may be used, on the clock of its own zone.

    Attributes:
        weekdays: days on which the time begins, Monday is 0.
        start / end: of the day; an end that is not after the start lies on the next day.
        zone: of both; the clock on the wall counts, also when it is set for daylight saving.
        drops: true ends what comes outside of it, false lets it wait.
    """

    weekdays: frozenset[int]
    start: time
    end: time
    zone: tzinfo
    drops: bool = False

    def is_open(self, moment: datetime) -> bool:
        """True where the channel may be used at this moment."""
        local = moment.astimezone(self.zone)
        clock, today, yesterday = local.time(), local.weekday(), (local.weekday() - 1) % 7
        if self.start < self.end:
            return today in self.weekdays and self.start <= clock < self.end
        late, early = clock >= self.start, clock < self.end
        return (late and today in self.weekdays) or (early and yesterday in self.weekdays)

    def next_opening(self, moment: datetime) -> datetime:
        """The first minute from then on in which the channel may be used, aware UTC.

        Minute by minute, since a clock that is set may skip or repeat any of them.
        """
        at = moment.astimezone(UTC).replace(second=0, microsecond=0)
        last = at + _LONGEST_PAUSE
        while at < last and not self.is_open(max(at, moment)):
            at += _MINUTE
        return max(at, moment)


@dataclass(frozen=True, slots=True)
class ChannelPolicy:
    """What the settings say of one channel."""

    minimum_severity: Severity = Severity.LOW
    kinds: frozenset[AlertKind] = frozenset(AlertKind)
    hours: DeliveryHours | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)

    def is_unwanted_kind(self, alert: Alert) -> bool:
        """True where the channel is not for such messages."""
        return kind_of(alert.incident_id) not in self.kinds

    def is_too_mild(self, alert: Alert) -> bool:
        """True below the minimum severity; a summary and a severity nobody knows never are."""
        severity = _SEVERITIES.get(alert.severity)
        if severity is None or kind_of(alert.incident_id) is AlertKind.SUMMARY:
            return False
        return severity.rank < self.minimum_severity.rank


_SEVERITIES: Mapping[str, Severity] = {severity.value: severity for severity in Severity}
