"""What was told about incidents before, and how they stand now."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, select

from dbplanmon_pipeline.core.alert_rules.messages import GROUP
from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.ports.alert_rules import AlertRule, AlertState, PastAlert
from dbplanmon_pipeline.store.alerts.queue import IDLE_REMINDER
from dbplanmon_pipeline.store.incidents import read_incident
from dbplanmon_pipeline.store.schema import alert, incident

_T = TypeVar("_T")
_AT_ONCE = 500
_PAST_FIELDS = tuple(PastAlert.__dataclass_fields__)
_STATES = {state.value: state for state in AlertState}
_RULES = {rule.value: rule for rule in AlertRule}


def past_of(connection: Connection, incident_ids: AbstractSet[str]) -> list[PastAlert]:
    """Alerts about the incidents; where one was told in a group, those about the group and about all of its members."""
    found = past_where(connection, alert.c.incident_id, incident_ids)
    carriers = past_where(connection, alert.c.alert_id, {past.grouped_into for past in found if past.grouped_into})
    groups = {one.incident_id for one in (*found, *carriers) if one.incident_id.startswith(GROUP)}
    about_groups = past_where(connection, alert.c.incident_id, groups - incident_ids)
    members = past_where(connection, alert.c.grouped_into, {one.removeprefix(GROUP) for one in groups})
    return list({past.alert_id: past for past in (*found, *carriers, *about_groups, *members)}.values())


def past_where(connection: Connection, column: ColumnElement[Any], wanted: Iterable[str]) -> list[PastAlert]:
    """Alerts with one of these values in a column, but for reminders that wait or were not needed."""
    statement = select(*(alert.c[name] for name in _PAST_FIELDS)).where(~IDLE_REMINDER)
    return [_past_alert(row) for part in parts(wanted) for row in connection.execute(statement.where(column.in_(part)))]


def incidents_by_id(connection: Connection, incident_ids: Iterable[str]) -> dict[str, Incident]:
    """As they stand now; those that were never stored are missing."""
    return {
        row["incident_id"]: read_incident(row)
        for part in parts(one for one in incident_ids if ":" not in one)
        for row in connection.execute(select(incident).where(incident.c.incident_id.in_(part))).mappings()
    }


def parts(values: Iterable[_T]) -> Iterator[Sequence[_T]]:
    """All of them in their order, in lists that a statement can bear."""
    ordered = sorted(values)  # type: ignore[type-var]
    for first in range(0, len(ordered), _AT_ONCE):
        yield ordered[first : first + _AT_ONCE]


def _past_alert(row: Row[Any]) -> PastAlert:
    alert_id, incident_id, event, channel, severity, created_at, state, rule, decided_at, grouped_into = tuple(row)
    about = (alert_id, incident_id, event, channel, severity, created_at)
    return PastAlert(*about, _STATES[state], _RULES[rule], decided_at, grouped_into or "")
