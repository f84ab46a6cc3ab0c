"""What expires, what stays because something needs it, and that a removal can be stopped, killed and taken back."""

import contextlib
import os
import signal
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from multiprocessing.connection import Connection

import pytest

from dbplanmon_pipeline.core.causes.deployments import new_deployment
from dbplanmon_pipeline.core.incidents.incident import IncidentChange, IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import CapturedPlan, StatementText
from dbplanmon_pipeline.core.ports import Alert, Delivery, ExpiryMark, JobState, PlanChange
from dbplanmon_pipeline.core.ports.alert_rules import MaintenanceWindow, MuteRule
from dbplanmon_pipeline.core.retention import RetentionPolicy
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.services.apply_retention import apply_retention, take_back
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.store.retention.purging import AUDIT_PURGE, SUBJECTS
from dbplanmon_pipeline_tests.bench.bench_retention import Expired, purge_while_collecting
from dbplanmon_pipeline_tests.store.samples import CRM, FIVE_MINUTES, HR, NOON, SALES, collected, incident, ticks
from dbplanmon_pipeline_tests.store.test_processes import CLEAN

DAY = timedelta(days=1)
LATER = NOON + 100 * DAY
LIMIT = LATER - 90 * DAY
AGES = dict.fromkeys(SUBJECTS, 90 * DAY) | {"audit_log": 7 * 365 * DAY}
PLAN = CapturedPlan(query_hash=-5, plan_hash=7, format="pg_json", origin="explain", body='{"Plan": {}}', reason="")
TEXT = StatementText(-5, "SELECT 1", "select")


def policy(**changes) -> RetentionPolicy:
    plain = {"ages": AGES, "grace": 7 * DAY, "baseline_window": 7 * DAY, "batch_rows": 100, "pause": timedelta()}
    return RetentionPolicy(**(plain | changes))


def run(store: SqlStore, now: datetime = LATER, **options):
    return apply_retention(store, options.pop("policy", policy()), now=now, sleep=lambda _: None, **options)


def rows(store: SqlStore, table: str) -> int:
    with store._database.read() as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()


def pages(store: SqlStore) -> int:
    with store._database.read() as connection:
        return connection.exec_driver_sql("PRAGMA page_count").scalar()


def counts(report) -> dict[str, tuple[int, int]]:
    return {one.subject: (one.marked, one.removed) for one in report.subjects if one.marked or one.removed}


@pytest.fixture
def watched(store: SqlStore, clock) -> SqlStore:
    """Half an hour of a statement with text and plan, long ago."""
    clock.moment = LATER
    first, *rest = ticks(SALES, NOON, 6, [-5], plan_hash=7)
    for item in (replace(first, texts=(TEXT,), plans=(PLAN,)), *rest):
        store.record([item])
    return store


def open_incident(store: SqlStore, **changes) -> None:
    found = incident(**changes)
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, found, found.opened_at)])


def test_what_expired_is_marked_first_and_removed_after_the_grace_period(watched):
    first = run(watched)
    assert (first.removed, rows(watched, "collection_log")) == (0, 7)
    assert counts(first)["collection_log"] == (7, 0)
    assert run(watched, LATER + 6 * DAY).removed == 0
    last = run(watched, LATER + 7 * DAY)
    assert counts(last)["collection_log"][1] == 7
    assert [rows(watched, t) for t in ("collection_log", "interval_day", "query", "query_text", "plan")] == [0] * 5
    assert watched.expiry_marks() == []


def test_a_dry_run_tells_the_counts_and_changes_nothing(watched):
    told = counts(run(watched, dry_run=True, at_once=True))
    assert watched.expiry_marks() == []
    assert rows(watched, "collection_log") == 7
    assert counts(run(watched, at_once=True)) == told
    assert told["query_text"] == (1, 1)


def test_a_mark_that_was_taken_back_keeps_its_rows(watched):
    run(watched)
    assert [mark.subject for mark in take_back(watched, ["collection_log"], actor="ann")] == ["collection_log"]
    after = counts(run(watched, LATER + 7 * DAY))
    assert after["collection_log"] == (7, 0)
    assert after["interval_day"][1] == 1
    assert watched.audit(NOON)[0].action == "expiry_taken_back"


def test_an_age_that_was_raised_since_the_marking_counts(watched):
    run(watched)
    longer = policy(ages=AGES | {"collection_log": 365 * DAY})
    assert "collection_log" not in counts(run(watched, LATER + 8 * DAY, policy=longer))
    assert rows(watched, "collection_log") == 7


def test_what_is_young_stays(watched):
    watched.record([collected(HR, LATER - 3 * DAY, [1], texts=[StatementText(1, "SELECT 2", "select")])])
    run(watched, at_once=True)
    assert [outcome.ref for outcome in watched.collection_log(NOON)] == [HR]
    assert rows(watched, "query_text") <= 1


