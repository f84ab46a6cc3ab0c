"""A channel that takes nothing any more: when that is so, and what people are told of it over the others; pure."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.alerts.monitor_alerts import monitor_alert
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.plain_words import duration_words, moment_words, one_line
from dbplanmon_pipeline.core.ports.alerts import Alert, ChannelFailures

DEAD_AFTER = timedelta(hours=1)
FEWEST_ATTEMPTS = 3
"""One message that is refused says nothing about its channel."""

LONGEST_KEY = 64
TOLD_AT_MOST_EVERY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ToldOfChannel:
    """The newest message about a channel; None for none.

    Attributes:
        began_at / ended_at: when people were last told that it is dead, and that it works again.
        channels: over which they were told of its death.
    """

    began_at: datetime | None = None
    ended_at: datetime | None = None
    channels: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """True where its end was not told yet."""
        return self.began_at is not None and (self.ended_at is None or self.ended_at < self.began_at)


def channel_key(channel: str) -> str:
    """What stands in place of the number of an incident; no longer than that may be."""
    key = f"channel:{channel}"
    return key if len(key) <= LONGEST_KEY else f"channel:{hashlib.sha256(channel.encode()).hexdigest()[:32]}"


def is_dead(failures: ChannelFailures | None, now: datetime) -> bool:
    """True where nothing was taken for an hour, though it was tried more than once."""
    return failures is not None and failures.attempts >= FEWEST_ATTEMPTS and now - failures.failing_since >= DEAD_AFTER


def channel_alerts(
    channels: Sequence[str],
    failures: Mapping[str, ChannelFailures | None],
    told: Mapping[str, ToldOfChannel],
    now: datetime,
) -> list[Alert]:
    """What is to be told now: each death once, over every channel that lives, and its end over the same ones.

    Args:
        channels: enabled ones.
        failures: of channels that were tried, by name: None where the newest message was taken. Where nothing was
            tried nothing is known, so silence is no end.
        told: what was told of each, by name.
        now: aware UTC.
    """
    alive = [name for name in channels if not is_dead(failures.get(name), now)]
    alerts: list[Alert] = []
    for name in channels:
        known = told.get(name, ToldOfChannel())
        found = failures.get(name)
        if found is not None and name not in alive:
            is_early = known.began_at is not None and now - known.began_at < TOLD_AT_MOST_EVERY
            if not known.is_open and not is_early:
                alerts += [_opened(name, found, channel, now) for channel in alive]
        elif name in failures and found is None and known.is_open:
            began = known.began_at or now
            alerts += [_resolved(name, began, channel, now) for channel in known.channels if channel in alive]
    return alerts


def _opened(name: str, failures: ChannelFailures, channel: str, now: datetime) -> Alert:
    headline = (
        f"channel {name} has taken no message for {duration_words((now - failures.failing_since).total_seconds())}"
    )
    rows = [
        ("Channel", name),
        ("Failing since", moment_words(failures.failing_since)),
        ("Attempts", f"{failures.attempts:,}"),
        ("Last failure", failures.error or "not told"),
        ("What helps", f"dbplanmon channels test {name}; dbplanmon channels replay sends what was given up"),
    ]
    moment = failures.failing_since.isoformat()
    return monitor_alert(channel_key(name), IncidentEvent.OPENED, moment, channel, headline, rows, now, _facts(name))


def _resolved(name: str, began: datetime, channel: str, now: datetime) -> Alert:
    rows = [("Channel", name), ("Told that it failed", moment_words(began))]
    headline = f"channel {name} takes messages again"
    return monitor_alert(
        channel_key(name), IncidentEvent.AUTO_RESOLVED, began.isoformat(), channel, headline, rows, now, _facts(name)
    )


def _facts(name: str) -> dict[str, str]:
    return {"scope": "channel", "channel": one_line(name)}
