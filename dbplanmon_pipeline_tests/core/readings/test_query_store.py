"""What is recorded of Query Store: every execution once, whatever the server shows between two readings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.deltas import difference, retained, whole_intervals
from dbplanmon_pipeline.core.readings.query_store import (
    ABORTED,
    EXCEPTION,
    ReadingSpan,
    RuntimeStats,
    WaitStats,
    plan_id_of,
    query_store_reading,
)
from dbplanmon_pipeline.core.readings.query_store_span import EngineInterval, IntervalPolicy, reading_span, skew_between
from dbplanmon_pipeline_tests.core.readings.query_store_rows import MINUTE_US, MemoryQueryStore, stats_row
from dbplanmon_pipeline_tests.core.readings.small_readings import at, column, counter, reading, us

HOUR = IntervalPolicy(60 * MINUTE_US, 15 * MINUTE_US)


def reading_of(*rows, waits=None, moment=60, start=0):
    span = ReadingSpan(us(at(start)), us(at(start)))
    return query_store_reading(RuntimeStats.of_rows(rows), waits, read_at=at(moment), span=span)


def row(plan=1, durations=(100.0,), start=0, length=60, **more):
    return stats_row(plan, us(at(start)), us(at(start + length)), durations, **more)


def test_an_hourly_interval_read_every_five_minutes_records_each_execution_once():
    store = MemoryQueryStore()
    store.read(0)
    for minute in range(1, 180):
        store.run(minute, 100.0, 300.0)
        if minute % 5 == 0:
            store.read(minute)
    store.read(200)
    assert store.total("execution_count") == 179 * 2
    assert store.total("elapsed_time_us") == 179 * 400
    assert store.total("logical_reads_pages") == 179 * 20


def test_flushed_and_in_memory_rows_of_one_interval_are_added():
    found = reading_of(row(durations=[100.0] * 86), row(durations=[100.0] * 8))
    assert len(found) == 1
    assert column(found, "execution_count") == [94]


def test_an_interval_read_again_without_new_work_emits_nothing():
    store = MemoryQueryStore()
    store.run(2, 100.0)
    store.read(5)
    assert len(store.read(10)) == 0


def test_a_late_flush_of_an_older_interval_is_picked_up():
    store = MemoryQueryStore()
    store.run(50, 100.0)
    store.read(55)
    store.run(59, 70.0, copy="memory")
    late = store.read(75)
    assert column(late, "execution_count") == [1]
    assert column(late, "elapsed_time_us") == [70]


def test_the_first_reading_takes_the_intervals_that_may_still_change_and_no_older_ones():
    store = MemoryQueryStore()
    for minute in (-200, -70, -10, 4):
        store.run(minute, 100.0)
    found = store.read(5)
    assert column(found, "execution_count") == [1, 1]


def test_after_an_outage_of_two_hours_nothing_is_missing():
    store = MemoryQueryStore()
    for minute in range(300):
        store.run(minute, 10.0)
        if minute % 5 == 4 and not 60 <= minute < 180:
            store.read(minute)
    assert store.total("execution_count") == 300


def test_an_outage_goes_back_a_day_and_not_further():
    store = MemoryQueryStore()
    store.run(0, 1.0)
    store.read(1)
    for day_minute in (90, 60 * 30):
        store.run(day_minute, 1.0)
    store.read(60 * 31)
    assert store.total("execution_count") == 2


def test_aborted_and_failed_executions_are_counted_apart():
    found = reading_of(
        row(durations=[100.0] * 3),
        row(durations=[9_000.0] * 2, kind=ABORTED),
        row(durations=[8_000.0], kind=EXCEPTION),
    )
    assert column(found, "execution_count") == [3]
    assert column(found, "elapsed_time_us") == [300]
    assert column(found, "elapsed_time_us_max") == [100]
    assert (column(found, "aborted_count"), column(found, "exception_count")) == ([2], [1])


def test_one_slow_run_beside_ten_thousand_fast_ones_is_weighted_by_executions():
    found = reading_of(row(durations=[5_000_000.0]), row(durations=[100.0] * 10_000))
    assert column(found, "execution_count") == [10_001]
    assert column(found, "elapsed_time_us") == [6_000_000]
    assert column(found, "elapsed_time_us_sumsq") == pytest.approx([5_000_000.0**2 + 10_000 * 100.0**2])
    assert (column(found, "elapsed_time_us_min"), column(found, "elapsed_time_us_max")) == ([100], [5_000_000])


def test_work_of_other_replicas_is_not_counted():
    found = reading_of(row(durations=[100.0]), row(durations=[100.0] * 50, replica=2))
    assert column(found, "execution_count") == [1]


def test_every_plan_of_a_query_is_a_counter_of_its_own():
    found = reading_of(row(plan=1, query=7), row(plan=2, query=7, durations=[50.0] * 1000))
    assert [plan_id_of(key) for key in found.keys] == [1, 2]
    assert found.query_hash.tolist() == [7, 7]
    assert found.plan_hash.tolist() == [201, 202]


def test_work_without_a_hash_counts_as_other_work():
    nameless = list(row())
    nameless[3] = 0
    found = reading_of(tuple(nameless))
    assert (found.query_hash.tolist(), found.plan_hash.tolist()) == ([OTHER_STATEMENTS], [0])


def test_waits_belong_to_their_plan_and_interval():
    waits = WaitStats(np.array([1, 1, 9]), np.array([1, 2, 1]), np.array([us(at(0))] * 3), np.array([250.0, 7.0, 1.0]))
    found = reading_of(row(plan=1), row(plan=2), waits=waits)
    assert column(found, "wait_time_us") == [250_000, 0]


def test_without_wait_statistics_waits_are_unknown():
    assert np.isnan(column(reading_of(row()), "wait_time_us")).all()


def test_no_rows_are_an_empty_reading_that_still_says_where_to_go_on():
    found = reading_of()
    assert len(found) == 0
    assert found.by_interval


def test_a_cleared_query_store_that_counts_plans_anew_is_no_continuation():
    before = reading_of(row(plan=1, durations=[1.0] * 50))
    after = reading_of(row(plan=1, durations=[1.0] * 3, query=999), moment=65)
    delta = difference(retained(before), after)
    assert delta.resets == 1
    assert delta.rows.query_hash.tolist() in ([], [999])


@pytest.mark.parametrize("ahead", [3600, -3600, 7, 3, 0])
def test_a_server_whose_clock_is_off_is_recorded_once(ahead):
    store = MemoryQueryStore(ahead=ahead)
    for minute in range(200):
        store.run(minute, 10.0)
        if minute % 5 == 4:
            store.read(minute)
    assert store.total("execution_count") == 200


def test_intervals_are_moved_onto_our_clock():
    store = MemoryQueryStore(ahead=3600)
    store.run(2, 10.0)
    found = store.read(5)
    assert found.interval_start_us.tolist() == [us(at(0))]
    assert found.interval_end_us.tolist() == [us(at(5))]


@pytest.mark.parametrize(
    ("ahead_s", "taken_off_s"), [(0.0, 0), (4.9, 0), (-4.9, 0), (5.0, 5), (7.4, 7), (-3600.2, -3600)]
)
def test_only_a_clock_five_seconds_off_is_corrected(ahead_s, taken_off_s):
    assert skew_between(round(ahead_s * 1_000_000), 0) == taken_off_s * 1_000_000


def hours(*starts):
    return [EngineInterval(us(at(60 * hour)), us(at(60 * hour + 60)), hour + 100) for hour in starts]


def test_the_overlap_is_twice_the_flush_or_one_length_whichever_is_longer():
    assert HOUR.overlap_us == 60 * MINUTE_US
    assert IntervalPolicy(MINUTE_US, 15 * MINUTE_US).overlap_us == 30 * MINUTE_US
    assert IntervalPolicy(1440 * MINUTE_US, 3000 * MINUTE_US).overlap_us == 1440 * MINUTE_US


def test_a_reading_after_the_plan_cache_begins_with_the_interval_that_ran_then():
    before = reading(at(190), counter("handle", execution_count=5))
    span = reading_span(hours(1, 2, 3, 4), before, HOUR, now_us=us(at(250)), skew_us=0)
    assert span.covers_from_us == us(at(180))


def test_a_reading_after_the_plan_cache_looks_for_its_interval_on_the_clock_of_the_server():
    before = reading(at(190), counter("handle", execution_count=5))
    span = reading_span(hours(1, 2, 3, 4, 5, 6), before, HOUR, now_us=us(at(370)), skew_us=120 * MINUTE_US)
    assert span.covers_from_us == us(at(300))


def test_an_interval_that_ended_as_the_plan_cache_was_read_is_not_read_again():
    before = reading(at(180), counter("handle", execution_count=5))
    assert reading_span(hours(1, 2, 3), before, HOUR, now_us=us(at(190)), skew_us=0).covers_from_us == us(at(180))


def test_where_no_interval_is_recorded_the_beginning_lies_on_the_grid():
    span = reading_span([], None, HOUR, now_us=us(at(250)), skew_us=0)
    assert span.covers_from_us == us(at(180))


def test_the_next_reading_never_begins_before_this_one():
    previous = reading_of(start=180, moment=185)
    span = reading_span(hours(1, 2, 3), previous, HOUR, now_us=us(at(190)), skew_us=0)
    assert (span.covers_from_us, span.next_from_us) == (us(at(180)), us(at(180)))


def test_an_empty_state_meets_its_interval_though_the_skew_was_measured_a_second_off():
    previous = query_store_reading(
        RuntimeStats.of_rows([]),
        None,
        read_at=at(125),
        span=ReadingSpan(us(at(120)), us(at(120)), skew_us=9_000_000),
    )
    span = reading_span(hours(1, 2), previous, HOUR, now_us=us(at(150)), skew_us=10_000_000)
    assert span.covers_from_us == us(at(120))


def test_whole_intervals_of_history_keep_their_own_times():
    rows = whole_intervals(reading_of(row(start=-120), row(start=-60, durations=[1.0, 3.0]), start=-120))
    assert rows.interval_start_us.tolist() == [us(at(-120)), us(at(-60))]
    assert column(rows, "execution_count") == [1, 2]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(1, 3), st.sampled_from(["flushed", "memory"]), st.integers(1, 9)),
        st.tuples(st.just("wait"), st.sampled_from([1, 4, 11, 59, 130])),
        st.tuples(st.just("read")),
    ),
    min_size=5,
    max_size=50,
)


@given(STEPS, st.sampled_from([1, 15, 60, 1440]), st.sampled_from([0, 4, -7200, 3600]))
@settings(max_examples=80, deadline=None)
def test_what_is_recorded_is_what_was_done(steps, length, ahead):
    store, minute, done = MemoryQueryStore(length=length, flush=1, ahead=ahead), 0, 0
    last_read = minute
    store.read(minute)
    for kind, *arguments in steps:
        if kind == "run":
            plan, copy, count = arguments
            store.run(minute + 0.5, *([10.0 * count] * count), plan=plan, copy=copy)
            done += count
        elif kind == "wait":
            minute += arguments[0]
        if kind == "read" or minute - last_read > 600:
            minute += 1
            last_read = minute
            store.read(minute)
    store.read(minute + 1)
    assert store.total("execution_count") == done