def test_an_open_incident_keeps_its_days_its_statement_and_its_plans(watched):
    open_incident(watched)
    watched.save_plan_changes([PlanChange(SALES, -5, NOON, 7, 6), PlanChange(HR, 1, NOON, 9, 8)])
    report = run(watched, at_once=True)
    kept = ("interval_day", "query", "query_text", "plan", "plan_observation", "plan_change", "incident")
    assert [rows(watched, table) for table in kept] == [1] * len(kept)
    assert report.held_by == "0123456789ab"
    assert watched.statement_texts([(SALES, -5)])[SALES, -5].text == TEXT.text


def test_an_incident_that_ended_goes_with_its_steps_and_frees_what_it_kept(watched):
    ended = {"state": IncidentState.RESOLVED, "closed_at": NOON + DAY, "updated_at": NOON + DAY}
    open_incident(watched, **ended)
    run(watched, at_once=True)
    run(watched, LATER + DAY, at_once=True)
    assert [rows(watched, t) for t in ("incident", "incident_event", "query", "plan", "interval_day")] == [0] * 5


def alert(number: int, incident_id: str = "gone") -> Alert:
    return Alert(f"a{number}", incident_id, "opened", "dba", "high", NOON, "subject", "body", {})


def test_alerts_stay_while_they_wait_or_their_incident_is_open(watched):
    open_incident(watched)
    watched.add_alerts([alert(1), alert(2), alert(3, "0123456789ab")])
    watched.record_deliveries([Delivery(f"a{number}", NOON, succeeded=True) for number in (1, 3)])
    run(watched, at_once=True)
    assert sorted(item.alert_id for item in watched.alerts(NOON - DAY)) == ["a2", "a3"]


def test_the_present_value_of_a_fact_stays(store, clock):
    clock.moment = LATER
    for number, value in enumerate(["1", "2", "3"]):
        moment = NOON + number * FIVE_MINUTES
        item = collected(CRM, moment, [1], previous=moment - FIVE_MINUTES if number else None)
        store.record([with_facts(item, value)])
    run(store, at_once=True)
    assert store.facts(CRM) == {"setting work_mem": "3"}
    assert rows(store, "database_fact") == 1


def with_facts(item, value: str):
    return replace(item, facts={"setting work_mem": value}, facts_are_whole=True)


def test_choices_of_people_go_some_time_after_their_end(store, clock):
    clock.moment = LATER
    long_ago, lately = NOON, LATER - DAY
    for number, (removed, expires) in enumerate(
        [(long_ago, None), (None, long_ago), (lately, None), (None, lately), (None, None)]
    ):
        store.add_mute(
            MuteRule(f"m{number}", NOON, "ann", "known", instance="prod", expires_at=expires, removed_at=removed)
        )
    for number, removed in enumerate([long_ago, lately, None]):
        times = (frozenset({0}), time_of_day(22), time_of_day(23), "UTC")
        store.add_window(MaintenanceWindow(f"w{number}", *times, NOON, "ann", "patches", removed_at=removed))
    told = counts(run(store, dry_run=True, at_once=True))
    assert (told["mute_rule"], told["maintenance_window"]) == ((2, 2), (1, 1))
    run(store, at_once=True)
    assert [mute.mute_id for mute in store.mutes()] == ["m2", "m3", "m4"]
    assert [window.window_id for window in store.windows(every=True)] == ["w1", "w2"]
    assert len(store.audit(NOON)) == 8


def test_deployments_go_by_their_moment(store, clock):
    clock.moment = LATER
    for at in (NOON, LATER - DAY):
        store.add_deployment(new_deployment("shop", deployed_at=at, now=LATER, actor="ann"))
    run(store, at_once=True)
    assert [one.deployed_at for one in store.deployments(NOON, LATER)] == [LATER - DAY]


def test_memory_of_what_is_no_longer_there_goes(store, clock):
    clock.moment = LATER
    lately = LATER - DAY
    store.save_job_states(
        [
            JobState("instance:gone", 5, NOON, None, NOON + DAY, "cannot connect"),
            JobState("job:gone", 0, None, NOON),
            JobState("instance:dead", 5, lately, NOON, LATER, "cannot connect"),
            JobState("job:alive", 0, NOON, lately),
            JobState("never"),
        ]
    )
    told = counts(run(store, dry_run=True, at_once=True))
    run(store, at_once=True)
    assert told["job_state"] == (2, 2)
    names = ["instance:gone", "job:gone", "instance:dead", "job:alive"]
    assert [state.consecutive_failures for state in store.job_states(names).values()] == [0, 0, 5, 0]
    assert rows(store, "job_state") == 3


def test_sealed_days_leave_the_manifest_and_the_folder(watched, tmp_path):
    sealed = watched.seal_day(NOON.date())
    assert (tmp_path / "archive" / sealed.location).exists()
    assert counts(run(watched, at_once=True))["archive_segment"] == (1, 1)
    assert watched.sealed_days() == []
    assert list((tmp_path / "archive").iterdir()) == []


def test_days_a_baseline_learns_from_stay(watched):
    short = policy(ages={"interval_day": DAY}, baseline_window=30 * DAY)
    assert run(watched, NOON + 20 * DAY, policy=short, at_once=True).removed == 0
    assert run(watched, NOON + 32 * DAY, policy=short, at_once=True).removed == 1


