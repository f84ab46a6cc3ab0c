"""Which alerts have one cause and are told in one message."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from dbplanmon_pipeline.core.alert_rules.policy import AlertPolicy
from dbplanmon_pipeline.core.alerts.delivery_policy import BEGINNING_EVENTS
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent, IncidentScope
from dbplanmon_pipeline.core.model import Label
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import ToldGroup

_TOGETHER = "they began together"


@dataclass(frozen=True, slots=True)
class AlertGroup:
    """Alerts of one channel, event and instance, and what they have in common, in words.

    Attributes:
        former: id of the group in which their beginnings were told; empty where there is none.
    """

    members: tuple[Alert, ...]
    cause: str
    former: str = ""


def grouped(
    alerts: Sequence[Alert], policy: AlertPolicy, group_of: Mapping[str, str]
) -> tuple[tuple[AlertGroup, ...], tuple[Alert, ...]]:
    """Groups, and the alerts that stay alone, in their order.

    Args:
        alerts: about to be sent.
        policy: how many make a group.
        group_of: by alert id, the group that told of the beginning of what the alert is about.
    """
    groups: list[AlertGroup] = []
    for members in _steps(alerts, policy):
        if members[0].event in BEGINNING_EVENTS:
            groups += _by_cause(members, policy)
        else:
            groups += _again(members, policy, group_of)
    taken = {member.alert_id for group in groups for member in group.members}
    return tuple(groups), tuple(alert for alert in alerts if alert.alert_id not in taken)


def _steps(alerts: Sequence[Alert], policy: AlertPolicy) -> list[list[Alert]]:
    """Alerts about statements that could be one message: same channel, event, instance, and nearly the same time."""
    places: dict[tuple[str, ...], list[Alert]] = defaultdict(list)
    for alert in alerts:
        instance = str(alert.facts.get("instance", ""))
        if instance and alert.facts.get("scope") == IncidentScope.QUERY.value:
            places[alert.channel, alert.event, instance].append(alert)
    found: list[list[Alert]] = []
    for place in places.values():
        began: datetime | None = None
        for alert in sorted(place, key=lambda one: (one.created_at, one.alert_id)):
            if began is None or alert.created_at - began >= policy.together_within:
                began = alert.created_at
                found.append([])
            found[-1].append(alert)
    return found


def _by_cause(members: list[Alert], policy: AlertPolicy) -> list[AlertGroup]:
    """The cause most of them share first; then changed plans of one database; then whatever is left of the instance."""
    groups: list[AlertGroup] = []
    left = members
    for least, keys, words in (
        (2, _causes, str),
        (policy.flips_from, _flipped_in, _flip_words),
        (policy.group_from, lambda _: ["all"], lambda _: _TOGETHER),
    ):
        groups += (taken := _taken(left, least, keys, words))
        gone = {member.alert_id for group in taken for member in group.members}
        left = [member for member in left if member.alert_id not in gone]
    return groups


def _taken(
    alerts: list[Alert], least: int, keys: Callable[[Alert], Sequence[str]], words: Callable[[str], str]
) -> list[AlertGroup]:
    groups: list[AlertGroup] = []
    left = alerts
    while True:
        by_key: dict[str, list[Alert]] = defaultdict(list)
        for alert in left:
            for key in keys(alert):
                by_key[key].append(alert)
        if not by_key:
            return groups
        key = max(sorted(by_key), key=lambda one: len(by_key[one]))
        if len(by_key[key]) < least:
            return groups
        groups.append(AlertGroup(tuple(by_key[key]), words(key)))
        gone = {alert.alert_id for alert in by_key[key]}
        left = [alert for alert in left if alert.alert_id not in gone]


def _causes(alert: Alert) -> list[str]:
    causes = alert.facts.get("causes", ())
    return [str(cause) for cause in causes] if isinstance(causes, list | tuple) else []


def _flip_words(database: str) -> str:
    return f"plans changed in {database}"


def _flipped_in(alert: Alert) -> list[str]:
    facts = alert.facts
    flipped = facts.get("previous_plan_hash") and facts.get("previous_plan_hash") != facts.get("plan_hash")
    return [str(facts.get("database", ""))] if flipped and facts.get("label") == Label.PLAN_REGRESSION.value else []


def _again(members: list[Alert], policy: AlertPolicy, group_of: Mapping[str, str]) -> list[AlertGroup]:
    """Later news of what was told together is told together."""

    def former(alert: Alert) -> list[str]:
        return [group_of[alert.alert_id]] if alert.alert_id in group_of else []

    found = _taken(members, 2, former, lambda _: _TOGETHER)
    groups = [replace(group, former=group_of[group.members[0].alert_id]) for group in found]
    gone = {member.alert_id for group in groups for member in group.members}
    left = [member for member in members if member.alert_id not in gone]
    return [*groups, *_taken(left, policy.group_from, lambda _: ["all"], lambda _: _TOGETHER)]


def joining(alerts: Sequence[Alert], groups: Sequence[ToldGroup], policy: AlertPolicy) -> dict[ToldGroup, list[Alert]]:
    """Alerts of statements that were found slow later than others with the same cause, by the group of those.

    That plans changed is a cause for two steps only: an hour later it may have been another reason.
    """
    found: dict[ToldGroup, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.event != IncidentEvent.OPENED.value or alert.facts.get("scope") != IncidentScope.QUERY.value:
            continue
        group = next((one for one in groups if _belongs(alert, one, policy)), None)
        if group is not None:
            found[group].append(alert)
    return dict(found)


def _belongs(alert: Alert, group: ToldGroup, policy: AlertPolicy) -> bool:
    if (group.channel, group.instance) != (alert.channel, alert.facts.get("instance")):
        return False
    flips = [_flip_words(database) for database in _flipped_in(alert)]
    soon = alert.created_at - group.began_at <= 2 * policy.together_within
    return group.cause in _causes(alert) or (soon and group.cause in flips)
