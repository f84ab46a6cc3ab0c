"""Deciding about alerts in a large store. Run with `... .bench --only bench_alerts`."""

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dbplanmon_pipeline.core.alert_rules.policy import AlertPolicy, EscalationLevel
from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import MuteRule
from dbplanmon_pipeline.services.decide_alerts import decide_alerts
from dbplanmon_pipeline.services.process_alerts import process_alerts
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock, RecordingChannel
from dbplanmon_pipeline_tests.bench.figures import Row, spend
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION

NAME = "Alerts (SQLite)"
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
INCIDENTS, ALERTS, FRESH, CHANNELS, PENDING = 10_000, 50_000, 500, 5, 10_000
POLICY = AlertPolicy(levels=(EscalationLevel(timedelta(hours=1), ("channel0",)),))
INSTANCES = 200


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        clock = FixedClock(NOON)
        store = open_store(f"sqlite:///{Path(name)}/store.db", clock=clock)
        store.upgrade()
        _fill(store)
        rows = list(_passes(store, clock))
        store.close()
    return rows


def _passes(store: SqlStore, clock: FixedClock) -> Iterator[Row]:
    size = f"{INCIDENTS:,} open incidents and {ALERTS:,} alerts"
    yield Row(f"nothing due: {size}, wall", spend(lambda: store.decisions_due(clock()), times=20).wall, "s")
    idle = spend(lambda: decide_alerts(store, POLICY, now=clock), times=5)
    yield Row("a pass without anything to decide, wall", idle.wall, "s", "<= 2")
    store.add_alerts([_alert(number, "opened", clock()) for number in range(FRESH)])
    step = spend(lambda: decide_alerts(store, POLICY, now=clock))
    yield Row(f"a pass over {FRESH} new alerts of one step, wall", step.wall, "s", "<= 2")
    clock.advance(timedelta(hours=1))
    later = spend(lambda: decide_alerts(store, POLICY, now=clock))
    yield Row("a pass an hour later: reminders and the notice, wall", later.wall, "s", "<= 2")
    store.add_mute(MuteRule("m", NOON, "bench", "", text="customers"))
    for minute in range(20):
        moment = clock() + timedelta(minutes=minute)
        store.add_alerts([_alert(number, "reopened", moment) for number in range(FRESH)])
    backlog = spend(lambda: decide_alerts(store, POLICY, now=clock))
    yield Row(f"a pass over {20 * FRESH:,} alerts left lying, with a mute rule on texts, CPU", backlog.cpu, "s")
    names = [f"channel{number}" for number in range(CHANNELS)]
    with store._database.write() as connection:
        connection.exec_driver_sql(
            f"UPDATE alert SET state = 'pending', next_attempt_at = created_at, decided_at = created_at "
            f"WHERE incident_id < '{PENDING // CHANNELS:012x}' AND event = 'opened' AND state = 'delivered'"
        )
    process_alerts(store, [], now=lambda: NOON - timedelta(days=2))  # what is imported late is no part of a pass
    sent = spend(lambda: process_alerts(store, [RecordingChannel(name) for name in names], now=clock))
    yield Row(
        f"deliver {CHANNELS} times 100 of {PENDING:,} pending alerts, channels that cost nothing, CPU", sent.cpu, "s"
    )


def _fill(store: SqlStore) -> None:
    """Incidents of a day, five alerts each, all of them delivered."""
    began = NOON - timedelta(days=1)
    for first in range(0, INCIDENTS, 1_000):
        numbers = range(first, first + 1_000)
        incidents = [
            replace(
                PLAN_REGRESSION,
                incident_id=f"{number:012x}",
                instance=f"server{number % INSTANCES}",
                query_hash=number + 1,
                opened_at=began,
                updated_at=began,
            )
            for number in numbers
        ]
        store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, one, began) for one in incidents])
        alerts = [_alert(n, "opened", began, channel) for n in numbers for channel in range(ALERTS // INCIDENTS)]
        store.add_alerts(alerts, decided_at=began)
        _deliver(store, alerts)


def _deliver(store: SqlStore, alerts: list[Alert]) -> None:
    # One transaction per attempt would take minutes; how the rows came there does not matter here.
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE alert SET state = 'delivered', next_attempt_at = NULL")
    assert alerts


def _alert(number: int, event: str, at: datetime, channel: int = 0) -> Alert:
    facts = {
        "scope": "query",
        "instance": f"server{number % INSTANCES}",
        "database": "Shop",
        "query_hash": f"{number + 1:016x}",
        "label": "plan_regression",
        "statement": "SELECT total FROM orders WHERE owner_id = @p1",
        "causes": [],
    }
    key = f"{event}-{number}-{channel}-{at.isoformat()}"
    return Alert(key, f"{number:012x}", event, f"channel{channel}", "high", at, f"[high] {key}", "body " * 200, facts)
