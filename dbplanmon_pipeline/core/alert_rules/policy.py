"""How often people are told, and who is told next."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.model import Severity

UNACKNOWLEDGED = "unacknowledged"
"""Event of a reminder that nobody took an incident."""


@dataclass(frozen=True, slots=True)
class EscalationLevel:
    """Who is told when nobody took an incident for so long, if it is at least this bad."""

    after: timedelta
    channels: tuple[str, ...]
    minimum_severity: Severity = Severity.LOW


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """How often people are told.

    Attributes:
        cooldown: rest after an alert about one incident on one channel, unless it gets worse.
        max_per_hour: alerts per channel and clock hour.
        levels: of escalation, in the order of their times.
        flap_returns / flap_within: so many returns within this time are flapping.
        group_from: statements of one instance at one time that are told in one message.
        flips_from: changed plans of one database at one time that are.
        together_within: alerts created so close to each other belong to one step.
        trackers: channels that keep each incident open on their side until they are told of its end.
    """

    cooldown: timedelta = timedelta(hours=4)
    max_per_hour: int = 10
    levels: tuple[EscalationLevel, ...] = ()
    flap_returns: int = 3
    flap_within: timedelta = timedelta(hours=24)
    group_from: int = 5
    flips_from: int = 3
    together_within: timedelta = timedelta(minutes=5)
    trackers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AlertRoutes:
    """Which channels hear of which step.

    Attributes:
        first: told as soon as something happens.
        levels: told when nobody takes it.
    """

    first: tuple[str, ...] = ()
    levels: tuple[EscalationLevel, ...] = ()

    def channels(self, event: IncidentEvent, severity: Severity) -> tuple[str, ...]:
        """Channels that are told of a step: an end all, a rise in severity those of the first level, too."""
        told = self.first
        if event is IncidentEvent.ESCALATED and self.levels:
            told += self.levels[0].channels if severity.rank >= self.levels[0].minimum_severity.rank else ()
        if event is IncidentEvent.AUTO_RESOLVED:
            told += _all_of(self.levels)
        return tuple(dict.fromkeys(told))


def _all_of(levels: Sequence[EscalationLevel]) -> tuple[str, ...]:
    return tuple(name for level in levels for name in level.channels)
