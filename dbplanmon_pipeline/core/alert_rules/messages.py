"""Messages that stand for several others: groups, reminders, notices."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from dbplanmon_pipeline.core.alert_rules.policy import UNACKNOWLEDGED
from dbplanmon_pipeline.core.alerts.incident_alerts import SUBJECT_LIMIT, alert_key
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentEvent
from dbplanmon_pipeline.core.model import Label, Severity
from dbplanmon_pipeline.core.plain_words import duration_words, moment_words, one_line
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import ToldGroup

MORE, FLAPPING = "more", "flapping"
"""Events of the notice about held alerts, and of the message that a statement comes and goes."""

GROUP = "group:"
"""Ids of groups begin so, where others have the id of an incident."""

LISTED = 25


def group_message(members: Sequence[Alert], cause: str, former: str = "") -> Alert:
    """One message that lists others of one event and channel.

    Args:
        members: at least two.
        cause: what they have in common, in words.
        former: id of the group in which their beginnings were told, where there is one.
    """
    first = members[0]
    key = hashlib.sha256("\x1f".join(sorted(member.alert_id for member in members)).encode()).hexdigest()[:32]
    where = one_line(str(first.facts.get("instance", "")), 120)
    what = f"{len(members)} statements {_verb(members)}"
    severity = worst(members)
    tag = "ok" if first.event == IncidentEvent.AUTO_RESOLVED.value else severity
    lines = [f"{what} on {where}: {cause}.", "", *_listing(members), "", "More: dbplanmon incidents list"]
    return Alert(
        alert_id=key,
        incident_id=f"{GROUP}{key}",
        event=first.event,
        channel=first.channel,
        severity=severity,
        created_at=max(member.created_at for member in members),
        subject=one_line(f"[{tag}] {where}: {what} ({cause})", SUBJECT_LIMIT),
        body="\n".join(lines) + "\n",
        facts={
            "scope": "group",
            "instance": first.facts.get("instance", ""),
            "database": _common(members, "database"),
            "label": _common(members, "label"),
            "cause": cause,
            "former": former,
            "incidents": [member.incident_id for member in members],
            "members": [one_line(member.subject) for member in members[:LISTED]],
        },
    )


def joined_message(members: Sequence[Alert], group: ToldGroup) -> Alert:
    """More statements with the cause of a group that was told already; its end is that of all of them."""
    news = group_message(members, group.cause)
    where = one_line(group.instance, 120)
    verb = "fails" if len(members) == 1 and _trouble(members) is _Trouble.FAIL else _JOINING[_trouble(members)]
    what = f"{_counted(len(members), 'more statement')} {verb} with the {group.count} told before"
    lines = [f"{what} on {where}: {group.cause}.", "", *_listing(members), "", "More: dbplanmon incidents list"]
    return replace(
        news,
        incident_id=group.group_id,
        subject=one_line(f"[{news.severity}] {where}: {what} ({group.cause})", SUBJECT_LIMIT),
        body="\n".join(lines) + "\n",
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


class _Trouble(StrEnum):
    """What is wrong with the statements of one message."""

    SLOW = "slow"
    FAIL = "fail"
    BOTH = "both"


_VERBS = {
    (IncidentEvent.OPENED.value, _Trouble.SLOW): "got slower together",
    (IncidentEvent.OPENED.value, _Trouble.FAIL): "fail together since their plans changed",
    (IncidentEvent.OPENED.value, _Trouble.BOTH): "got slower or fail together",
    (IncidentEvent.REOPENED.value, _Trouble.SLOW): "are slow again",
    (IncidentEvent.REOPENED.value, _Trouble.FAIL): "fail again",
    (IncidentEvent.REOPENED.value, _Trouble.BOTH): "are slow or fail again",
    (UNACKNOWLEDGED, _Trouble.SLOW): "are slow and nobody took them",
    (UNACKNOWLEDGED, _Trouble.FAIL): "fail and nobody took them",
    (UNACKNOWLEDGED, _Trouble.BOTH): "are slow or fail and nobody took them",
    **dict.fromkeys([(IncidentEvent.ESCALATED.value, trouble) for trouble in _Trouble], "got worse"),
    **dict.fromkeys([(IncidentEvent.AUTO_RESOLVED.value, trouble) for trouble in _Trouble], "are normal again"),
}
_JOINING = {_Trouble.SLOW: "got slower", _Trouble.FAIL: "fail", _Trouble.BOTH: "got slower or fail"}


def _trouble(members: Sequence[Alert]) -> _Trouble:
    failing = [member.facts.get("label") == Label.FAILING.value for member in members]
    return _Trouble.FAIL if all(failing) else _Trouble.BOTH if any(failing) else _Trouble.SLOW


def _verb(members: Sequence[Alert]) -> str:
    return _VERBS.get((members[0].event, _trouble(members)), "have news")


def group_is_well(end: Alert, group_id: str, count: int) -> Alert:
    """The end of a group, told once, when the last of its statements is normal again."""
    where = one_line(str(end.facts.get("instance", "")), 120)
    what = f"all {count} statements that were told of together are normal again"
    return replace(
        end,
        alert_id=alert_key(group_id, IncidentEvent.AUTO_RESOLVED.value, "", end.channel),
        incident_id=group_id,
        event=IncidentEvent.AUTO_RESOLVED.value,
        subject=one_line(f"[ok] {where}: {what}", SUBJECT_LIMIT),
        body=f"On {where} {what}.\n\nThe last of them:\n\n{end.body}",
        facts={**end.facts, "scope": "group"},
    )


def comes_and_goes(again: Alert, returns: int, within_hours: float) -> Alert:
    """The last word about a statement that keeps coming back, until it rests or gets worse."""
    words = f"It comes and goes: {returns} returns within {within_hours:g} h."
    calm = "Nothing more is said about it until it has been calm for as long, or gets worse; a lasting cure is due."
    return replace(
        again,
        alert_id=alert_key(again.incident_id, FLAPPING, again.created_at.isoformat(), again.channel),
        event=FLAPPING,
        subject=one_line(f"{again.subject} - comes and goes", SUBJECT_LIMIT),
        body=f"{words} {calm}\n\n{again.body}",
        facts={**again.facts, "note": f"{words} {calm}"},
    )


def reminder(opening: Alert, level: int, due: datetime, channel: str) -> Alert:
    """What is said when nobody took an incident until `due`; its figures are those of the opening."""
    return replace(
        opening,
        alert_id=alert_key(opening.incident_id, f"{UNACKNOWLEDGED}:{level}", opening.created_at.isoformat(), channel),
        event=UNACKNOWLEDGED,
        channel=channel,
        created_at=due,
        facts={**opening.facts, "level": level, "opening": opening.created_at.isoformat()},
    )


def reminder_now(waiting: Alert, incident: Incident, now: datetime) -> Alert:
    """The reminder with the severity of now."""
    opened = datetime.fromisoformat(str(waiting.facts["opening"]))
    words = f"Nobody has taken this for {duration_words((now - opened).total_seconds())}."
    bare = waiting.subject.partition("] ")[2] or waiting.subject
    return replace(
        waiting,
        severity=incident.severity.value,
        subject=one_line(f"[{incident.severity.value}] Nobody took it: {bare}", SUBJECT_LIMIT),
        body=(
            f"{words} Severity now {incident.severity.value}.\n"
            f"To take it: dbplanmon incidents ack {incident.incident_id}\n\n{waiting.body}"
        ),
        facts={**waiting.facts, "note": words},
    )


def more_notice(held: Sequence[Alert], hour: datetime, limit: int) -> Alert:
    """The one notice of an hour about alerts beyond the limit of the hours before."""
    channel, count = held[0].channel, len(held)
    severities = Counter(alert.severity for alert in held)
    tally = ", ".join(
        f"{severities[level.value]} {level.value}" for level in reversed(Severity) if severities[level.value]
    )
    since = moment_words(min(alert.created_at for alert in held))
    lines = [
        f"{count} more messages were not sent one by one, since {channel} gets at most {limit} an hour: {tally}.",
        "",
        *_listing(held),
        "",
        "All of them: dbplanmon alerts list --state grouped",
    ]
    return Alert(
        alert_id=alert_key(MORE, MORE, hour.isoformat(), channel),
        incident_id=f"{MORE}:{hour:%Y-%m-%dT%H}",
        event=MORE,
        channel=channel,
        severity=worst(held),
        created_at=hour,
        subject=one_line(f"[{worst(held)}] {count} more messages since {since} ({tally})", SUBJECT_LIMIT),
        body="\n".join(lines) + "\n",
        facts={"scope": "notice", "count": count, "incidents": [alert.incident_id for alert in held[:1000]]},
    )


def worst(alerts: Sequence[Alert]) -> str:
    """The highest severity among them."""
    return max((Severity(alert.severity) for alert in alerts), key=lambda severity: severity.rank).value


def _listing(alerts: Sequence[Alert]) -> list[str]:
    shown = sorted(alerts, key=lambda alert: (-Severity(alert.severity).rank, alert.subject))[:LISTED]
    lines = [f"  - {one_line(alert.subject)}  ({one_line(alert.incident_id, 64)})" for alert in shown]
    return [*lines, f"  - and {len(alerts) - LISTED} more"] if len(alerts) > LISTED else lines


def _common(alerts: Sequence[Alert], name: str) -> object:
    values = {str(alert.facts.get(name, "")) for alert in alerts}
    return values.pop() if len(values) == 1 else ""
