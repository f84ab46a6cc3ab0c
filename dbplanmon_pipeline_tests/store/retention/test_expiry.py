"""What makes a row superfluous: its age alone never, where something that stays needs it."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent, IncidentScope, IncidentState
from dbplanmon_pipeline.core.model import CapturedPlan, StatementText
from dbplanmon_pipeline.core.ports import Alert, Delivery, ImportedDay, ImportStatus, PlanChange
from dbplanmon_pipeline.core.ports.alert_rules import AlertState, Decisions
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.store.samples import CRM, FIVE_MINUTES, HR, NOON, SALES, collected, incident, ticks
from dbplanmon_pipeline_tests.store.test_records import baselines

DAY = timedelta(days=1)
LIMIT = NOON + DAY


@pytest.fixture
def store(migrated_file: Path, tmp_path: Path, clock) -> Iterator[SqlStore]:
    """On SQLite only: the conditions are the same expressions on both engines, and removal has its tests on both."""
    shutil.copy(migrated_file, tmp_path / "store.db")
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=clock)
    yield store
    store.close()


def plan(plan_hash: int) -> CapturedPlan:
    return CapturedPlan(-5, plan_hash, "pg_json", "explain", '{"Plan": {}}', "")


def record_plans(store: SqlStore, ref, hashes, at=NOON) -> None:
    """One statement, seen with each of these plans at a moment of its own."""
    for number, plan_hash in enumerate(hashes):
        moment = at + number * FIVE_MINUTES
        before = moment - FIVE_MINUTES if number else None
        store.record([collected(ref, moment, [-5], previous=before, plan_hash=plan_hash, plans=[plan(plan_hash)])])


def open_incident(store: SqlStore, **changes) -> None:
    found = incident(**changes)
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, found, found.opened_at)])


def hashes(store: SqlStore, table: str, column: str) -> list:
    with store._database.read() as connection:
        return sorted(connection.exec_driver_sql(f"SELECT {column} FROM {table}").scalars())


def forget(store: SqlStore, *tables: str) -> None:
    with store._database.write() as connection:
        for table in tables:
            connection.exec_driver_sql(f"DELETE FROM {table}")


@pytest.mark.parametrize(
    ("namer", "kept"),
    [
        (lambda store: None, []),
        (lambda store: open_incident(store, query_hash=99, plan_hash=2, previous_plan_hash=3), [2, 3]),
        (lambda store: store.save_plan_changes([PlanChange(HR, 99, NOON, 3, 4)]), [3, 4]),
    ],
    ids=["nothing", "an incident", "a plan change"],
)
def test_old_plans_stay_while_something_names_them(store: SqlStore, clock, namer, kept) -> None:
    clock.moment = NOON
    record_plans(store, SALES, [1, 2, 3, 4])
    namer(store)
    store.purge("plan_observation", LIMIT)
    store.purge("plan", LIMIT)
    assert hashes(store, "plan", "plan_hash") == kept


def test_a_plan_stays_while_a_statement_runs_with_it(store: SqlStore, clock) -> None:
    clock.moment = NOON
    record_plans(store, SALES, [1, 2, 3])
    store.record([collected(SALES, LIMIT, [-5], previous=NOON + 2 * FIVE_MINUTES, plan_hash=2)])
    forget(store, "plan_observation")
    store.purge("plan", LIMIT)
    assert hashes(store, "plan", "plan_hash") == [2]
    assert store.expired("plan", LIMIT + DAY) == 1


def test_a_plan_stays_while_it_was_seen_lately_though_another_one_runs_now(store: SqlStore) -> None:
    record_plans(store, SALES, [2, 1])
    for number, plan_hash in enumerate([1, 3]):
        before = NOON + FIVE_MINUTES if not number else LIMIT
        item = collected(SALES, LIMIT + number * FIVE_MINUTES, [-5], previous=before, plan_hash=plan_hash)
        store.record([replace(item, plans=(plan(plan_hash),))])
    store.purge("plan_observation", LIMIT)
    store.purge("plan", LIMIT)
    assert hashes(store, "plan", "plan_hash") == [1, 3]


def test_a_plan_that_is_young_stays_though_nothing_names_it(store: SqlStore) -> None:
    store.record([collected(SALES, LIMIT, [-5], plan_hash=1, plans=[plan(1)])])
    forget(store, "plan_observation", "query")
    assert [store.expired("plan", limit) for limit in (LIMIT, LIMIT + DAY)] == [0, 1]


def test_a_text_stays_while_one_of_its_statements_does(store: SqlStore, clock) -> None:
    clock.moment = NOON
    text = StatementText(-5, "SELECT 1", "select")
    for ref in (SALES, HR):
        store.record([collected(ref, NOON, [-5], texts=[text])])
    open_incident(store)
    assert store.purge("query", LIMIT) == 1
    assert store.expired("query_text", LIMIT) == 0
    assert store.statement_texts([(SALES, -5)])[SALES, -5].text == "SELECT 1"


def test_the_newest_baseline_stays_while_its_statement_is_known(store: SqlStore, clock) -> None:
    clock.moment = NOON
    for item in ticks(SALES, NOON, 1, [1, 2]):
        store.record([item])
    everything = [(1, 1), (1, 9), (1, OTHER_STATEMENTS), (7, 3)]
    store.save_baselines(baselines(NOON - DAY, everything))
    store.save_baselines(baselines(NOON, everything))
    store.save_baselines(baselines(LIMIT + DAY, [(1, 2)]))
    store.save_baselines(baselines(LIMIT + 2 * DAY, [(1, 2)]))
    # Each older version, and the newest one of a statement that a database with others no longer knows.
    assert store.purge("baseline", LIMIT) == 4 + 1
    left = store.baselines(LIMIT, "v1").table
    assert sorted(zip(left["database_id"].tolist(), left["query_hash"].tolist(), strict=True)) == sorted(
        [(1, 1), (1, OTHER_STATEMENTS), (7, 3)]
    )
    assert store.expired("baseline", LIMIT + 3 * DAY) == 1


def test_older_values_of_facts_stay_while_their_database_is_in_trouble(store: SqlStore, clock) -> None:
    clock.moment = NOON
    for ref in (SALES, HR, CRM):
        for number in range(2):
            moment = NOON + number * DAY / 2
            item = collected(ref, moment, [1], previous=NOON if number else None)
            store.record([replace(item, facts={"setting work_mem": str(number)}, facts_are_whole=True)])
    assert store.expired("database_fact", LIMIT) == 3
    open_incident(store)
    assert store.expired("database_fact", LIMIT) == 2
    everywhere = {"scope": IncidentScope.INSTANCE, "instance": CRM.instance, "database": "", "query_hash": 0}
    open_incident(store, incident_id="b", **everywhere)
    assert store.expired("database_fact", LIMIT) == 1
    ended = {"state": IncidentState.RESOLVED, "closed_at": NOON}
    open_incident(store, incident_id="c", database=HR.database, **ended)
    assert store.purge("database_fact", LIMIT) == 1
    assert [store.facts(ref) for ref in (SALES, HR, CRM)] == [{"setting work_mem": "1"}] * 3


def test_the_value_of_a_fact_at_the_limit_stays(store: SqlStore, clock) -> None:
    clock.moment = NOON
    for number in range(2):
        moment = NOON + number * 2 * DAY
        item = collected(SALES, moment, [1], previous=NOON if number else None)
        store.record([replace(item, facts={"setting work_mem": str(number)}, facts_are_whole=True)])
    assert store.expired("database_fact", LIMIT) == 0, "it was still true at the limit"
    assert store.expired("database_fact", LIMIT + 2 * DAY) == 1


def test_the_last_attempt_to_import_history_stays(store: SqlStore, clock) -> None:
    clock.moment = LIMIT
    store.record([collected(SALES, LIMIT, [1])])
    for number in range(3):
        clock.moment += FIVE_MINUTES
        day = (NOON - (3 - number) * DAY).date()
        store.record_history(ImportedDay(SALES, day, ImportStatus.UNAVAILABLE, message="off"))
    last = clock.moment
    assert store.purge("history_import", LIMIT) == 2
    assert store.history_attempts() == {SALES: last}


def test_a_young_day_of_history_stays(store: SqlStore, clock) -> None:
    clock.moment = LIMIT + DAY
    store.record([collected(SALES, LIMIT, [1])])
    for day in (LIMIT.date(), NOON.date()):
        clock.moment += FIVE_MINUTES
        store.record_history(ImportedDay(SALES, day, ImportStatus.UNAVAILABLE, message="off"))
    assert store.expired("history_import", LIMIT) == 0


@pytest.mark.parametrize("state", [state for state in IncidentState if state.is_open])
def test_an_incident_that_is_open_stays_whatever_moment_of_closing_it_names(store: SqlStore, state) -> None:
    open_incident(store, state=state, closed_at=NOON)
    open_incident(store, incident_id="b", query_hash=1, state=IncidentState.DISMISSED, closed_at=LIMIT)
    assert store.expired("incident", LIMIT) == 0
    assert store.expired("incident", LIMIT + DAY) == 1


def test_what_a_channel_keeps_open_stays_until_its_end(store: SqlStore) -> None:
    alerts = [Alert(f"a{n}", f"{n:012x}", "opened", "dba", "high", NOON, "subject", "body", {}) for n in range(3)]
    store.add_alerts(alerts)
    tracked = {"a1": "x", "a2": "y"}

    def track(found):
        return Decisions(
            tuple(
                replace(row, state=AlertState.PENDING, decided_at=NOON, tracked_as=tracked.get(row.alert.alert_id, ""))
                for row in found.due
            )
        )

    store.decide_alerts(NOON, 10, track)
    deliveries = [Delivery(f"a{n}", NOON, succeeded=n != 2, error="" if n != 2 else "410") for n in range(3)]
    store.record_deliveries(deliveries)
    # One that nobody keeps open, and one that its channel never took.
    assert store.purge("alert", LIMIT) == 2
    assert [row.alert.alert_id for row in store.alert_rows()] == ["a1"]
