"""Contract: history of days before the live collection began, imported once or often, never counts twice."""

from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import CapturedPlan, StatementText
from dbplanmon_pipeline.core.ports import ImportedDay, ImportStatus
from dbplanmon_pipeline.core.readings.deltas import whole_intervals
from dbplanmon_pipeline.core.readings.history_days import days_before, importable, span_of
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.core.readings.small_readings import counter, reading
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, NOON, SALES, collected, rows, ticks, us

DAY = NOON.date()
HOUR = timedelta(hours=1)
EVER = (NOON - timedelta(days=40), NOON + timedelta(days=40))


@pytest.fixture
def watched(store: SqlStore) -> SqlStore:
    """Read live from noon on."""
    for item in ticks(SALES, NOON, 2, [1, 2], plan_hash=7):
        store.record([item])
    return store


def imported(start, hashes, executions=10.0, **more) -> ImportedDay:
    work = rows(start, start + HOUR, hashes, plan_hash=7, executions=executions)
    return ImportedDay(SALES, start.date(), ImportStatus.IMPORTED, work, **more)


def executions(store: SqlStore) -> float:
    return float(store.interval_frame(*EVER).rows["execution_count"].sum())


def test_live_collection_begins_with_the_first_reading_and_that_never_changes(watched: SqlStore) -> None:
    assert watched.recorded_from() == {SALES: NOON}


def test_database_that_was_never_read_takes_no_history(store: SqlStore) -> None:
    with pytest.raises(StoreError, match="collect it once first"):
        store.record_history(imported(NOON - HOUR, [1]))


def test_day_imported_again_replaces_itself(watched: SqlStore) -> None:
    before = executions(watched)
    assert watched.record_history(imported(NOON - 3 * HOUR, [1, 2, 3]))
    assert executions(watched) == before + 30
    assert watched.record_history(imported(NOON - 3 * HOUR, [2], executions=4))
    assert executions(watched) == before + 4


def test_import_leaves_other_days_and_live_rows_alone(watched: SqlStore) -> None:
    before = executions(watched)
    watched.record_history(imported(NOON - timedelta(days=1), [1]))
    watched.record_history(imported(NOON - HOUR, [1]))
    watched.record_history(imported(NOON - HOUR, []))
    assert executions(watched) == before + 10


def test_interval_that_ends_in_the_next_day_is_replaced_too(watched: SqlStore) -> None:
    before = executions(watched)
    late = NOON - timedelta(hours=12, minutes=30)
    for _ in range(2):
        watched.record_history(imported(late, [1]))
    assert executions(watched) == before + 10


def test_history_for_a_sealed_day_adds_to_it_and_can_be_repeated_until_it_is_sealed(watched, clock) -> None:
    watched.seal_day(DAY)
    before = executions(watched)
    clock.moment += HOUR
    assert watched.record_history(imported(NOON - HOUR, [1, 2]))
    assert watched.record_history(imported(NOON - HOUR, [1, 2]))
    assert executions(watched) == before + 20
    watched.seal_day(DAY)
    assert executions(watched) == before + 20


def test_day_sealed_since_its_import_is_refused(watched: SqlStore, clock) -> None:
    watched.record_history(imported(NOON - HOUR, [1, 2]))
    clock.moment += HOUR
    watched.seal_day(DAY)
    before = executions(watched)
    assert not watched.record_history(imported(NOON - HOUR, [1, 2, 3]))
    assert executions(watched) == before


def test_failed_attempt_is_remembered_and_takes_nothing_away(watched: SqlStore, clock) -> None:
    assert watched.history_attempts() == {}
    watched.record_history(imported(NOON - HOUR, [1]))
    first, before = clock.moment, executions(watched)
    clock.moment += HOUR
    watched.record_history(ImportedDay(SALES, DAY, ImportStatus.FAILED, message="no answer"))
    assert executions(watched) == before
    assert watched.history_attempts() == {SALES: first}
    assert watched.last_history_import() == first


def test_attempt_without_rows_is_no_import(watched: SqlStore, clock) -> None:
    watched.record_history(ImportedDay(SALES, DAY, ImportStatus.UNAVAILABLE, message="Query Store is off"))
    assert watched.history_attempts() == {SALES: clock.moment}
    assert watched.last_history_import() is None


def test_old_statement_becomes_known_and_the_current_plan_stays(watched: SqlStore) -> None:
    text = StatementText(3, "select 3", "select")
    plan = CapturedPlan(1, 99, "showplan", "<plan/>", "estimated")
    work = rows(NOON - HOUR, NOON - HOUR + FIVE_MINUTES, [1, 3], plan_hash=99)
    watched.record_history(ImportedDay(SALES, DAY, ImportStatus.IMPORTED, work, (text,), (plan,)))
    state = watched.capture_states([SALES])[SALES]
    assert (state.statements[1].plan_hash, state.statements[3].plan_hash) == (7, 99)
    assert state.statements[3].has_text
    assert state.plans == {99}
    assert watched.plan(99) == plan


@pytest.mark.parametrize(
    ("began", "ends_late", "taken"),
    [(-2, 0, True), (-1, 0, True), (0, 0, False), (-1, 45, False)],
    ids=["before", "last one before", "first live one", "running when the first reading was taken"],
)
def test_only_intervals_that_were_over_are_importable(began: int, ends_late: int, taken: bool) -> None:
    start = NOON + began * HOUR + timedelta(minutes=ends_late)
    assert len(importable(rows(start, start + HOUR, [1]), start.date(), NOON)) == taken


@pytest.mark.parametrize("drift_seconds", [-5, 5])
def test_a_clock_measured_otherwise_neither_loses_nor_doubles_an_interval(drift_seconds: int) -> None:
    drift = timedelta(seconds=drift_seconds)
    hours = [NOON - hour * HOUR + drift for hour in range(-3, 40)]
    days = days_before(DAY, 3)
    taken = sum(len(importable(rows(start, start + HOUR, [1]), day, NOON)) for start in hours for day in days)
    assert taken == 39


def test_day_after_the_live_collection_began_has_nothing_to_import() -> None:
    assert span_of(DAY + timedelta(days=1), NOON) is None
    assert span_of(DAY, NOON) is not None


def test_reading_by_interval_is_recorded_from_its_first_interval(store: SqlStore) -> None:
    running = counter("1@0", query=1, plan=7, start=NOON - HOUR, end=NOON + HOUR, execution_count=3)
    found = replace(reading(NOON, running), covers_from_us=us(NOON - 2 * HOUR))
    store.record([replace(collected(SALES, NOON, [1]), reading=found, rows=whole_intervals(found))])
    assert store.recorded_from() == {SALES: NOON - HOUR}


def test_reading_by_interval_without_work_is_recorded_from_where_it_covers(store: SqlStore) -> None:
    found = replace(reading(NOON), covers_from_us=us(NOON - 2 * HOUR))
    store.record([replace(collected(SALES, NOON, [1]), reading=found)])
    assert store.recorded_from() == {SALES: NOON - 2 * HOUR}
