"""Whatever happens, in whatever order: nothing stays open at PagerDuty, and nothing ends there that is not over."""

import random
import shutil
from dataclasses import replace
from datetime import time, timedelta

import pytest

from dbplanmon_pipeline.core.alert_rules.messages import GROUP
from dbplanmon_pipeline.core.alerts.delivery_policy import ENDING_EVENTS
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Alert, Delivery
from dbplanmon_pipeline.core.ports.alert_rules import AlertRow, MaintenanceWindow, MuteRule
from dbplanmon_pipeline.notify.message import message_of
from dbplanmon_pipeline.notify.pagerduty import pagerduty_event
from dbplanmon_pipeline.services.decide_incident import decide_incident
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.alert_stories import HOUR, MINUTE, AlertStory, level
from dbplanmon_pipeline_tests.services.paged_stories import NOON

STEPS = 40
ACTS = ("open", "open_many", "open_for_a_cause", "end", "end", "reopen", "worsen", "decide", "breach", "nothing")
PACES = (MINUTE, 5 * MINUTE, 20 * MINUTE, HOUR)
MUTE = MuteRule("m", NOON, "ann", "known", instance="s0")
WINDOW = MaintenanceWindow("w", frozenset(range(7)), time(15), time(18), "UTC", NOON, "ann", "patches", instance="s1")


