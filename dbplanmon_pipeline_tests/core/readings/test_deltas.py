import itertools
import time
from dataclasses import replace

import numpy as np
import pytest

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading
from dbplanmon_pipeline.core.readings.deltas import difference, empty_rows
from dbplanmon_pipeline_tests.core.readings.small_readings import at, column, counter, reading, us


def one(previous, current, **options):
    """The only row of a difference."""
    delta = difference(previous, current, **options)
    assert len(delta.rows) == 1
    return delta


def spans(delta):
    return list(zip(delta.rows.interval_start_us.tolist(), delta.rows.interval_end_us.tolist(), strict=True))


def test_the_first_reading_emits_nothing_and_says_so():
    delta = difference(None, reading(at(0), counter("a", execution_count=9_000_000)))
    assert len(delta.rows) == 0
    assert "first reading" in delta.note
    assert (delta.accepted, delta.seconds) == (True, None)


def test_growth_is_emitted_as_the_difference_between_the_readings():
    before = reading(at(0), counter("a", query=7, plan=8, execution_count=10, elapsed_time_us=100, rows=5))
    delta = one(before, reading(at(5), counter("a", query=7, plan=8, execution_count=14, elapsed_time_us=160, rows=5)))
    assert (delta.rows.query_hash[0], delta.rows.plan_hash[0]) == (7, 8)
    assert [column(delta.rows, name)[0] for name in ("execution_count", "elapsed_time_us", "rows")] == [4, 60, 0]
    assert spans(delta) == [(us(at(0)), us(at(5)))]
    assert not delta.rows.counter_reset[0]
    assert (delta.resets, delta.new_lives, delta.seconds, delta.note) == (0, 0, 300.0, "")


def test_the_end_of_the_interval_can_be_given():
    delta = one(reading(at(0), counter("a")), reading(at(5), counter("a", execution_count=1)), now_end=at(6))
    assert spans(delta) == [(us(at(0)), us(at(6)))]
    assert delta.seconds == 360.0


def test_a_counter_at_rest_emits_nothing():
    still = counter("a", execution_count=3, elapsed_time_us=9)
    assert len(difference(reading(at(0), still), reading(at(5), still)).rows) == 0


@pytest.mark.parametrize("kind", ["aborted_count", "exception_count"])
def test_failed_executions_are_emitted_though_none_succeeded(kind):
    delta = one(reading(at(0), counter("a", **{kind: 1})), reading(at(5), counter("a", **{kind: 3})))
    assert column(delta.rows, kind) == [2]
    assert column(delta.rows, "execution_count") == [0]


def test_figures_unknown_on_either_side_stay_unknown():
    before = reading(at(0), counter("a", execution_count=1, rows=5))
    delta = one(before, reading(at(5), counter("a", execution_count=2, worker_time_us=7)))
    assert np.isnan([column(delta.rows, "rows")[0], column(delta.rows, "worker_time_us")[0]]).all()


def test_another_life_is_taken_whole_and_flagged():
    before = reading(at(0), counter("a", life="x", execution_count=10, elapsed_time_us=100))
    delta = one(before, reading(at(5), counter("a", life="y", execution_count=12, elapsed_time_us=300)))
    assert (column(delta.rows, "execution_count"), column(delta.rows, "elapsed_time_us")) == ([12], [300])
    assert (delta.rows.counter_reset[0], delta.resets, delta.new_lives) == (True, 1, 0)


def test_an_engine_that_begins_to_name_lives_has_not_reset_its_counters():
    before = reading(at(0), counter("a", execution_count=10))
    delta = one(before, reading(at(5), counter("a", life="y", execution_count=12)))
    assert (column(delta.rows, "execution_count"), delta.resets) == ([2], 0)


def test_calls_up_and_reads_down_is_a_reset_of_the_whole_row():
    before = reading(at(0), counter("a", execution_count=10, logical_reads_pages=500, elapsed_time_us=50))
    delta = one(before, reading(at(5), counter("a", execution_count=40, logical_reads_pages=90, elapsed_time_us=60)))
    figures = [column(delta.rows, name)[0] for name in ("execution_count", "logical_reads_pages", "elapsed_time_us")]
    assert figures == [40, 90, 60]
    assert (delta.rows.counter_reset[0], delta.resets) == (True, 1)


