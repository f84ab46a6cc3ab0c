"""What channels were told before, as far as the rules about alerts ask for it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from dbplanmon_pipeline.core.alert_rules.messages import FLAPPING, GROUP
from dbplanmon_pipeline.core.alert_rules.policy import UNACKNOWLEDGED, AlertPolicy
from dbplanmon_pipeline.core.alerts.delivery_policy import BEGINNING_EVENTS, ENDING_EVENTS
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import AlertRule, AlertState, PastAlert

_BAD_NEWS = (*BEGINNING_EVENTS, IncidentEvent.ESCALATED.value, UNACKNOWLEDGED, FLAPPING)
_ON_ITS_WAY = (AlertState.PENDING, AlertState.DELIVERED)


class History:
    """Alerts of the incidents at hand.

    Args:
        past: every alert about them, and about their groups.
        policy: what counts as flapping.
    """

    def __init__(self, past: Iterable[PastAlert], policy: AlertPolicy) -> None:
        self._policy = policy
        self._by_topic: dict[tuple[str, str], list[PastAlert]] = defaultdict(list)
        self._beginnings: dict[str, list[datetime]] = defaultdict(list)
        self._reopened: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        self._waiting: dict[tuple[str, str], list[bool]] = defaultdict(list)
        self._members: dict[str, set[str]] = defaultdict(set)
        self._by_id: dict[str, PastAlert] = {}
        for alert in sorted(past, key=lambda one: (one.created_at, one.alert_id)):
            self._by_id[alert.alert_id] = alert
            self._by_topic[alert.incident_id, alert.channel].append(alert)
            if alert.event in BEGINNING_EVENTS:
                self._beginnings[alert.incident_id].append(alert.created_at)
                waits = alert.state is AlertState.HELD and alert.rule is AlertRule.MAINTENANCE
                self._waiting[alert.incident_id, alert.created_at.isoformat()].append(waits)
            if alert.event == IncidentEvent.REOPENED.value:
                self._reopened[alert.incident_id, alert.channel].append(alert.created_at)
            if alert.grouped_into:
                self._members[alert.grouped_into].add(alert.incident_id)

    def knows(self, alert_id: str) -> bool:
        """True for an alert that is there already."""
        return alert_id in self._by_id

    def note_told(self, alert: Alert, at: datetime) -> None:
        """Remember that this alert is being let through."""
        told = PastAlert(
            alert.alert_id,
            alert.incident_id,
            alert.event,
            alert.channel,
            alert.severity,
            alert.created_at,
            AlertState.PENDING,
            decided_at=at,
        )
        topic = self._by_topic[alert.incident_id, alert.channel]
        topic[:] = sorted(
            [*(one for one in topic if one.alert_id != alert.alert_id), told], key=lambda one: one.created_at
        )

    def told_since(self, alert: Alert, since: datetime) -> list[PastAlert]:
        """Bad news that the channel got about the incident since then."""
        return [past for past in self._bad_news(alert) if past.decided_at is not None and past.decided_at > since]

    def told_beginning(self, alert: Alert) -> PastAlert | None:
        """The first bad news that the channel got since the last end it was told of; None where it got none."""
        found: PastAlert | None = None
        for past in self._told(alert):
            if past.created_at > alert.created_at:
                break
            if past.event in ENDING_EVENTS:
                found = None
            elif past.event in _BAD_NEWS and (found is None or self._ended_with_group(found, past.created_at)):
                found = past
        return found

    def _ended_with_group(self, told: PastAlert, before: datetime) -> bool:
        """True where the group in which it was told had ended, for all of its members, by then."""
        group_id = self.group_of(told)
        ends = self._by_topic[group_id, told.channel] if group_id else []
        return any(past.event in ENDING_EVENTS and told.created_at <= past.created_at < before for past in ends)

    def told_alone(self, end: Alert) -> bool:
        """True where bad news of an incident that ends now went out in a message of its own since its last end."""
        alone = False
        for past in self._told(end):
            if past.event in ENDING_EVENTS:
                alone = False
            elif past.event in _BAD_NEWS and past.state in _ON_ITS_WAY:
                alone = True
        return alone

    def is_over(self, incident_id: str, channel: str) -> bool:
        """True where the last that the channel was told of it is its end."""
        told = [past for past in self._by_topic[incident_id, channel] if _is_told(past)]
        return bool(told) and told[-1].event in ENDING_EVENTS

    def group_of(self, past: PastAlert) -> str:
        """Id of the group in which an alert was told, empty where it was told by itself."""
        into = past.grouped_into
        return f"{GROUP}{into}" if into and past.rule is AlertRule.GROUPING and len(self._members[into]) > 1 else ""

    def members(self, group_id: str) -> frozenset[str]:
        """Incidents that were told in a group."""
        return frozenset(self._members[group_id.removeprefix(GROUP)])

    def began_after(self, incident_id: str, opening_iso: str) -> bool:
        """True where the incident began anew after that beginning."""
        if not opening_iso:
            return False
        opening = datetime.fromisoformat(opening_iso)
        return any(at > opening for at in self._beginnings[incident_id])

    def beginning_waits(self, incident_id: str, opening_iso: str) -> bool:
        """True while every channel waits for the end of a maintenance window to hear of that beginning."""
        waiting = self._waiting[incident_id, opening_iso]
        return bool(waiting) and all(waiting)

    def returns(self, alert: Alert) -> int:
        """How often the incident came back within the time that counts, until this alert."""
        return self._count_within(alert, alert.created_at)

    def flaps(self, alert: Alert) -> bool:
        """True while the incident comes and goes."""
        return self.returns(alert) >= self._policy.flap_returns

    def told_of_flapping(self, alert: Alert) -> bool:
        """True where the channel was told since the incident began to come and go."""
        since = alert.created_at
        for at in reversed(self._returns(alert)):
            if at <= alert.created_at and self._count_within(alert, at) < self._policy.flap_returns:
                break
            since = min(since, at)
        return any(past.event == FLAPPING and past.created_at >= since for past in self._told(alert))

    def _count_within(self, alert: Alert, until: datetime) -> int:
        returns = self._returns(alert)
        return bisect_right(returns, until) - bisect_right(returns, until - self._policy.flap_within)

    def _returns(self, alert: Alert) -> list[datetime]:
        """In the order of time."""
        return self._reopened[alert.incident_id, alert.channel]

    def _bad_news(self, alert: Alert) -> list[PastAlert]:
        return [past for past in self._told(alert) if past.event in _BAD_NEWS and past.alert_id != alert.alert_id]

    def _told(self, alert: Alert) -> list[PastAlert]:
        return [past for past in self._by_topic[alert.incident_id, alert.channel] if _is_told(past)]


def _is_told(past: PastAlert) -> bool:
    """Taken by the channel, on its way to it, or part of a message that is."""
    if past.state is AlertState.PENDING:
        return past.decided_at is not None
    if past.state is AlertState.HELD:
        return past.rule is AlertRule.CAP
    return past.state in (AlertState.DELIVERED, AlertState.GROUPED)
