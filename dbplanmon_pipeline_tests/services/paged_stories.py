"""Stories whose only channel is PagerDuty, behind a real socket."""

import json
from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.ports import Alert, Delivery
from dbplanmon_pipeline.notify import PagerDutyChannel
from dbplanmon_pipeline.services.process_alerts import process_alerts
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.alert_stories import HOUR, MINUTE, AlertStory

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
"""A Monday."""


class PagedStory(AlertStory):
    """A story whose only channel is PagerDuty, behind a real socket."""

    def __init__(self, store: SqlStore, clock: FixedClock, port: int, seen: list, **policy: object) -> None:
        super().__init__(store, clock, **{"trackers": frozenset({"dba"}), **policy})
        self._channel = PagerDutyChannel("dba", lambda: "R0UT1NG", base_url=lambda: f"http://127.0.0.1:{port}")
        self._seen = seen

    def go_on(self, by: timedelta = MINUTE) -> None:
        self.decide(by)
        process_alerts(self.store, [self._channel], now=self.clock)

    def fail_all(self) -> None:
        """Nothing that is due is taken, and none of it is tried again."""
        due = self.store.pending_alerts(self.clock(), 1_000)
        self.store.record_deliveries([Delivery(one.alert_id, self.clock(), False, "refused") for one in due])

    def alert(self, event: IncidentEvent, one: Incident) -> Alert:
        """What is queued about a step whose incident is not stored yet."""
        return self._alert(IncidentChange(event, one, self.clock()), "dba", ())

    def events(self) -> list[tuple[str, str]]:
        """Action and key of each event, in the order they arrived."""
        documents = [json.loads(body) for _, _, body in self._seen]
        return [(document["event_action"], document["dedup_key"]) for document in documents]

    def open_keys(self) -> set[str]:
        """Alerts that stand open at PagerDuty now."""
        found: set[str] = set()
        for action, key in self.events():
            if action == "trigger":
                found.add(key)
            elif action == "resolve":
                found.discard(key)
        return found

    def open_apart(self, count: int) -> list[Incident]:
        """Incidents that nothing joins, an instance each."""
        return [self.open(number, instance=f"prod-{number}")[0] for number in range(1, count + 1)]

    def capped(self, count: int) -> tuple[str, list[Incident]]:
        """A notice, and the incidents that only it told of: all but one, which was told by itself."""
        incidents = self.open_apart(count)
        self.go_on()
        self.go_on(HOUR)
        (notice,) = [key for key in self.open_keys() if key.startswith("more:")]
        return notice, [one for one in incidents if one.incident_id not in self.open_keys()]