def test_rounding_of_a_total_is_no_reset():
    before = reading(at(0), counter("a", execution_count=3, physical_reads_pages=2.0000000000000004))
    delta = one(before, reading(at(5), counter("a", execution_count=4, physical_reads_pages=2.0)))
    assert (column(delta.rows, "execution_count"), column(delta.rows, "physical_reads_pages")) == ([1], [0])
    assert delta.resets == 0


def test_a_figure_that_is_not_told_does_not_fall():
    before = reading(at(0), counter("a", execution_count=3, rows=5))
    assert difference(before, reading(at(5), counter("a", execution_count=4))).resets == 0


def test_a_service_restart_takes_every_counter_from_its_new_life():
    before = reading(at(0), *(counter(key, life="boot 1", query=n, execution_count=50) for n, key in enumerate("abc")))
    after = reading(at(5), *(counter(key, life="boot 2", query=n, execution_count=n) for n, key in enumerate("abc")))
    delta = difference(before, after)
    assert column(delta.rows, "execution_count") == [1, 2]
    assert (delta.resets, delta.rows.counter_reset.all()) == (3, True)


def test_a_plan_cache_flush_gives_new_handles_that_count_whole_beside_those_that_stayed():
    before = reading(
        at(0), counter("h1", query=1, plan=5, execution_count=9), counter("h2", query=2, execution_count=4)
    )
    after = reading(at(5), counter("h3", query=1, plan=5, execution_count=2), counter("h2", query=2, execution_count=5))
    delta = difference(before, after)
    assert column(delta.rows, "execution_count") == [2, 1]
    assert (delta.resets, delta.new_lives) == (0, 1)
    assert not delta.rows.counter_reset.any()


def test_two_handles_of_one_plan_become_one_row():
    before = reading(at(0), counter("h1", query=1, plan=5, execution_count=1, elapsed_time_us=10))
    after = reading(
        at(5),
        counter("h1", query=1, plan=5, execution_count=3, elapsed_time_us=30),
        counter("h2", query=1, plan=5, execution_count=4, elapsed_time_us=7),
    )
    delta = one(before, after)
    assert (column(delta.rows, "execution_count"), column(delta.rows, "elapsed_time_us")) == ([6], [27])


def test_a_statement_seen_for_the_first_time_counts_whole_without_a_flag():
    delta = one(reading(at(0)), reading(at(5), counter("a", execution_count=3)))
    assert (column(delta.rows, "execution_count"), delta.new_lives, delta.resets) == ([3], 1, 0)
    assert not delta.rows.counter_reset[0]


def test_a_statement_that_was_hidden_is_not_counted_from_zero():
    old = counter("a", execution_count=1_000_000, began=at(-600))
    delta = difference(reading(at(0)), reading(at(5), old))
    assert (len(delta.rows), delta.hidden, delta.new_lives) == (0, 1, 0)
    later = one(reading(at(5), old), reading(at(10), old | {"execution_count": 1_000_002}))
    assert column(later.rows, "execution_count") == [2]


def test_after_another_source_only_what_is_known_to_have_begun_since_is_counted():
    by_interval = replace(reading(at(0)), covers_from_us=us(at(-60)))
    counters = [
        counter("unknown", query=1, execution_count=1),
        counter("older", query=2, execution_count=2, began=at(-1)),
        counter("at once", query=3, execution_count=3, began=at(0)),
        counter("since", query=4, execution_count=4, began=at(2)),
    ]
    delta = difference(by_interval, reading(at(5), *counters))
    assert (column(delta.rows, "execution_count"), delta.hidden, delta.new_lives) == ([3, 4], 2, 2)


def test_an_interval_that_is_still_to_come_ends_at_the_first_reading_all_the_same():
    ahead = reading(at(5), counter("a", execution_count=2, start=at(60), end=at(120)))
    found = difference(None, replace(ahead, covers_from_us=us(at(60))))
    assert spans(found) == [(us(at(5)) - 1, us(at(5)))]