class Walk:
    """Plays acts by chance, and PagerDuty, which knows nothing but the events it took."""

    def __init__(self, store: SqlStore, clock: FixedClock, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.store, self.clock = store, clock
        self.story = AlertStory(
            store,
            clock,
            trackers=frozenset({"dba"}),
            max_per_hour=chance.choice([1, 2, 3, 10]),
            cooldown=chance.choice([timedelta(), HOUR, 4 * HOUR]),
            levels=chance.choice([(), (level(HOUR),)]),
        )
        self.standing: dict[str, Incident] = {}
        self.breached = False
        self.open_keys: set[str] = set()
        self.seen: set[str] = set()
        self.too_early: list[str] = []

    def run(self) -> None:
        for step in range(STEPS):
            getattr(self, self.chance.choice(ACTS))()
            if step == 10 and self.chance.random() < 0.5:
                self.store.add_mute(MUTE)
            if step == 15 and self.chance.random() < 0.5:
                self.store.add_window(WINDOW)
            self.pass_over(self.chance.choice(PACES), taken=self.chance.choice([1.0, 1.0, 0.7, 0.0]))
        self.keep(self.story.resolve(*self.those(open_ones=True)))
        if self.breached:
            self.breach()
        for _ in range(36):
            self.pass_over(HOUR, taken=1.0)

    # ------------------------------------------------------------ acts

    def open(self) -> None:
        self.keep(self.story.open(*self.numbers(1), instance=f"s{self.chance.randrange(3)}"))

    def open_many(self) -> None:
        self.keep(self.story.open(*self.numbers(6)))

    def open_for_a_cause(self) -> None:
        self.keep(self.story.open(*self.numbers(self.chance.randrange(1, 4)), causes=("statistics",)))

    def end(self) -> None:
        self.keep(self.story.resolve(*self.some(self.those(open_ones=True))))

    def reopen(self) -> None:
        self.keep(self.story.reopen(*self.some(self.those(open_ones=False))[:3]))

    def worsen(self) -> None:
        worse = [replace(one, severity=Severity.CRITICAL) for one in self.some(self.those(open_ones=True))]
        self.story.step(IncidentEvent.ESCALATED, *worse)
        self.keep(worse)

    def decide(self) -> None:
        for one in self.some([found for found in self.those(open_ones=True) if found.state is IncidentState.NEW])[:1]:
            event = self.chance.choice([IncidentEvent.RESOLVED, IncidentEvent.DISMISSED, IncidentEvent.ACKNOWLEDGED])
            change = decide_incident(
                self.store,
                one.incident_id,
                event,
                actor="ann",
                at=self.clock(),
                trackers=self.chance.choice(["dba", ()]),
            )
            self.keep([change.incident])

    def breach(self) -> None:
        """A figure gets bad, or well again."""
        event = "auto_resolved" if self.breached else "opened"
        key = f"kpi {event} {self.clock():%d %H:%M}"
        facts = {"scope": "kpi", "instance": "s2"}
        self.store.add_alerts([Alert(key, "kpi:orders", event, "dba", "high", self.clock(), event, event, facts)])
        self.breached = not self.breached

    def nothing(self) -> None:
        pass

    # ------------------------------------------------------------ what follows

    def pass_over(self, by: timedelta, *, taken: float) -> None:
        """Decide, and let PagerDuty take its share of what is due."""
        self.story.decide(by)
        due = self.store.pending_alerts(self.clock(), 10_000)
        self.look_for_early_ends([alert for alert in due if alert.alert_id not in self.seen])
        self.seen |= {alert.alert_id for alert in due}
        for alert in due:
            fate = self.chance.random()
            if fate < taken:
                self.take(alert)
            elif fate > 0.97:
                self.store.record_deliveries([Delivery(alert.alert_id, self.clock(), False, "gone")])
            else:
                break  # what is behind it waits, too

    def take(self, alert: Alert) -> None:
        self.store.record_deliveries([Delivery(alert.alert_id, self.clock(), True)])
        event = pagerduty_event(alert, message_of(alert))
        if event["event_action"] == "trigger":
            self.open_keys.add(str(event["dedup_key"]))
        elif event["event_action"] == "resolve":
            self.open_keys.discard(str(event["dedup_key"]))

    def look_for_early_ends(self, fresh: list[Alert]) -> None:
        ends = [alert for alert in fresh if alert.event in ENDING_EVENTS]
        if ends:
            rows = self.store.alert_rows(limit=100_000)
            self.too_early += [
                f"{end.incident_id}: {self.still_bad(rows, end)}" for end in ends if self.still_bad(rows, end)
            ]

    def still_bad(self, rows: list[AlertRow], end: Alert) -> list[str]:
        """What is not over of what was told under the key of an end, as somebody would follow it by hand."""
        told = [row for row in rows if end.incident_id in (row.alert.incident_id, row.alert.facts.get("former"))]
        found = {row.alert.alert_id for row in told}
        while told:
            heads = {row.alert.alert_id for row in told}
            heads |= {row.alert.incident_id.removeprefix(GROUP) for row in told}
            told = [row for row in rows if row.grouped_into in heads and row.alert.alert_id not in found]
            found |= {row.alert.alert_id for row in told}
        about = {row.alert.incident_id for row in rows if row.alert.alert_id in found}
        bad = {one.incident_id for one in self.those(open_ones=True)} | ({"kpi:orders"} if self.breached else set())
        return sorted(about & bad)

    def keep(self, incidents) -> None:
        self.standing.update((one.incident_id, one) for one in incidents)

    def those(self, *, open_ones: bool) -> list[Incident]:
        return [one for one in self.standing.values() if one.state.is_open == open_ones]

    def some(self, incidents: list[Incident]) -> list[Incident]:
        return self.chance.sample(incidents, self.chance.randrange(1, len(incidents) + 1)) if incidents else []

    def numbers(self, count: int) -> range:
        return range(len(self.standing) + 1, len(self.standing) + 1 + count)


@pytest.mark.parametrize("seed", range(4))
def test_every_key_ends_and_none_too_early(migrated_file, tmp_path, seed):
    shutil.copy(migrated_file, tmp_path / "store.db")
    clock = FixedClock(NOON)
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=clock)
    walk = Walk(store, clock, seed)
    walk.run()
    tracked = [row for row in store.alert_rows(limit=100_000) if row.tracked_as and row.state != "given_up"]
    store.close()
    assert walk.seen
    assert tracked == []
    assert walk.open_keys == set()
    assert walk.too_early == []


@pytest.mark.postgres
def test_every_key_ends_and_none_too_early_on_postgresql(postgres_server, postgres_database):
    clock = FixedClock(NOON)
    store = open_store(postgres_server.url(postgres_database), clock=clock)
    store.upgrade()
    walk = Walk(store, clock, 100)
    walk.run()
    tracked = [row for row in store.alert_rows(limit=100_000) if row.tracked_as and row.state != "given_up"]
    store.close()
    assert walk.seen
    assert tracked == []
    assert walk.open_keys == set()
    assert walk.too_early == []
