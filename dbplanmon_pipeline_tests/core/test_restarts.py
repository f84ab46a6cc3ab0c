from datetime import UTC, datetime, timedelta

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange
from dbplanmon_pipeline.core.restarts import Restart, Restarts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
SHOP, OTHER = DatabaseRef("shop", "orders"), DatabaseRef("shop", "stock")
BEFORE = "2026-01-01T00:00:00Z"


def started(ref, seen_at, moment):
    return FactChange(ref, "server started", seen_at, BEFORE, moment)


def test_a_start_is_one_restart_of_the_whole_server_at_the_moment_it_tells():
    found = Restarts.of(
        [started(ref, NOON + number * STEP, "2026-03-01T11:58:00Z") for number, ref in enumerate((SHOP, OTHER))]
    )
    assert found.known == [Restart("shop", "", NOON - timedelta(minutes=2), is_dated=True, word="restart")]
    assert found.of_database(OTHER, NOON, STEP) == found.known
    assert found.of_database(OTHER, NOON - timedelta(minutes=2), STEP) == []
    assert found.of_database(DatabaseRef("depot", "orders"), NOON, STEP) == []


def test_a_server_that_turns_out_to_be_older_took_over_from_another_one():
    (found,) = Restarts.of([started(SHOP, NOON, "2026-02-01T00:00:00Z")]).known
    assert (found.at, found.word, found.is_dated) == (NOON, "failover", False)


def test_a_moment_that_is_yet_to_come_is_not_believed():
    (found,) = Restarts.of([started(SHOP, NOON, "2026-03-01T12:30:00Z")]).known
    assert (found.at, found.word, found.is_dated) == (NOON, "restart", False)


def test_a_crash_the_server_recovers_from_is_one_though_it_started_long_ago():
    crashed = FactChange(SHOP, "crash recovery", NOON, "none since the start", "2026-03-01T11:57:00Z")
    assert Restarts.of([crashed]).known == [
        Restart("shop", "", NOON - timedelta(minutes=3), is_dated=True, word="crash")
    ]
    assert Restarts.of([FactChange(SHOP, "crash recovery", NOON, crashed.after, crashed.before)]).known == []


def test_a_failover_concerns_the_database_whose_role_changed_from_the_interval_in_which_it_was_seen():
    found = Restarts.of([FactChange(SHOP, "replica role", NOON, "SECONDARY", "PRIMARY")])
    assert [one.word for one in found.known] == ["failover"]
    assert found.of_database(OTHER, NOON + STEP, STEP) == []
    assert found.of_database(SHOP, NOON - timedelta(seconds=3), STEP) == found.known
    assert found.of_database(SHOP, NOON - STEP, STEP) == []


def test_other_facts_are_no_restarts():
    assert Restarts.of([FactChange(SHOP, "setting work_mem", NOON, "4MB", "64kB")]).known == []
