"""Alerts of made-up incidents on a real store, a clock, and passes over them."""

from dataclasses import replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.alert_rules.policy import AlertPolicy, EscalationLevel
from dbplanmon_pipeline.core.alerts.incident_alerts import ALERTING_EVENTS, alert_for
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import Severity, StatementText
from dbplanmon_pipeline.core.ports.alert_rules import AlertRow, AlertState
from dbplanmon_pipeline.services.decide_alerts import DecisionReport, decide_alerts
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
TOLD = (AlertState.PENDING, AlertState.DELIVERED)


def level(after: timedelta = HOUR, *channels: str, least: Severity = Severity.LOW) -> EscalationLevel:
    return EscalationLevel(after, channels or ("dba",), least)


def incident(number: int, now: datetime, **changes: object) -> Incident:
    plain = replace(
        PLAN_REGRESSION,
        incident_id=f"{number:012x}",
        query_hash=number,
        # Another plan counts as a flip; most tests are not about those.
        previous_plan_hash=0,
        began_at=now,
        opened_at=now,
        updated_at=now,
        last_bad_at=now,
    )
    return replace(plain, **changes)


class AlertStory:
    """A queue, its incidents, and what becomes of them."""

    def __init__(self, store: SqlStore, clock: FixedClock, *channels: str, **policy: object) -> None:
        self.store = store
        self.clock = clock
        self.channels = channels or ("dba",)
        self.policy = AlertPolicy(**policy)

    def step(
        self, event: IncidentEvent, *incidents: Incident, causes: tuple[str, ...] = (), at: datetime | None = None
    ) -> None:
        """One step of each of some incidents, in one evaluation, as an analysis stores it."""
        moment = at or self.clock()
        changes = [IncidentChange(event, replace(one, updated_at=moment), moment) for one in incidents]
        if event in ALERTING_EVENTS:
            self.store.add_alerts([self._alert(c, channel, causes) for c in changes for channel in self.channels])
        self.store.save_incident_changes(changes)

    def open(self, *numbers: int, causes: tuple[str, ...] = (), **changes: object) -> list[Incident]:
        found = [incident(number, self.clock(), **changes) for number in numbers]
        self.step(IncidentEvent.OPENED, *found, causes=causes)
        return found

    def resolve(self, *incidents: Incident) -> list[Incident]:
        found = [replace(one, state=IncidentState.AUTO_RESOLVED, closed_at=self.clock()) for one in incidents]
        self.step(IncidentEvent.AUTO_RESOLVED, *found)
        return found

    def reopen(self, *incidents: Incident) -> list[Incident]:
        found = [
            replace(one, state=IncidentState.NEW, closed_at=None, reopened_count=one.reopened_count + 1)
            for one in incidents
        ]
        self.step(IncidentEvent.REOPENED, *found)
        return found

    def worsen(self, one: Incident, severity: Severity) -> Incident:
        worse = replace(one, severity=severity)
        self.step(IncidentEvent.ESCALATED, worse)
        return worse

    def take(self, one: Incident) -> Incident:
        taken = replace(one, state=IncidentState.ACKNOWLEDGED)
        self.step(IncidentEvent.ACKNOWLEDGED, taken)
        return taken

    def decide(self, by: timedelta = timedelta()) -> DecisionReport:
        self.clock.advance(by)
        return decide_alerts(self.store, self.policy, now=self.clock)

    def rows(self, event: str = "", channel: str = "") -> list[AlertRow]:
        """Oldest first; reminders that wait are left out unless asked for."""
        found = self.store.alert_rows(limit=100_000)[::-1]
        return [
            row
            for row in found
            if (row.alert.event == event if event else not _waits_for_nobody(row))
            and channel in ("", row.alert.channel)
        ]

    def told(self, channel: str = "dba") -> list[str]:
        """Events of the messages a channel gets, in the order in which they are let through."""
        rows = [r for r in self.rows(channel=channel) if r.state in TOLD and r.decided_at is not None]
        rows += [r for r in self.rows("unacknowledged", channel) if r.state in TOLD]
        unique = {r.alert.alert_id: r for r in rows}.values()
        return [r.alert.event for r in sorted(unique, key=lambda r: (r.decided_at, r.alert.alert_id))]

    def fates(self, event: str) -> list[tuple[str, str]]:
        return [(row.state.value, row.rule.value) for row in self.rows(event)]

    def _alert(self, change: IncidentChange, channel: str, causes: tuple[str, ...]):
        return alert_for(
            change,
            channel=channel,
            statement=StatementText(change.incident.query_hash, f"SELECT {change.incident.query_hash} FROM orders"),
            plan_summary="",
            plan_lines=(),
            context_lines=(),
            suggestion=None,
            command=f"dbplanmon incidents show {change.incident.incident_id}",
            link=None,
            causes=causes,
        )


def _waits_for_nobody(row: AlertRow) -> bool:
    return row.alert.event == "unacknowledged"