def test_a_stopped_run_goes_on_next_time(watched):
    assert run(watched, at_once=True, stopped=lambda: True).stopped
    assert watched.expiry_marks() != []
    run(watched, LATER + 7 * DAY)
    assert rows(watched, "collection_log") == 0


class TestAudit:
    OLD = datetime(2015, 5, 5, tzinfo=UTC)

    @pytest.fixture
    def audited(self, store, clock):
        for moment in (self.OLD, datetime(2019, 6, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)):
            clock.moment = moment
            store.append_audit("dba", "acknowledge", "i1", {})
        clock.moment = LATER
        return store

    def test_entries_beyond_their_age_go_and_one_entry_says_so(self, audited):
        assert counts(run(audited, at_once=True))["audit_log"] == (2, 2)
        entries = audited.audit(self.OLD)
        assert [entry.action for entry in entries] == [AUDIT_PURGE, "acknowledge"]
        assert entries[0].subject.startswith("2019-06-2")

    @pytest.mark.parametrize("limit", ["", "2015-01-01 00:00:00.000000"])
    def test_nothing_goes_without_an_entry_that_covers_it(self, audited, limit):
        if limit:
            audited.append_audit("dba", AUDIT_PURGE, limit, {})
        with pytest.raises(StoreError, match="append-only"), audited._database.write() as connection:
            connection.exec_driver_sql("DELETE FROM audit_log WHERE actor = 'dba'")

    def test_no_entry_goes_before_it_is_a_year_old(self, audited, clock):
        clock.moment = datetime.now(UTC) - timedelta(days=364)
        audited.append_audit("dba", "dismiss", "i1", {})
        audited.append_audit("dba", AUDIT_PURGE, "9999-01-01 00:00:00.000000", {})
        with pytest.raises(StoreError, match="append-only"), audited._database.write() as connection:
            connection.exec_driver_sql("DELETE FROM audit_log WHERE action = 'dismiss'")


def remove_slowly(url: str, outlet: Connection) -> None:
    store = open_store(url, clock=lambda: LATER)
    for went in store.removals("collection_log", LIMIT, 20):
        outlet.send(went)
        time.sleep(0.005)


def test_a_removal_that_was_killed_goes_on(store, store_url):
    store.record([collected(SALES, NOON, [1])])
    with store._database.write() as connection:
        for number in range(1, 600):
            connection.exec_driver_sql(
                "INSERT INTO collection_log SELECT database_id + "
                f"{number}, started_at, status, error_class, message, rows, statements_read, new_statements, new_plans,"
                " plan_changes, resets, gap_seconds, lag_seconds, duration_ms, cost_ms, recorded_at FROM collection_log"
                " WHERE database_id = 1"
            )
    store.mark_expired([ExpiryMark("collection_log", LIMIT, NOON, 600)])
    inlet, outlet = CLEAN.Pipe(duplex=False)
    remover = CLEAN.Process(target=remove_slowly, args=(store_url, outlet))
    remover.start()
    outlet.close()
    told = inlet.recv()
    os.kill(remover.pid, signal.SIGKILL)
    with inlet, contextlib.suppress(EOFError):
        while True:
            told += inlet.recv()
    remover.join(30)
    left = rows(store, "collection_log")
    assert 0 < left <= 600 - told
    assert counts(run(store))["collection_log"][1] == left
    assert store.expiry_marks() == []


def test_upkeep_says_what_it_did_and_loses_nothing(watched):
    steps = watched.maintain()
    assert len(steps) >= 2
    assert all(step.outcome for step in steps)
    assert rows(watched, "collection_log") == 7
    catalogue = "sqlite_stat1 WHERE tbl" if watched._database.is_sqlite else "pg_stats WHERE tablename"
    with watched._database.read() as connection:
        known = f"SELECT count(*) FROM {catalogue} = 'collection_log'"
        assert connection.exec_driver_sql(known).scalar(), "the planner knows how large the log is"


def test_a_file_that_is_mostly_free_room_is_rewritten_unless_somebody_writes(tmp_path, monkeypatch):
    watched = open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: LATER)
    watched.upgrade()
    monkeypatch.setattr("dbplanmon_pipeline.store.retention.upkeep._WORTH_BYTES", 100_000)
    with watched._database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE ballast AS SELECT zeroblob(3000000) AS body")
        connection.exec_driver_sql("DROP TABLE ballast")
    before = pages(watched)
    with watched._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM query")
        held = {step.name: step.outcome for step in watched.maintain()}
    assert "others were at work" in held["free room"]
    assert "given back" in {step.name: step.outcome for step in watched.maintain()}["free room"]
    assert pages(watched) < before / 2
    watched.close()


def test_a_collector_does_not_wait_for_a_removal(tmp_path):
    url = f"sqlite:///{tmp_path}/store.db"
    _, beside, report, removing = purge_while_collecting(url, Expired(10_000, 5_000, 10_000), 0.1, every=0.1)
    assert beside.errors == 0
    assert len(beside.seconds) > 2
    assert max(beside.seconds) < removing / 2
    assert {one.subject: one.removed for one in report.subjects}["hourly_rollup"] == 10_000