def test_another_server_after_a_failover_is_not_counted_from_its_start():
    before = reading(at(0), counter("a", life="primary", began=at(-900), execution_count=10))
    after = reading(at(5), counter("a", life="standby", began=at(-600), execution_count=7_000_000))

    delta = difference(before, after)

    assert (len(delta.rows), delta.hidden, delta.resets) == (0, 1, 1)


def test_after_a_failover_the_next_reading_counts_again():
    before = reading(at(5), counter("a", life="standby", began=at(-600), execution_count=7_000_000))
    after = reading(at(10), counter("a", life="standby", began=at(-600), execution_count=7_000_003))

    assert column(difference(before, after).rows, "execution_count") == [3]


def test_a_statement_that_began_between_the_readings_counts_from_the_earlier_reading():
    delta = one(reading(at(0)), reading(at(5), counter("a", execution_count=3, began=at(4))))
    assert spans(delta) == [(us(at(0)), us(at(5)))]


def test_a_counter_that_vanished_emits_nothing():
    assert len(difference(reading(at(0), counter("a", execution_count=3)), reading(at(5))).rows) == 0


@pytest.mark.parametrize(("minutes", "said"), [(0, "already"), (-60, "went back 3600 s")])
def test_a_reading_that_is_not_younger_is_not_accepted(minutes, said):
    before = reading(at(0), counter("a", execution_count=1))
    delta = difference(before, reading(at(minutes), counter("a", execution_count=9)))
    assert (len(delta.rows), delta.accepted) == (0, False)
    assert said in delta.note


def test_after_the_clock_went_back_nothing_is_lost_when_the_old_state_is_kept():
    before = reading(at(0), counter("a", execution_count=1))
    assert not difference(before, reading(at(-3), counter("a", execution_count=5))).accepted
    assert column(one(before, reading(at(2), counter("a", execution_count=9))).rows, "execution_count") == [8]


def test_two_hours_without_a_reading_are_one_interval_of_two_hours():
    delta = one(reading(at(0), counter("a")), reading(at(120), counter("a", execution_count=24)))
    assert (spans(delta), delta.seconds) == ([(us(at(0)), us(at(120)))], 7200.0)


def hour(number, **figures):
    return counter(f"7:{number}", query=1, plan=2, start=at(60 * number), end=at(60 * number + 60), **figures)


def test_a_running_engine_interval_of_an_hour_is_differenced_every_five_minutes():
    counts = [0, 4, 9, 9, 15]
    states = [reading(at(5 * tick), hour(0, execution_count=count)) for tick, count in enumerate(counts)]
    deltas = [difference(before, after) for before, after in itertools.pairwise(states)]
    assert [column(delta.rows, "execution_count") for delta in deltas] == [[4], [5], [], [6]]
    assert spans(deltas[1]) == [(us(at(5)), us(at(10)))]


def test_the_same_engine_interval_read_again_emits_nothing():
    state = hour(0, execution_count=4)
    assert len(difference(reading(at(5), state), reading(at(10), state)).rows) == 0


def test_work_is_cut_to_the_overlap_with_the_engine_interval():
    before = reading(at(58), hour(0, execution_count=10))
    delta = difference(before, reading(at(63), hour(0, execution_count=12), hour(1, execution_count=3)))
    assert spans(delta) == [(us(at(58)), us(at(60))), (us(at(60)), us(at(63)))]
    assert column(delta.rows, "execution_count") == [2, 3]


def test_a_late_flush_keeps_the_engine_interval():
    before = reading(at(63), hour(0, execution_count=12))
    delta = one(before, reading(at(68), hour(0, execution_count=13)))
    assert (spans(delta), column(delta.rows, "execution_count")) == ([(us(at(0)), us(at(60)))], [1])


def test_an_engine_interval_older_than_the_last_reading_still_counts_when_its_statement_is_new():
    late = hour(0, execution_count=3) | {"began": at(-900)}
    assert column(one(reading(at(63)), reading(at(68), late)).rows, "execution_count") == [3]


