"""What becomes of queued alerts: what nobody wants to hear, what waits, what was told before, what is told as one."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.alert_rules.ends import tracked_as
from dbplanmon_pipeline.core.alert_rules.grouping import grouped, joining
from dbplanmon_pipeline.core.alert_rules.history import History
from dbplanmon_pipeline.core.alert_rules.messages import (
    GROUP,
    comes_and_goes,
    group_is_well,
    group_message,
    joined_message,
    more_notice,
    reminder,
    reminder_now,
)
from dbplanmon_pipeline.core.alert_rules.policy import UNACKNOWLEDGED, AlertPolicy
from dbplanmon_pipeline.core.alert_rules.scope import concerned_windows, mute_of
from dbplanmon_pipeline.core.alert_rules.windows import held_until
from dbplanmon_pipeline.core.alerts.delivery_policy import BEGINNING_EVENTS, CALMING_EVENTS, ENDING_EVENTS
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import AlertRow, AlertRule, AlertState, Decisions, Situation

HOUR = timedelta(hours=1)
FREE_OF_RULES = ("summary:",)
"""Ids of what comes once a day anyway."""


def decide(situation: Situation, policy: AlertPolicy) -> Decisions:
    """Decide about every alert of a situation, in the order in which they were created.

    The rules, in their order: reminders that are not needed, mute rules, what ended while it waited, maintenance
    windows, ends of what was never told, flapping, cooldown, grouping, and the cap of the hour. On a channel that
    tracks incidents no mute rule, group or cap stands against the end of what was told by itself; `ends.py` ends
    whatever else is open there.
    """
    return _Pass(situation, policy).run()


def clock_hour(now: datetime) -> datetime:
    """Beginning of the hour in which a moment lies."""
    return now.replace(minute=0, second=0, microsecond=0)


class _Pass:
    """One look at the alerts that are due."""

    def __init__(self, situation: Situation, policy: AlertPolicy) -> None:
        self._now = situation.now
        self._situation = situation
        self._policy = policy
        self._history = History(situation.past, policy)
        self._released = defaultdict(int, situation.released)
        self._changed: dict[str, AlertRow] = {}
        self._added: dict[str, AlertRow] = {}

    def run(self) -> Decisions:
        passed = []
        beyond_cap: dict[str, list[AlertRow]] = defaultdict(list)
        for row in sorted(self._situation.due, key=lambda one: (one.alert.created_at, one.alert.alert_id)):
            decided = self._alone(row)
            if decided.state is not AlertState.PENDING:
                self._keep(decided)
            elif row.rule is AlertRule.CAP:
                beyond_cap[row.alert.channel].append(decided)
            else:
                self._history.note_told(decided.alert, self._now)
                passed.append(decided)
            if row.decided_at is None and row.alert.event in BEGINNING_EVENTS:
                self._add_reminders(row.alert)
        self._tell_more(beyond_cap)
        self._tell(self._without_repeats(passed))
        return Decisions(tuple(self._changed.values()), tuple(self._added.values()))

    # ------------------------------------------------------------ one alert by itself

    def _alone(self, row: AlertRow) -> AlertRow:
        """The alert as the rules about single alerts leave it; still `pending` where none stands against it."""
        if row.alert.incident_id.startswith(FREE_OF_RULES):
            return self._pending(row)
        row = self._reminded(row)
        if row.state is AlertState.HELD and row.rule is AlertRule.ESCALATION:
            return row
        for rule in (self._muted, self._ended, self._in_maintenance, self._end_untold, self._flapping, self._cooling):
            if row.state in (AlertState.PENDING, AlertState.HELD) and (found := rule(row)) is not None:
                return found
        return row if row.state in _FINAL else self._pending(row)

    def _incident(self, row: AlertRow) -> Incident | None:
        return self._situation.incidents.get(row.alert.incident_id)

    def _reminded(self, row: AlertRow) -> AlertRow:
        """A reminder is needed while nobody took the incident, and only for its latest beginning."""
        if row.alert.event != UNACKNOWLEDGED or row.rule is not AlertRule.ESCALATION:
            return row
        incident = self._incident(row)
        why = self._not_needed(row.alert, incident)
        if why or incident is None:
            return self._suppressed(row, AlertRule.ESCALATION, why)
        if self._history.beginning_waits(row.alert.incident_id, _opening_of(row.alert)):
            return self._reminded_later(row)
        return replace(row, alert=reminder_now(row.alert, incident, self._now), rule=AlertRule.NONE)

    def _reminded_later(self, row: AlertRow) -> AlertRow:
        """Nobody can take what nobody was told of: the time runs from when its beginning may be told."""
        told_at = held_until(concerned_windows(row.alert, self._situation.windows), self._now) or self._now
        due = told_at + self._policy.levels[_level_of(row.alert)].after
        return self._held(row, due, AlertRule.ESCALATION, f"sent if nobody took it until {due:%Y-%m-%d %H:%M} UTC")

    def _not_needed(self, alert: Alert, incident: Incident | None) -> str:
        if incident is None:
            return "the incident is not known"
        if incident.state is not IncidentState.NEW:
            return f"nobody needs reminding: the incident is {incident.state.value.replace('_', ' ')}"
        if self._history.began_after(alert.incident_id, _opening_of(alert)):
            return "the incident ended and began anew in between"
        level = _level_of(alert)
        if level >= len(self._policy.levels):
            return "this level of escalation is no longer configured"
        least = self._policy.levels[level].minimum_severity
        if incident.severity.rank < least.rank:
            return f"the severity is {incident.severity.value}, this level begins at {least.value}"
        return ""

    def _is_tracked(self, alert: Alert) -> bool:
        """The end of what a channel keeps open until it is told so; `_end_untold` looks at whether it does."""
        return alert.channel in self._policy.trackers and alert.event in CALMING_EVENTS

    def _muted(self, row: AlertRow) -> AlertRow | None:
        if self._is_tracked(row.alert):
            return None
        mute = mute_of(row.alert, self._situation.mutes, self._situation.texts.get(row.alert.incident_id))
        if mute is None:
            return None
        why = f"mute rule {mute.mute_id} of {mute.created_by}: {mute.reason}".removesuffix(": ")
        return self._closed(row, AlertState.MUTED, AlertRule.MUTE, why)

    def _ended(self, row: AlertRow) -> AlertRow | None:
        """What had to wait is told only while it is still true."""
        alert = row.alert
        is_capped = row.rule is AlertRule.CAP
        if row.state is not AlertState.HELD or (is_capped and alert.channel not in self._policy.trackers):
            return None
        if self._incident(row) is None and not is_capped:
            return None
        is_over = self._is_over(alert.incident_id, alert.channel)
        # Well now is not well all the time: what came back in between has an end of its own.
        returned = not is_capped and self._history.began_after(alert.incident_id, alert.created_at.isoformat())
        if alert.event in ENDING_EVENTS and (returned or not is_over):
            return self._suppressed(row, AlertRule.ENDED, "it came back while the message waited")
        if alert.event not in ENDING_EVENTS and is_over:
            return self._suppressed(row, AlertRule.ENDED, "the incident ended while the message waited")
        return None

    def _is_over(self, incident_id: str, channel: str) -> bool:
        if members := self._history.members(incident_id):
            return all(self._is_over(member, channel) for member in members)
        incident = self._situation.incidents.get(incident_id)
        return self._history.is_over(incident_id, channel) if incident is None else not incident.state.is_open

    def _in_maintenance(self, row: AlertRow) -> AlertRow | None:
        windows = concerned_windows(row.alert, self._situation.windows)
        until = held_until(windows, self._now)
        if until is None or row.rule is AlertRule.CAP:
            return None
        return self._held(row, until, AlertRule.MAINTENANCE, f"maintenance until {until:%Y-%m-%d %H:%M} UTC")

    def _end_untold(self, row: AlertRow) -> AlertRow | None:
        """The end of what a channel was not told of is no news there; that of a group is told once."""
        alert = row.alert
        if alert.event not in CALMING_EVENTS or row.rule is AlertRule.CAP:
            return None
        told = self._history.told_beginning(alert)
        if told is None:
            return self._suppressed(row, AlertRule.RESOLUTION, "its beginning was not sent on this channel")
        if alert.event == IncidentEvent.AUTO_RESOLVED and self._is_held_for_flapping(row):
            until = alert.created_at + self._policy.flap_within
            return self._held(row, until, AlertRule.FLAPPING, f"comes and goes; told if calm until {until:%H:%M} UTC")
        group_id = self._history.group_of(told)
        if alert.event not in ENDING_EVENTS:
            return self._suppressed(row, AlertRule.GROUPING, "it was told with others") if group_id else None
        if self._is_tracked(alert):
            why = "no message of its own is open there; those that told of it end with the last they told of"
            return None if self._history.told_alone(alert) else self._suppressed(row, AlertRule.GROUPING, why)
        return self._end_of_group(row, group_id) if group_id else None

    def _is_held_for_flapping(self, row: AlertRow) -> bool:
        return row.rule is not AlertRule.FLAPPING and self._history.flaps(row.alert)

    def _end_of_group(self, row: AlertRow, group_id: str) -> AlertRow | None:
        members = self._history.members(group_id)
        standing = [self._situation.incidents.get(member) for member in members]
        slow = sum(1 for incident in standing if incident is not None and incident.state.is_open)
        if slow:
            return self._suppressed(row, AlertRule.GROUPING, f"{slow} others that were told with it are still slow")
        end = group_is_well(row.alert, group_id, len(members))
        if not self._history.knows(end.alert_id) and end.alert_id not in self._added:
            self._release(AlertRow(end), is_new=True)
        return self._grouped(row, AlertRule.GROUPING, end.alert_id, "told as the end of a group")

    def _flapping(self, row: AlertRow) -> AlertRow | None:
        alert = row.alert
        if alert.event not in (IncidentEvent.REOPENED.value, UNACKNOWLEDGED) or row.rule is AlertRule.CAP:
            return None
        if not self._history.flaps(alert):
            return None
        if self._history.told_of_flapping(alert):
            return self._suppressed(row, AlertRule.FLAPPING, "comes and goes, which was told")
        if alert.event == UNACKNOWLEDGED:
            return None
        notice = comes_and_goes(alert, self._history.returns(alert), self._policy.flap_within / HOUR)
        self._release(AlertRow(notice), is_new=True)
        self._history.note_told(notice, self._now)
        return self._grouped(row, AlertRule.FLAPPING, notice.alert_id, "told as coming and going")

    def _cooling(self, row: AlertRow) -> AlertRow | None:
        """Quiet after an alert, unless this one is worse."""
        alert = row.alert
        if alert.event in CALMING_EVENTS or alert.event == UNACKNOWLEDGED or row.rule is AlertRule.CAP:
            return None
        told = self._history.told_since(alert, self._now - self._policy.cooldown)
        if not told or Severity(alert.severity).rank > max(Severity(past.severity).rank for past in told):
            return None
        last = max(past.decided_at for past in told if past.decided_at)
        until = last + self._policy.cooldown
        return self._suppressed(
            row,
            AlertRule.COOLDOWN,
            f"told at {last:%H:%M}; quiet until {until:%Y-%m-%d %H:%M} UTC unless it gets worse",
        )

    # ------------------------------------------------------------ alerts together

    def _add_reminders(self, opening: Alert) -> None:
        """What is said when nobody takes it, waiting for its time."""
        if ":" in opening.incident_id:
            return
        for number, level in enumerate(self._policy.levels):
            due = self._now + level.after
            for channel in level.channels:
                waiting = reminder(opening, number, due, channel)
                if not self._history.knows(waiting.alert_id):
                    why = f"sent if nobody took it until {due:%Y-%m-%d %H:%M} UTC"
                    self._added[waiting.alert_id] = self._held(AlertRow(waiting), due, AlertRule.ESCALATION, why)

    def _without_repeats(self, rows: Sequence[AlertRow]) -> list[AlertRow]:
        """Of several messages about one incident for one channel only the newest is sent, ends apart."""
        newest = {self._topic(row): row for row in rows}
        for row in rows:
            later = newest[self._topic(row)]
            if later is not row:
                self._keep(self._grouped(row, AlertRule.GROUPING, later.alert.alert_id, "a later message tells of it"))
        return list(newest.values())

    @staticmethod
    def _topic(row: AlertRow) -> tuple[str, ...]:
        return (row.alert.incident_id, row.alert.channel, row.alert.event if row.alert.event in CALMING_EVENTS else "")

    def _tell(self, rows: Sequence[AlertRow]) -> None:
        """Group what belongs together and send it, the worst first, up to the cap."""
        by_id = {row.alert.alert_id: row for row in rows}
        joined = self._join(by_id)
        rows = [row for row in rows if row.alert.alert_id not in joined]
        former = {key: told for key, row in by_id.items() if (told := self._former_group(row.alert))}
        single = [row.alert for row in rows if self._is_tracked(row.alert)]
        groups, alone = grouped([row.alert for row in rows if not self._is_tracked(row.alert)], self._policy, former)
        messages: list[tuple[Alert, bool]] = [(alert, False) for alert in (*single, *alone)]
        for group in groups:
            message = group_message(group.members, group.cause, group.former)
            messages.append((message, True))
            for member in group.members:
                why = f"told with {len(group.members) - 1} others: {group.cause}"
                self._keep(self._grouped(by_id[member.alert_id], AlertRule.GROUPING, message.alert_id, why))
        for alert, is_new in sorted(messages, key=lambda pair: _urgency(pair[0])):
            self._release(AlertRow(alert) if is_new else by_id[alert.alert_id], is_new=is_new)

    def _join(self, by_id: dict[str, AlertRow]) -> set[str]:
        """Attach what was found a step later to the group that was told of the same cause; says which that are."""
        joined = set()
        over = {row.alert.incident_id for row in self._added.values() if row.alert.event in ENDING_EVENTS}
        groups = [group for group in self._situation.groups if group.group_id not in over]
        for group, members in joining([row.alert for row in by_id.values()], groups, self._policy).items():
            why = f"joined {group.count} others that were told before: {group.cause}"
            for member in members:
                into = group.group_id.removeprefix(GROUP)
                self._keep(self._grouped(by_id[member.alert_id], AlertRule.GROUPING, into, why))
                joined.add(member.alert_id)
            self._release(AlertRow(joined_message(members, group)), is_new=True)
        return joined

    def _former_group(self, alert: Alert) -> str:
        told = self._history.told_beginning(alert) if alert.event not in BEGINNING_EVENTS else None
        return self._history.group_of(told) if told else ""

    def _tell_more(self, beyond_cap: dict[str, list[AlertRow]]) -> None:
        """One notice an hour about everything that was beyond the cap."""
        hour = clock_hour(self._now)
        for channel, rows in beyond_cap.items():
            if channel in self._situation.noticed:
                for row in rows:
                    self._keep(self._held(row, hour + HOUR, AlertRule.CAP, row.reason))
                continue
            notice = more_notice([row.alert for row in rows], hour, self._policy.max_per_hour)
            self._added[notice.alert_id] = self._pending(AlertRow(notice))
            for row in rows:
                self._keep(self._grouped(row, AlertRule.CAP, notice.alert_id, "told by the notice of the hour"))

    def _release(self, row: AlertRow, *, is_new: bool) -> None:
        """Let a message through, or hold it where its channel has had enough for this hour."""
        channel = row.alert.channel
        decided = self._pending(row)
        if not row.alert.incident_id.startswith(FREE_OF_RULES) and not self._is_tracked(row.alert):
            if self._released[channel] >= self._policy.max_per_hour:
                until = clock_hour(self._now) + HOUR
                why = f"{channel} had its {self._policy.max_per_hour} messages of this hour"
                decided = self._held(row, until, AlertRule.CAP, why)
            else:
                self._released[channel] += 1
        if is_new:
            self._added[row.alert.alert_id] = decided
        else:
            self._keep(decided)

    # ------------------------------------------------------------ new forms

    def _keep(self, row: AlertRow) -> None:
        self._changed[row.alert.alert_id] = row

    def _pending(self, row: AlertRow) -> AlertRow:
        return replace(
            row,
            state=AlertState.PENDING,
            rule=AlertRule.NONE,
            reason="",
            next_attempt_at=self._now,
            decided_at=self._now,
            tracked_as=tracked_as(row.alert) if row.alert.channel in self._policy.trackers else "",
        )

    def _held(self, row: AlertRow, until: datetime, rule: AlertRule, why: str) -> AlertRow:
        return replace(self._closed(row, AlertState.HELD, rule, why), next_attempt_at=until)

    def _closed(self, row: AlertRow, state: AlertState, rule: AlertRule, why: str) -> AlertRow:
        return replace(
            row, state=state, rule=rule, reason=why, next_attempt_at=None, decided_at=self._now, tracked_as=""
        )

    def _suppressed(self, row: AlertRow, rule: AlertRule, why: str) -> AlertRow:
        return self._closed(row, AlertState.SUPPRESSED, rule, why)

    def _grouped(self, row: AlertRow, rule: AlertRule, into: str, why: str) -> AlertRow:
        return replace(self._closed(row, AlertState.GROUPED, rule, why), grouped_into=into)


def _opening_of(reminder: Alert) -> str:
    return str(reminder.facts.get("opening", ""))


def _level_of(reminder: Alert) -> int:
    return int(str(reminder.facts.get("level", 0)))


_FINAL = frozenset({AlertState.MUTED, AlertState.SUPPRESSED, AlertState.GROUPED})


def _urgency(alert: Alert) -> tuple[int, datetime, str]:
    return (-Severity(alert.severity).rank, alert.created_at, alert.alert_id)
