"""What deciding about alerts needs: the queue with its past, whom nobody wants to hear of, and when all is quiet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from typing import Protocol

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import StatementText
from dbplanmon_pipeline.core.ports.alerts import Alert


class AlertState(StrEnum):
    """Where one alert stands; the last five are ends.

    `pending` is waiting for a decision, or decided and waiting for its channel.
    """

    PENDING = "pending"
    HELD = "held"
    MUTED = "muted"
    SUPPRESSED = "suppressed"
    GROUPED = "grouped"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


class AlertRule(StrEnum):
    """What decided about an alert; empty where nothing stood against it."""

    NONE = ""
    MUTE = "mute"
    MAINTENANCE = "maintenance"
    ENDED = "ended"
    RESOLUTION = "resolution"
    FLAPPING = "flapping"
    COOLDOWN = "cooldown"
    GROUPING = "grouping"
    CAP = "cap"
    ESCALATION = "escalation"


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert and what was decided about it.

    Attributes:
        next_attempt_at: when it is looked at or sent again; None before a decision and at the end.
        grouped_into: the alert that tells of it.
        decided_at: None before the first decision.
        tracked_as: what it opens on a channel that tracks; empty for all others.
    """

    alert: Alert
    state: AlertState = AlertState.PENDING
    rule: AlertRule = AlertRule.NONE
    reason: str = ""
    next_attempt_at: datetime | None = None
    grouped_into: str = ""
    decided_at: datetime | None = None
    tracked_as: str = ""


@dataclass(frozen=True, slots=True)
class PastAlert:
    """An alert as far as later ones depend on it."""

    alert_id: str
    incident_id: str
    event: str
    channel: str
    severity: str
    created_at: datetime
    state: AlertState
    rule: AlertRule = AlertRule.NONE
    decided_at: datetime | None = None
    grouped_into: str = ""


@dataclass(frozen=True, slots=True)
class ToldGroup:
    """A group whose beginning a channel was told of lately.

    Attributes:
        group_id: what stands in place of the number of an incident.
        cause: what its members have in common, in words.
        count: members it was told with.
        began_at: when the last of them was opened.
    """

    group_id: str
    channel: str
    instance: str
    cause: str
    count: int
    began_at: datetime


