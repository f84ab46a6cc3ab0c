"""Contract: counter states, interval rows, statements and the collection log."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import event

from dbplanmon_pipeline.core.model import CapturedPlan, CollectionOutcome, CollectionStatus, Engine, StatementText
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline.core.readings.intervals import INTERVAL_COLUMNS, KEY_COLUMNS
from dbplanmon_pipeline.store import SqlStore
from dbplanmon_pipeline_tests.store.samples import (
    CRM,
    FIVE_MINUTES,
    HR,
    NOON,
    SALES,
    collected,
    late_rows,
    reading,
    rows,
    ticks,
    us,
)

PLAN = CapturedPlan(11, 501, "pgjson", '{"Plan": {}}', "generic", context={"settings": {"work_mem": "4MB"}})
TOO_LARGE = CapturedPlan(11, 501, reason="no plan: it takes 40 MB, more than 32 MB")


def record_all(store: SqlStore, readings: list[CollectedDatabase]) -> None:
    for item in readings:
        assert store.record([item]) == frozenset()


def all_rows(store: SqlStore) -> pd.DataFrame:
    return store.interval_frame(NOON - timedelta(days=40), NOON + timedelta(days=40)).rows


def test_unknown_database_has_an_empty_state(store: SqlStore) -> None:
    state = store.capture_states([SALES])[SALES]
    assert state.previous is None
    assert not state.statements
    assert not state.plans


def test_reading_comes_back_as_it_was_stored(store: SqlStore) -> None:
    first = reading(NOON, [11, -12, 13], seed=3)
    store.record([replace(collected(SALES, NOON, [11]), reading=first)])
    found = store.capture_states([SALES, HR])[SALES].previous
    assert found is not None
    assert (found.read_at, found.keys, found.lives) == (NOON, first.keys, first.lives)
    for name in ("query_hash", "plan_hash", "values", "extrema", "life_began_us", "interval_start_us"):
        np.testing.assert_array_equal(getattr(found, name), getattr(first, name))


def test_reading_that_says_what_the_last_one_said_only_moves_its_moment(store: SqlStore) -> None:
    first = replace(reading(NOON, [11, -12], seed=3), covers_from_us=5, next_from_us=7)
    store.record([replace(collected(SALES, NOON, [11]), reading=first)])
    second = replace(first, read_at=NOON + FIVE_MINUTES, covers_from_us=6, next_from_us=8)
    later = collected(SALES, second.read_at, [11], previous=NOON)
    said: list[str] = []
    event.listen(store._database.engine, "before_cursor_execute", lambda *call: said.append(call[2]))
    assert store.record([replace(later, reading=second, rows=None)]) == frozenset()
    assert [sql for sql in said if "body_zstd" in sql] == []
    found = store.capture_states([SALES])[SALES].previous
    assert (found.read_at, found.covers_from_us, found.next_from_us) == (second.read_at, 6, 8)
    np.testing.assert_array_equal(found.values, first.values)


def test_rows_come_back_sorted_with_unknown_as_nan(store: SqlStore) -> None:
    record_all(store, ticks(SALES, NOON, 2, [30, -4], plan_hash=-9))
    record_all(store, ticks(CRM, NOON, 1, [7]))
    frame = store.interval_frame(NOON, NOON + timedelta(hours=1))
    assert tuple(frame.rows.columns) == INTERVAL_COLUMNS
    assert frame.rows["query_hash"].tolist() == [-4, -4, 30, 30, 7]
    assert frame.rows["plan_hash"].tolist() == [-9, -9, -9, -9, 0]
    assert frame.rows["interval_end_us"].tolist()[:2] == [us(NOON + FIVE_MINUTES), us(NOON + 2 * FIVE_MINUTES)]
    assert frame.rows["execution_count"].eq(10).all()
    assert frame.rows["wait_time_us"].isna().all()
    assert frame.rows["elapsed_time_us_max"].eq(99.5).all()
    assert set(frame.databases.values()) == {SALES, CRM}
    kinds = [str(kind) for kind in frame.rows.dtypes]
    assert kinds == ["int32", *["int64"] * 4, *["float64"] * 20, "bool"]


def test_frame_takes_ends_in_the_half_open_window_only(store: SqlStore) -> None:
    record_all(store, ticks(SALES, NOON, 4, [1]))
    frame = store.interval_frame(NOON + FIVE_MINUTES, NOON + 3 * FIVE_MINUTES).rows
    assert frame["interval_end_us"].tolist() == [us(NOON + 2 * FIVE_MINUTES), us(NOON + 3 * FIVE_MINUTES)]


def test_frame_of_some_columns_databases_and_one_query(store: SqlStore) -> None:
    for ref in (SALES, HR, CRM):
        record_all(store, ticks(ref, NOON, 2, [1, 2]))
    frame = store.interval_frame(
        NOON, NOON + timedelta(hours=1), columns=["worker_time_us"], databases=[HR, CRM], query_hash=2
    )
    assert tuple(frame.rows.columns) == (*KEY_COLUMNS, "worker_time_us")
    assert len(frame.rows) == 4
    assert set(frame.databases.values()) == {HR, CRM}
    assert frame.rows["worker_time_us"].eq(COUNTERS.index("worker_time_us") + 1).all()


def test_frame_of_an_empty_store_has_all_columns(store: SqlStore) -> None:
    frame = store.interval_frame(NOON, NOON + timedelta(days=3))
    assert tuple(frame.rows.columns) == INTERVAL_COLUMNS
    assert frame.rows.empty
    assert frame.databases == {}
    assert store.latest_interval_end() is None


def test_unknown_column_is_refused(store: SqlStore) -> None:
    with pytest.raises(ValueError, match="no interval column is called mood"):
        store.interval_frame(NOON, NOON + FIVE_MINUTES, columns=["mood"])


def test_naive_time_is_refused(store: SqlStore) -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="no time zone"):
        store.interval_frame(naive, NOON)
    with pytest.raises(ValueError, match="no time zone"):
        store.collection_log(naive)


def test_interval_that_ends_at_midnight_belongs_to_the_day_before(store: SqlStore) -> None:
    midnight = NOON.replace(hour=0) + timedelta(days=1)
    record_all(store, ticks(SALES, midnight - FIVE_MINUTES, 2, [1]))
    assert store.hot_days() == [NOON.date(), midnight.date()]
    frame = store.interval_frame(midnight - timedelta(days=1), midnight).rows
    assert frame["interval_end_us"].tolist() == [us(midnight)]


def test_replayed_record_is_refused_and_changes_nothing(store: SqlStore) -> None:
    readings = ticks(SALES, NOON, 1, [1, 2])
    record_all(store, readings)
    assert [store.record([item]) for item in readings] == [{SALES}, {SALES}]
    assert len(all_rows(store)) == 2
    assert len(store.collection_log(NOON - FIVE_MINUTES)) == 2


def test_stale_state_refuses_that_database_only(store: SqlStore) -> None:
    record_all(store, ticks(SALES, NOON, 1, [1]))
    record_all(store, ticks(HR, NOON, 1, [1]))
    later = NOON + 3 * FIVE_MINUTES
    stale = collected(SALES, later, [1], previous=NOON)
    good = collected(HR, later, [1], previous=NOON + FIVE_MINUTES)
    assert store.record([stale, good]) == {SALES}
    states = store.capture_states([SALES, HR])
    assert states[SALES].previous.read_at == NOON + FIVE_MINUTES
    assert states[HR].previous.read_at == later
    assert len(all_rows(store)) == 3
    assert [outcome.ref for outcome in store.collection_log(later)] == [HR]


def test_first_reading_is_refused_when_there_is_one_already(store: SqlStore) -> None:
    store.record([collected(SALES, NOON, [1])])
    assert store.record([collected(SALES, NOON + FIVE_MINUTES, [1])]) == {SALES}


def test_late_row_of_a_stored_interval_adds_to_it(store: SqlStore) -> None:
    store.record([late_rows(SALES, NOON, rows(NOON, NOON + FIVE_MINUTES, [1, 2]))])
    again = rows(NOON, NOON + 2 * FIVE_MINUTES, [2, 3], executions=77)
    store.record([late_rows(SALES, NOON + FIVE_MINUTES, again)])
    found = all_rows(store)
    assert found["query_hash"].tolist() == [1, 2, 3]
    assert found["execution_count"].tolist() == [10, 87, 77]
    assert found["interval_end_us"].tolist() == [us(NOON + FIVE_MINUTES * ticks) for ticks in (1, 2, 2)]


def test_database_named_twice_is_refused(store: SqlStore) -> None:
    item = collected(SALES, NOON, [1])
    with pytest.raises(ValueError, match="named twice"):
        store.record([item, item])


def test_failed_reading_leaves_a_log_row_and_the_state(store: SqlStore) -> None:
    record_all(store, ticks(SALES, NOON, 1, [1]))
    outcome = CollectionOutcome(
        SALES, NOON + 2 * FIVE_MINUTES, CollectionStatus.FAILED, "timeout", "ran out of time", gap_seconds=300.0
    )
    store.record([CollectedDatabase(outcome, Engine.POSTGRES)])
    assert store.collection_log(NOON + 2 * FIVE_MINUTES) == [outcome]
    assert store.capture_states([SALES])[SALES].previous.read_at == NOON + FIVE_MINUTES


def test_statement_becomes_known_with_text_and_plan(store: SqlStore) -> None:
    text = StatementText(11, "select $1", "select")
    store.record([collected(SALES, NOON, [11, 12], texts=[text], plans=[PLAN])])
    state = store.capture_states([SALES])[SALES]
    assert state.statements[11].plan_hash == 501
    assert state.statements[11].plan_checked_at == NOON
    assert state.statements[11].has_text
    assert state.plans == {501}
    assert store.plan(501) == PLAN
    assert store.plan(1) is None
    assert store.statement_texts([(SALES, 11), (SALES, 12), (HR, 11)]) == {(SALES, 11): text}


def test_first_body_of_a_plan_wins(store: SqlStore) -> None:
    store.record([collected(SALES, NOON, [11], plans=[PLAN])])
    store.record([collected(HR, NOON, [11], plans=[replace(PLAN, body="another")])])
    assert store.plan(501).body == PLAN.body
    assert store.capture_states([HR])[HR].plans == {501}


def test_look_without_a_plan_keeps_the_plan_and_moves_the_moment(store: SqlStore) -> None:
    store.record([collected(SALES, NOON, [11], plans=[PLAN])])
    none = CapturedPlan(11, 0, reason="utility statement")
    store.record([collected(SALES, NOON + FIVE_MINUTES, [11], previous=NOON, plans=[none])])
    known = store.capture_states([SALES])[SALES].statements[11]
    assert (known.plan_hash, known.plan_checked_at) == (501, NOON + FIVE_MINUTES)


def test_a_text_says_why_its_statement_has_no_plan(store: SqlStore) -> None:
    none = CapturedPlan(11, 0, reason="no plan: utility statement")
    store.record([collected(SALES, NOON, [11], texts=[StatementText(11, "vacuum t", "vacuum")], plans=[none])])
    assert store.statement_texts([(SALES, 11)])[SALES, 11].plan_reason == "no plan: utility statement"


def test_a_named_plan_that_cannot_be_kept_is_asked_for_again_after_a_week(store: SqlStore, clock) -> None:
    moments = [NOON, NOON + timedelta(days=8)]
    asked = []
    for previous, moment in zip([None, *moments], moments, strict=False):
        store.record([collected(SALES, moment, [11], previous=previous, plans=[TOO_LARGE])])
        for age in (timedelta(), timedelta(days=6), timedelta(days=8)):
            clock.moment = moment + age
            asked.append(501 not in store.capture_states([SALES])[SALES].plans)
    assert asked == [False, False, True] * 2
    assert store.plan(501) == TOO_LARGE


def test_a_reason_makes_room_for_a_plan_and_never_the_other_way_round(store: SqlStore, clock) -> None:
    told = [(SALES, NOON, TOO_LARGE), (HR, NOON, PLAN), (CRM, NOON + FIVE_MINUTES, TOO_LARGE)]
    for ref, moment, found in told:
        store.record([collected(ref, moment, [11], plans=[found])])
    clock.moment = NOON + timedelta(days=30)
    assert store.plan(501) == PLAN
    assert [state.plans for state in store.capture_states([SALES, HR, CRM]).values()] == [{501}] * 3


def test_of_a_plan_and_a_reason_told_at_once_the_plan_stays(store: SqlStore) -> None:
    store.record([collected(SALES, NOON, [11], plans=[PLAN]), collected(HR, NOON, [11], plans=[TOO_LARGE])])
    assert store.plan(501) == PLAN


def test_a_plan_that_cannot_be_kept_leaves_the_present_one_in_place(store: SqlStore) -> None:
    store.record([collected(SALES, NOON, [11], plans=[replace(PLAN, plan_hash=400)])])
    store.record([collected(SALES, NOON + FIVE_MINUTES, [11], previous=NOON, plans=[TOO_LARGE])])
    assert store.capture_states([SALES])[SALES].statements[11].plan_hash == 400


def test_plan_of_the_rows_becomes_the_current_one(store: SqlStore) -> None:
    for number, plan_hash in enumerate((5, 6, 0)):
        previous = NOON + FIVE_MINUTES * (number - 1) if number else None
        moment = NOON + FIVE_MINUTES * number
        store.record([collected(SALES, moment, [11], previous=previous, plan_hash=plan_hash)])
    assert store.capture_states([SALES])[SALES].statements[11].plan_hash == 6


def test_same_text_of_two_databases_is_kept_once(store: SqlStore, tmp_path) -> None:
    text = StatementText(11, "select $1", "select")
    store.record([collected(ref, NOON, [11], texts=[text]) for ref in (SALES, HR)])
    assert store.export("query_text", tmp_path / "texts.parquet") == 1
    assert len(store.statement_texts([(SALES, 11), (HR, 11)])) == 2


def test_latest_end_is_that_of_the_newest_row(store: SqlStore) -> None:
    record_all(store, ticks(SALES, NOON, 3, [1]))
    record_all(store, ticks(HR, NOON, 1, [1]))
    assert store.latest_interval_end() == NOON + 3 * FIVE_MINUTES


def test_history_of_one_statement_reads_oldest_first(store: SqlStore) -> None:
    for ref in (SALES, HR):
        record_all(store, ticks(ref, NOON - FIVE_MINUTES, 3, [1, 255], plan_hash=-1))
    history = store.query_history(SALES, 255, NOON, NOON + timedelta(hours=1))
    assert history["interval_end"].tolist() == [NOON + FIVE_MINUTES, NOON + 2 * FIVE_MINUTES]
    assert history["plan_hash"].tolist() == ["f" * 16] * 2
    assert history["interval_start"].dt.tz is not None


def test_history_finds_an_interval_longer_than_a_day(store: SqlStore) -> None:
    store.record([late_rows(SALES, NOON, rows(NOON - timedelta(days=2), NOON, [1]))])
    assert len(store.query_history(SALES, 1, NOON - FIVE_MINUTES, NOON)) == 1


def test_overview_tells_last_outcome_success_and_rows(store: SqlStore, clock) -> None:
    record_all(store, ticks(SALES, NOON, 2, [1, 2]))
    failed = CollectionOutcome(SALES, NOON + 3 * FIVE_MINUTES, CollectionStatus.FAILED, "login", "no login")
    store.record([CollectedDatabase(failed, Engine.POSTGRES), collected(CRM, NOON, [1])])
    clock.moment = NOON + timedelta(minutes=20)
    crm, sales = sorted(store.database_overview(), key=lambda entry: entry.ref.database)
    assert (sales.ref, sales.last_outcome, sales.rows_last_hour) == (SALES, failed, 4)
    assert sales.last_success_at == NOON + 2 * FIVE_MINUTES
    assert (crm.engine, crm.rows_last_hour) == ("postgres", 0)
    clock.moment = NOON + FIVE_MINUTES + timedelta(hours=1)
    assert [entry.rows_last_hour for entry in store.database_overview() if entry.ref == SALES] == [2]
