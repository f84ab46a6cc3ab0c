"""When something that a channel keeps open on its side is over, and the message that ends it there.

Nothing is remembered of how it came about: each look starts from what is open there and how its incidents stand now. So
whatever groups, notices, caps, mute rules, a crash or a lost message did before, the next look finds what is left open.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.alerts.delivery_policy import (
    BEGINNING_EVENTS,
    CALMING_EVENTS,
    ENDING_EVENTS,
    AlertKind,
    kind_of,
)
from dbplanmon_pipeline.core.alerts.incident_alerts import SUBJECT_LIMIT, alert_key
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentEvent
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import (
    AlertRow,
    AlertRule,
    AlertState,
    PastAlert,
    TrackedEnds,
    TrackedKey,
    TrackedMessage,
)

NOT_YET_STORED = timedelta(hours=1)
"""Alerts are queued before the incident is stored (docs/decisions/0006); by then it is, or never will be."""

AGAIN_AFTER, AGAIN_FOR = timedelta(hours=1), timedelta(days=7)
"""An end that the channel did not take is told again so often, for so long."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def tracking_key(alert: Alert) -> str:
    """Under what a channel that tracks keeps an alert: news of a group that was told before belongs to that group."""
    former = alert.facts.get("former")
    return former if isinstance(former, str) and former else alert.incident_id


def tracked_as(alert: Alert) -> str:
    """The key that an alert opens on a channel that tracks; empty where it opens none."""
    if alert.event in CALMING_EVENTS or kind_of(alert.incident_id) is AlertKind.SUMMARY:
        return ""
    return tracking_key(alert)


def tracked_ends(keys: Sequence[TrackedKey], now: datetime) -> TrackedEnds:
    """The end of each key of which all is over, and the messages that need none any more."""
    ends = tuple(AlertRow(end, next_attempt_at=now, decided_at=now) for key in keys if (end := _end_of(key, now)))
    return TrackedEnds(ends, tuple(message.alert_id for key in keys for message in _settled(key)))


def _settled(key: TrackedKey) -> list[TrackedMessage]:
    """Those the channel did not want, and those after which it took an end."""
    last_end = max((_order(end) for end in key.ends if end.state is AlertState.DELIVERED), default=None)
    return [
        message
        for message in key.messages
        if message.state is AlertState.SUPPRESSED
        or (message.state is AlertState.DELIVERED and last_end is not None and _order(message) < last_end)
    ]


def _end_of(key: TrackedKey, now: datetime) -> Alert | None:
    """The end that is missing; it never overtakes what opened the key."""
    sent = [message for message in key.messages if message.state is AlertState.DELIVERED]
    if not sent or any(message.state is AlertState.PENDING for message in (*key.messages, *key.ends)):
        return None
    last = max(sent, key=_order)
    later = [end for end in key.ends if _order(end) > _order(last)]
    lost = [end for end in later if _is_lost(end)]
    if any(end.state is AlertState.DELIVERED for end in later) or not _is_time(lost, now):
        return None
    if not all(_is_over(about, past, key.incidents.get(about), now) for about, past in key.told.items()):
        return None
    end = _end(key, sent, f"{last.alert_id}:{len(lost)}")
    # One that is there already and seems older than what it ended was taken by a clock that is behind.
    return None if any(one.alert_id == end.alert_id for one in key.ends) else end


def _order(message: TrackedMessage) -> tuple[datetime, datetime, str]:
    """In which a channel takes messages; in one moment the oldest first."""
    return (message.ended_at or _LONG_AGO, message.created_at, message.alert_id)


def _is_lost(end: TrackedMessage) -> bool:
    """Let through, and neither taken nor on its way: given up, or dropped outside of the hours of the channel."""
    dropped = end.state is AlertState.SUPPRESSED and end.rule is AlertRule.NONE
    return dropped or end.state is AlertState.GIVEN_UP


def _is_time(lost: Sequence[TrackedMessage], now: datetime) -> bool:
    times = [end.ended_at for end in lost if end.ended_at]
    return not times or (now - max(times) >= AGAIN_AFTER and now - min(times) <= AGAIN_FOR)


def _is_over(about: str, past: Sequence[PastAlert], incident: Incident | None, now: datetime) -> bool:
    """True for an incident that is closed or gone, and whose end waits for nothing, be it calm or a window's end."""
    if any(one.event in ENDING_EVENTS and _waits(one) for one in past):
        return False
    if ":" in about:
        # A figure or a job has no state of its own: the alerts say how it stands.
        last = max(past, key=lambda one: (one.created_at, one.alert_id), default=None)
        return last is None or last.event in ENDING_EVENTS
    if incident is not None and incident.state.is_open:
        return False
    stored = _LONG_AGO if incident is None else incident.updated_at
    return not any(one.event in BEGINNING_EVENTS and one.created_at > max(stored, now - NOT_YET_STORED) for one in past)


def _waits(past: PastAlert) -> bool:
    return past.state is AlertState.HELD or (past.state is AlertState.PENDING and past.decided_at is None)


def _end(key: TrackedKey, sent: Sequence[TrackedMessage], occasion: str) -> Alert:
    first, event = min(sent, key=_order), IncidentEvent.AUTO_RESOLVED.value
    what = first.subject.partition("] ")[2] or first.subject
    ended = (one.created_at for past in key.told.values() for one in past if one.event in ENDING_EVENTS)
    return Alert(
        alert_id=alert_key(key.key, event, occasion, key.channel),
        incident_id=key.key,
        event=event,
        channel=key.channel,
        # Where the beginning went the end goes, too, however mild the rest has become.
        severity=max((Severity(one.severity) for one in sent), key=lambda severity: severity.rank).value,
        created_at=max((*(one.created_at for one in sent), *ended)),
        subject=one_line(f"[ok] Over: {what}", SUBJECT_LIMIT),
        body=f"All that this told of is over:\n\n  - {one_line(what)}\n\nMore: dbplanmon incidents list --all\n",
        facts={"scope": "group", "instance": first.instance, "incidents": sorted(key.told)[:1000]},
    )