@dataclass(frozen=True, slots=True)
class TrackedMessage:
    """A message that opened something on a channel that tracks, told more of it, or ended it there.

    Attributes:
        key: what it opened or ended: an incident, a group, a notice, a figure or a job.
        ended_at: when the channel took it or it was let go of; None while it waits.
    """

    alert_id: str
    key: str
    channel: str
    severity: str
    created_at: datetime
    subject: str
    instance: str
    state: AlertState
    rule: AlertRule = AlertRule.NONE
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TrackedKey:
    """What a channel keeps open on its side, as far as no incident told under it is open.

    Attributes:
        messages: that opened it or told more.
        ends: of it, whatever became of them.
        told: everything told under it, also through groups and notices: incidents, figures and jobs, with all alerts of
            this channel about each.
        incidents: as they stand now, by id; those that were never stored, or are gone, are missing.
    """

    key: str
    channel: str
    messages: Sequence[TrackedMessage]
    ends: Sequence[TrackedMessage] = ()
    told: Mapping[str, Sequence[PastAlert]] = field(default_factory=dict)
    incidents: Mapping[str, Incident] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TrackedEnds:
    """What follows from a look at tracked keys.

    Attributes:
        ends: new messages.
        settled: ids of messages whose end was taken, or that never went out; they are looked at no more.
    """

    ends: tuple[AlertRow, ...] = ()
    settled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MuteRule:
    """Alerts nobody wants to get: those to which everything applies that is given.

    Attributes:
        instance / database / label: equal to these; empty for any.
        query_hash: this statement; 0 for any.
        text: part of the statement, in any case of letters; empty for any.
        expires_at: None for never.
        removed_at: set when somebody took it back.
    """

    mute_id: str
    created_at: datetime
    created_by: str
    reason: str
    instance: str = ""
    database: str = ""
    query_hash: int = 0
    label: str = ""
    text: str = ""
    expires_at: datetime | None = None
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """Hours in which alerts wait.

    Attributes:
        weekdays: on which it begins, 0 for Monday.
        starts / ends: clock on the wall of the time zone; an end not after the start lies on the next day.
        time_zone: IANA name.
        instance / database: empty for any.
    """

    window_id: str
    weekdays: frozenset[int]
    starts: time
    ends: time
    time_zone: str
    created_at: datetime
    created_by: str
    reason: str
    instance: str = ""
    database: str = ""
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a decision about some alerts depends on.

    Attributes:
        now: aware UTC.
        due: alerts to decide about.
        past: every alert about the same incidents and groups, those of `due` included.
        incidents: as they stand now, by id; those that were never stored are missing.
        released: by channel, alerts let through in the present clock hour.
        noticed: channels that were told of held alerts in the present clock hour.
        mutes / windows: in force now.
        texts: statements of `due` by id of the incident, where a mute rule looks at them.
        groups: told within the last hour.
    """

    now: datetime
    due: Sequence[AlertRow]
    past: Sequence[PastAlert] = ()
    incidents: Mapping[str, Incident] = field(default_factory=dict)
    released: Mapping[str, int] = field(default_factory=dict)
    noticed: frozenset[str] = frozenset()
    mutes: Sequence[MuteRule] = ()
    windows: Sequence[MaintenanceWindow] = ()
    texts: Mapping[str, StatementText] = field(default_factory=dict)
    groups: Sequence[ToldGroup] = ()


@dataclass(frozen=True, slots=True)
class Decisions:
    """What becomes of the alerts of a situation.

    Attributes:
        changed: those of `due`, each in its new form.
        added: new ones: groups, notices, and reminders that wait.
    """

    changed: tuple[AlertRow, ...] = ()
    added: tuple[AlertRow, ...] = ()


class AlertRulesStore(Protocol):
    """What `decide_alerts` needs."""

    def decide_alerts(self, now: datetime, limit: int, decide: Callable[[Situation], Decisions]) -> Decisions:
        """Let `decide` look at alerts that are due and store what it says, all in one transaction of its own.

        What belongs together is given together, so there may be more alerts than `limit`. One process at a time; a
        crash leaves everything as it was.
        """
        ...

    def decisions_due(self, now: datetime) -> bool:
        """True where an alert waits for a decision."""
        ...

    def tracked_keys(self, channels: Iterable[str]) -> list[TrackedKey]:
        """What these channels keep open though no incident told under it is open."""
        ...

    def end_tracked(
        self, now: datetime, channels: Iterable[str], look: Callable[[Sequence[TrackedKey]], TrackedEnds]
    ) -> TrackedEnds:
        """Let `look` see what these channels keep open, and store what it says, in one transaction of its own."""
        ...


class AlertChoiceStore(Protocol):
    """Mute rules and maintenance windows."""

    def add_mute(self, mute: MuteRule) -> None:
        """Store a rule and who made it, and why, in the audit."""
        ...

    def mutes(self, *, at: datetime | None = None) -> list[MuteRule]:
        """All rules, or those in force at a moment, the oldest first."""
        ...

    def remove_mute(self, mute_id: str, actor: str, reason: str) -> bool:
        """End a rule; false where it had ended."""
        ...

    def add_window(self, window: MaintenanceWindow) -> None:
        """Store a window and who made it, and why, in the audit."""
        ...

    def windows(self, *, every: bool = False) -> list[MaintenanceWindow]:
        """Windows that were not removed, or all, the oldest first."""
        ...

    def remove_window(self, window_id: str, actor: str, reason: str) -> bool:
        """End a window; false where it had ended."""
        ...
