"""Whatever happens in whatever order, and wherever a process dies: each step has one fate per channel."""

import shutil
from collections import Counter
from datetime import UTC, datetime, time, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.core.alert_rules.rules import decide
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentState
from dbplanmon_pipeline.core.model import Severity
from dbplanmon_pipeline.core.ports import Delivery
from dbplanmon_pipeline.core.ports.alert_rules import AlertState, MaintenanceWindow, MuteRule
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.alert_stories import HOUR, MINUTE, AlertStory, level
from dbplanmon_pipeline_tests.services.fleets import Interrupted

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
CHANNELS = ("dba", "ops")
ENDED = {"muted", "suppressed", "grouped", "delivered", "given_up"}
ACTS = ("open", "open many", "resolve", "reopen", "worsen", "take", "decide", "die", "send", "wait", "wait long")


class Life:
    """Plays acts, and remembers which steps were told of."""

    def __init__(self, folder) -> None:
        self.clock = FixedClock(NOON)
        self.store = open_store(f"sqlite:///{folder}/store.db", clock=self.clock)
        self.story = AlertStory(
            self.store, self.clock, *CHANNELS, max_per_hour=3, levels=(level(HOUR, *CHANNELS),), cooldown=2 * HOUR
        )
        self.standing: dict[str, Incident] = {}
        self.number = 0

    def play(self, act: str) -> None:
        getattr(self, act.replace(" ", "_"))()
        self.clock.advance(MINUTE)

    def open(self, count: int = 1) -> None:
        numbers = range(self.number + 1, self.number + count + 1)
        self.number += count
        self._keep(self.story.open(*numbers, causes=("statistics",) if count > 1 else ()))

    def open_many(self) -> None:
        self.open(4)

    def resolve(self) -> None:
        self._keep(self.story.resolve(*self._those(open_ones=True)))

    def reopen(self) -> None:
        self._keep(self.story.reopen(*self._those(open_ones=False)[:2]))

    def worsen(self) -> None:
        for one in self._those(open_ones=True)[:1]:
            self._keep([self.story.worsen(one, Severity.CRITICAL)])

    def take(self) -> None:
        fresh = [one for one in self._those(open_ones=True) if one.state is IncidentState.NEW]
        self._keep([self.story.take(one) for one in fresh[:1]])

    def decide(self) -> None:
        self.story.decide()

    def die(self) -> None:
        """The process ends after its decisions, before the end of its transaction."""

        def decide_and_die(situation):
            decide(situation, self.story.policy)
            raise Interrupted

        before = self.store.alert_rows(limit=10_000)
        try:
            self.store.decide_alerts(self.clock(), 100, decide_and_die)
        except Interrupted:
            assert self.store.alert_rows(limit=10_000) == before

    def send(self) -> None:
        due = self.store.pending_alerts(self.clock(), 1_000)
        self.store.record_deliveries([Delivery(alert.alert_id, self.clock(), succeeded=True) for alert in due])

    def wait(self) -> None:
        self.clock.advance(40 * MINUTE)

    def wait_long(self) -> None:
        self.clock.advance(5 * HOUR)

    def end(self) -> None:
        """Long after: nothing waits for anything any more."""
        for _ in range(8):
            self.clock.advance(timedelta(hours=29))
            self.decide()
            self.send()

    def _keep(self, incidents) -> None:
        self.standing.update((one.incident_id, one) for one in incidents)

    def _those(self, *, open_ones: bool) -> list[Incident]:
        return [one for one in self.standing.values() if one.state.is_open == open_ones]


def _step(alert):
    """Reminders of several beginnings may fall on one moment."""
    opening = alert.facts.get("opening", "")
    return (alert.incident_id, alert.event, alert.created_at, alert.channel, opening)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=st.lists(st.sampled_from(ACTS), min_size=4, max_size=25), muted=st.booleans(), quiet=st.booleans())
def test_each_step_ends_in_one_state_per_channel(migrated_file, tmp_path_factory, acts, muted, quiet):
    folder = tmp_path_factory.mktemp("life")
    shutil.copy(migrated_file, folder)
    life = Life(folder)
    if muted:
        life.store.add_mute(MuteRule("m", NOON, "ann", "known", query_hash=1, expires_at=NOON + 6 * HOUR))
    if quiet:
        window = MaintenanceWindow("w", frozenset(range(7)), time(13), time(15), "UTC", NOON, "ann", "patches")
        life.store.add_window(window)
    for act in acts:
        life.play(act)
    life.end()
    rows = life.store.alert_rows(limit=100_000)
    by_id = {row.alert.alert_id: row for row in rows}
    assert {row.state.value for row in rows} <= ENDED
    steps = Counter(_step(row.alert) for row in rows)
    assert set(steps.values()) <= {1}
    for row in rows:
        if row.state is AlertState.GROUPED:
            assert by_id[row.grouped_into].state in (AlertState.DELIVERED, AlertState.GROUPED)
        elif row.state is not AlertState.DELIVERED:
            assert row.reason
    for channel in CHANNELS:
        per_hour = Counter(
            (r.decided_at.date(), r.decided_at.hour)
            for r in rows
            if r.alert.channel == channel and r.state is AlertState.DELIVERED and r.alert.event != "more"
        )
        assert max(per_hour.values(), default=0) <= life.story.policy.max_per_hour
    assert not life.store.decisions_due(life.clock() + timedelta(days=30))
    life.store.close()
