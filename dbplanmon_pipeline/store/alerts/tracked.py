"""What channels that track keep open on their side, and what was told under it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from dbplanmon_pipeline.core.alert_rules.messages import GROUP, MORE
from dbplanmon_pipeline.core.alerts.delivery_policy import ENDING_EVENTS
from dbplanmon_pipeline.core.incidents.incident import IncidentState
from dbplanmon_pipeline.core.ports.alert_rules import AlertRule, AlertState, PastAlert, TrackedKey, TrackedMessage
from dbplanmon_pipeline.store.alerts.past import incidents_by_id, parts, past_where
from dbplanmon_pipeline.store.schema import alert, incident

_Key: TypeAlias = tuple[str, str]
"""A channel, and what it keeps open."""

_OUT = (AlertState.PENDING.value, AlertState.DELIVERED.value)
_OPEN = frozenset(state.value for state in IncidentState if state.is_open)
_MESSAGE_FIELDS = tuple(name for name in TrackedMessage.__dataclass_fields__ if name != "key")
_CARRIERS = (GROUP, f"{MORE}:")


def tracked_keys(connection: Connection, channels: Iterable[str]) -> list[TrackedKey]:
    """What these channels keep open though no incident told under it is open; one look where nothing is open."""
    names = sorted(channels)
    tracked = and_(alert.c.tracked_as.is_not(None), alert.c.channel.in_(names))
    messages = _messages(connection, alert.c.tracked_as, tracked)
    told = _told_where_nothing_is_open(connection, names) if messages else {}
    if not told:
        return []
    past = _past(connection, {about for subjects in told.values() for about in subjects})
    incidents = incidents_by_id(connection, {about for about, _channel in past})
    ends: dict[_Key, list[TrackedMessage]] = defaultdict(list)
    for part in parts({key for _channel, key in told}):
        is_end = and_(alert.c.incident_id.in_(part), alert.c.event.in_(sorted(ENDING_EVENTS)))
        for found, its_ends in _messages(connection, alert.c.incident_id, is_end).items():
            ends[found] += its_ends
    return [
        TrackedKey(
            key,
            channel,
            messages[channel, key],
            ends[channel, key],
            {about: past.get((about, channel), []) for about in subjects},
            {about: incidents[about] for about in subjects if about in incidents},
        )
        for (channel, key), subjects in sorted(told.items())
    ]


def settle(connection: Connection, alert_ids: Iterable[str]) -> None:
    """Look at these messages no more."""
    for part in parts(alert_ids):
        connection.execute(alert.update().where(alert.c.alert_id.in_(part)).values(tracked_as=None))


def _messages(
    connection: Connection, key: ColumnElement[Any], condition: ColumnElement[bool]
) -> dict[_Key, list[TrackedMessage]]:
    columns = [key.label("key"), *(alert.c[name] for name in _MESSAGE_FIELDS)]
    found: dict[_Key, list[TrackedMessage]] = defaultdict(list)
    for row in connection.execute(select(*columns).where(condition)).mappings():
        found[row["channel"], row["key"]].append(_message(row))
    return found


def _message(row: RowMapping) -> TrackedMessage:
    return TrackedMessage(**{**row, "state": AlertState(row["state"]), "rule": AlertRule(row["rule"])})


def _told_where_nothing_is_open(connection: Connection, channels: Sequence[str]) -> Mapping[_Key, AbstractSet[str]]:
    """Incidents, figures and jobs told under each key, without the keys under which an incident is open.

    What was told in an alert is what was grouped into it, again and again: a statement in a group, the group in the
    notice of the hour. What joins a group bears its id, and its statements are grouped into the first message.
    """
    opened = select(alert.c.channel, alert.c.tracked_as.label("key"), alert.c.alert_id, alert.c.incident_id).where(
        alert.c.tracked_as.is_not(None), alert.c.channel.in_(channels), alert.c.state.in_(_OUT)
    )
    told = opened.cte("told", recursive=True)
    first_of_group = func.substr(told.c.incident_id, len(GROUP) + 1)
    member = alert.alias("member")
    told = told.union(
        select(told.c.channel, told.c.key, member.c.alert_id, member.c.incident_id).join(
            told, member.c.grouped_into.in_((told.c.alert_id, first_of_group))
        )
    )
    standing = (
        select(told.c.channel, told.c.key, told.c.incident_id, incident.c.state)
        .outerjoin(incident, incident.c.incident_id == told.c.incident_id)
        .distinct()
    )
    found: dict[_Key, set[str]] = defaultdict(set)
    still_open = set()
    for channel, key, about, state in connection.execute(standing):
        if state in _OPEN:
            still_open.add((channel, key))
        elif not about.startswith(_CARRIERS):
            found[channel, key].add(about)
        else:
            found.setdefault((channel, key), set())
    return {key: subjects for key, subjects in found.items() if key not in still_open}


def _past(connection: Connection, about: AbstractSet[str]) -> dict[tuple[str, str], list[PastAlert]]:
    """By what it is about and channel."""
    found: dict[tuple[str, str], list[PastAlert]] = defaultdict(list)
    for one in past_where(connection, alert.c.incident_id, about):
        found[one.incident_id, one.channel].append(one)
    return found
