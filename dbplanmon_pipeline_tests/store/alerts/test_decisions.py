"""Contract: decisions about alerts are stored all or none, once, however many processes decide."""

import threading
from dataclasses import replace
from datetime import time, timedelta

import pytest
from sqlalchemy import event

from dbplanmon_pipeline.core.alert_rules.policy import AlertPolicy
from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import StatementText
from dbplanmon_pipeline.core.ports import Alert
from dbplanmon_pipeline.core.ports.alert_rules import (
    AlertRow,
    AlertRule,
    AlertState,
    Decisions,
    MaintenanceWindow,
    MuteRule,
    TrackedEnds,
)
from dbplanmon_pipeline.services.decide_alerts import decide_alerts
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, NOON, SALES, collected, incident

POLICY = AlertPolicy()


def alert(number: int, at=NOON, channel="dba", **facts) -> Alert:
    return Alert(
        f"a{number}-{channel}", f"{number:012x}", "opened", channel, "high", at, f"[high] {number}", "body", facts
    )


def held(situation) -> Decisions:
    """Everything waits for five minutes."""
    return Decisions(
        tuple(
            replace(
                row,
                state=AlertState.HELD,
                rule=AlertRule.MAINTENANCE,
                reason="wait",
                next_attempt_at=situation.now + FIVE_MINUTES,
                decided_at=situation.now,
            )
            for row in situation.due
        ),
        (AlertRow(alert(99), AlertState.PENDING, next_attempt_at=situation.now, decided_at=situation.now),),
    )


def test_decisions_are_stored_and_new_alerts_added(store: SqlStore) -> None:
    store.add_alerts([alert(1), alert(2)])
    store.decide_alerts(NOON, 10, held)
    rows = {row.alert.alert_id: row for row in store.alert_rows()}
    assert (rows["a1-dba"].state, rows["a1-dba"].rule, rows["a1-dba"].reason) == ("held", "maintenance", "wait")
    assert rows["a1-dba"].next_attempt_at == NOON + FIVE_MINUTES
    assert [one.alert_id for one in store.pending_alerts(NOON, 10)] == ["a99-dba"]
    assert store.due_channels(NOON + FIVE_MINUTES) == {"dba": 1}, "what is held is not sent"
    assert store.alert_decisions() == {
        (AlertState.HELD, AlertRule.MAINTENANCE): 2,
        (AlertState.PENDING, AlertRule.NONE): 1,
    }
    assert store.decide_alerts(NOON, 10, held) == Decisions()
    assert len(store.decide_alerts(NOON + FIVE_MINUTES, 10, held).changed) == 2


def test_a_failure_while_deciding_changes_nothing(store: SqlStore) -> None:
    store.add_alerts([alert(1)])

    def fail(situation):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.decide_alerts(NOON, 10, fail)
    (row,) = store.alert_rows()
    assert row.decided_at is None


def test_alerts_of_one_step_are_given_together_however_small_the_batch(store: SqlStore) -> None:
    store.add_alerts([alert(n, instance="alpha") for n in range(1, 8)] + [alert(8, NOON + FIVE_MINUTES)])
    seen = []

    def look(situation):
        seen.append(len(situation.due))
        return Decisions()

    store.decide_alerts(NOON, 3, look)
    assert seen == [7]


def test_what_a_decision_depends_on_is_given(store: SqlStore) -> None:
    step = IncidentChange(IncidentEvent.OPENED, incident(incident_id=f"{1:012x}", query_hash=7), NOON)
    store.save_incident_changes([step])
    text = StatementText(7, "SELECT * FROM a_very_long_name_of_a_table")
    store.record([collected(SALES, NOON, [7], texts=[text])])
    store.add_mute(MuteRule("m1", NOON, "ann", "", text="long_name"))
    store.add_mute(MuteRule("m2", NOON, "ann", "", label="contention", expires_at=NOON))
    window = MaintenanceWindow("w", frozenset({0, 6}), time(22), time(2, 30), "Europe/Berlin", NOON, "ann", "")
    store.add_window(window)
    store.add_alerts([alert(5), alert(6, channel="ops")], decided_at=NOON)
    store.add_alerts([alert(1, instance="alpha", database="Sales", query_hash="0000000000000007")])
    situations = []
    store.decide_alerts(NOON, 10, lambda situation: situations.append(situation) or Decisions())
    (found,) = situations
    assert list(found.incidents) == [f"{1:012x}"]
    assert found.released == {"dba": 1}
    assert [mute.mute_id for mute in found.mutes] == ["m1"]
    assert found.windows == [window]
    assert found.texts[f"{1:012x}"].text == text.text
    assert [past.alert_id for past in found.past] == ["a1-dba"]


def test_while_a_channel_keeps_nothing_open_one_look_is_enough(store: SqlStore) -> None:
    store.add_alerts([alert(1)], decided_at=NOON)
    said: list[str] = []
    event.listen(store._database.engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    assert store.end_tracked(NOON, ["dba"], lambda keys: TrackedEnds()) == TrackedEnds()
    assert len([one for one in said if one.startswith("SELECT")]) == 1


def test_what_is_open_is_given_with_all_that_was_told_under_it(store: SqlStore, clock) -> None:
    policy = AlertPolicy(trackers=frozenset({"dba"}))
    closed = [
        incident(incident_id=f"{number:012x}", query_hash=number, state=IncidentState.RESOLVED)
        for number in range(1, 8)
    ]
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, one, NOON) for one in closed])
    store.add_alerts([alert(n, instance="alpha", scope="query") for n in range(1, 7)])
    store.add_alerts([alert(7, instance="beta", scope="query")])
    clock.moment = NOON
    decide_alerts(store, policy, now=clock)
    keys = {key.key.partition(":")[0]: key for key in store.tracked_keys(["dba"])}
    assert sorted(keys) == [f"{7:012x}", "group"]
    assert sorted(about for key in keys.values() for about in key.told) == [f"{number:012x}" for number in range(1, 8)]
    assert all(set(key.incidents) == set(key.told) for key in keys.values())
    assert all(message.state is AlertState.PENDING for key in keys.values() for message in key.messages)
    assert store.tracked_keys(["ops"]) == []


def test_what_is_settled_is_given_no_more(store: SqlStore) -> None:
    store.add_alerts([alert(1)])
    store.decide_alerts(NOON, 10, lambda found: Decisions(tuple(replace(row, tracked_as="x") for row in found.due)))
    (key,) = store.tracked_keys(["dba"])
    assert (key.key, [message.alert_id for message in key.messages]) == ("x", ["a1-dba"])
    store.end_tracked(NOON, ["dba"], lambda keys: TrackedEnds(settled=("a1-dba",)))
    assert store.tracked_keys(["dba"]) == []


def test_processes_that_decide_at_the_same_time_never_decide_twice(store: SqlStore, clock) -> None:
    store.add_alerts([alert(n, instance=f"server{n}") for n in range(40)])
    clock.moment = NOON + timedelta(minutes=1)
    reports, errors = [], []

    def work():
        try:
            reports.append(decide_alerts(store, POLICY, now=clock, batch=3))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(report.let_through for report in reports) == POLICY.max_per_hour
    counts = store.alert_decisions()
    assert counts[AlertState.PENDING, AlertRule.NONE] == POLICY.max_per_hour
    assert counts[AlertState.HELD, AlertRule.CAP] == 40 - POLICY.max_per_hour