def test_extremes_of_a_new_life_are_those_of_the_life():
    delta = one(
        reading(at(0)), reading(at(5), counter("a", execution_count=2, elapsed_time_us_min=1, elapsed_time_us_max=9))
    )
    assert (column(delta.rows, "elapsed_time_us_min"), column(delta.rows, "elapsed_time_us_max")) == ([1], [9])


def test_extremes_of_a_going_life_are_known_only_when_they_moved():
    before = counter("a", execution_count=1, elapsed_time_us_min=5, elapsed_time_us_max=9, dop_max=2)
    same = one(reading(at(0), before), reading(at(5), before | {"execution_count": 2}))
    moved = before | {"execution_count": 2, "elapsed_time_us_min": 4, "elapsed_time_us_max": 20, "dop_max": 8}
    assert np.isnan(same.rows.extrema).all()
    assert column(one(reading(at(0), before), reading(at(5), moved)).rows, "elapsed_time_us_min") == [4]
    assert column(one(reading(at(0), before), reading(at(5), moved)).rows, "elapsed_time_us_max") == [20]
    assert column(one(reading(at(0), before), reading(at(5), moved)).rows, "dop_max") == [8]


@pytest.mark.parametrize(("squares", "expected"), [(0.0, 50.0), (49.9, 50.0), (60.0, 60.0), (500.0, 100.0)], ids=str)
def test_sums_of_squares_are_brought_to_what_is_possible(squares, expected):
    before = reading(at(0), counter("a", execution_count=0, elapsed_time_us=0, elapsed_time_us_sumsq=0))
    after = counter("a", execution_count=2, elapsed_time_us=10, elapsed_time_us_sumsq=squares)
    assert column(one(before, reading(at(5), after)).rows, "elapsed_time_us_sumsq") == [expected]


def test_unknown_sums_of_squares_stay_unknown():
    delta = one(reading(at(0)), reading(at(5), counter("a", execution_count=2, elapsed_time_us=10)))
    assert np.isnan(column(delta.rows, "elapsed_time_us_sumsq")[0])


def test_neither_reading_is_changed():
    before = reading(at(0), counter("a", execution_count=1, elapsed_time_us=5, elapsed_time_us_sumsq=1))
    after = reading(at(5), counter("a", execution_count=2, elapsed_time_us=9, elapsed_time_us_sumsq=1))
    copies = (before.values.copy(), after.values.copy())
    difference(before, after)
    difference(reading(at(0)), after)
    np.testing.assert_array_equal(before.values, copies[0])
    np.testing.assert_array_equal(after.values, copies[1])


def test_no_rows_have_the_right_shapes():
    assert empty_rows().values.shape == (0, len(COUNTERS))
    assert empty_rows().extrema.shape == (0, len(EXTREMA))


def test_epoch_microseconds_are_exact():
    assert epoch_us(at(0).replace(microsecond=123_457)) == us(at(0)) + 123_457


def many(count, moment, seed):
    rng = np.random.default_rng(seed)
    base = np.arange(count, dtype=np.int64)
    none = np.zeros(count, dtype=np.int64)
    values = np.sort(rng.uniform(1, 1e6, (2, count, len(COUNTERS))), axis=0)[seed]
    names = tuple(f"10:16384:{number}:true" for number in range(count))
    lives = ("2026-03-01T00:00:00",) * count
    return CounterReading(
        moment, names, lives, base, none, values, rng.uniform(1, 9, (count, len(EXTREMA))), none, none, none
    )


@pytest.mark.parametrize(("count", "allowed_ms"), [(5_000, 20.0), (50, 0.3)])
def test_differencing_is_fast(count, allowed_ms):
    before, after = many(count, at(0), 0), many(count, at(5), 1)
    taken = []
    for _ in range(15):
        began = time.process_time_ns()
        difference(before, after)
        taken.append((time.process_time_ns() - began) / 1e6)
    assert min(taken) < allowed_ms
