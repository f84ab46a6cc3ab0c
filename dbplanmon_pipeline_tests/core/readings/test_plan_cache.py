"""What is recorded of the plan cache: each life of a statement once, never what ran before the first look."""

import numpy as np

from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.deltas import difference
from dbplanmon_pipeline.core.readings.plan_cache import PlanCacheStats, merge_equal_counters, plan_cache_reading
from dbplanmon_pipeline_tests.core.readings.small_readings import at, column, us

MINUTE_US = 60_000_000


def cached(counter, executions, *, age, created="boot/1", query=7, plan=8, elapsed=100, reads=10):
    """A row of ROW_COLUMNS; `elapsed` [microseconds] and `reads` [pages] per execution, `age` [minutes]."""
    totals = (executions, executions * elapsed, executions * elapsed / 2, executions * reads, 0, 0, executions, None)
    return (counter, created, age * MINUTE_US, query, plan, *totals, 1.0, 2.0 * elapsed, 1.0, 2.0, 1024.0, 1.0)


def reading_at(minute, *rows):
    return plan_cache_reading(PlanCacheStats.of_rows(rows), read_at=at(minute))


def recorded(before, after, name="execution_count"):
    return column(difference(before, after).rows, name)


def test_the_first_reading_emits_nothing():
    assert recorded(None, reading_at(5, cached("a", 1000, age=90))) == []


def test_two_handles_of_one_hash_are_added():
    before = reading_at(5, cached("a", 100, age=90), cached("b", 10, age=90))
    after = reading_at(10, cached("a", 103, age=95), cached("b", 14, age=95))
    assert recorded(before, after) == [7]
    assert recorded(before, after, "logical_reads_pages") == [70]


def test_a_figure_that_falls_while_executions_rise_begins_a_new_life():
    before = reading_at(5, cached("a", 100, age=90, reads=50))
    after = reading_at(10, cached("a", 120, age=95, reads=1))
    delta = difference(before, after)
    assert delta.resets == 1
    assert column(delta.rows, "execution_count") == [120]
    assert delta.rows.counter_reset.tolist() == [True]


def test_after_a_restart_the_new_life_counts_whole():
    before = reading_at(5, cached("a", 100, age=90, created="monday/1"))
    after = reading_at(10, cached("a", 500, age=2, created="tuesday/1"))
    assert recorded(before, after) == [500]


def test_after_a_flush_of_the_cache_recompiled_plans_count_whole_and_the_rest_is_gone():
    before = reading_at(5, cached("a", 100, age=90), cached("b", 100, age=90, query=9))
    after = reading_at(10, cached("a", 3, age=1, created="boot/2"))
    delta = difference(before, after)
    assert column(delta.rows, "execution_count") == [3]
    assert delta.resets == 1


def test_a_statement_that_was_cached_but_hidden_before_emits_nothing():
    before = reading_at(5, cached("a", 100, age=90))
    after = reading_at(10, cached("a", 101, age=95), cached("b", 50_000, age=600, query=9))
    delta = difference(before, after)
    assert delta.hidden == 1
    assert delta.rows.query_hash.tolist() == [7]


def test_ages_tell_when_a_life_began_whatever_the_clock_of_the_server_says():
    assert reading_at(10, cached("a", 1, age=4)).life_began_us.tolist() == [us(at(6))]


def test_a_zero_hash_is_no_statement_and_counts_as_other_work():
    found = reading_at(5, cached("a", 1, age=1, query=0, plan=8))
    assert (found.query_hash.tolist(), found.plan_hash.tolist()) == ([OTHER_STATEMENTS], [0])


def test_what_the_cache_does_not_tell_is_unknown():
    found = reading_at(5, cached("a", 1, age=1))
    for name in ("elapsed_time_us_sumsq", "wait_time_us", "aborted_count", "spill_pages"):
        assert np.isnan(column(found, name)).all()


def test_a_statement_shown_twice_is_one_counter():
    twice = [cached("a", 3, age=2, created="boot/2", elapsed=500), cached("a", 4, age=5, created="boot/1")]
    stats = merge_equal_counters(PlanCacheStats.of_rows([cached("b", 1, age=1), *twice]))
    assert stats.counter == ("a", "b")
    assert stats.created == ("boot/1", "boot/1")
    assert stats.totals[:, 0].tolist() == [7, 1]
    assert stats.extrema[0, 1] == 1_000.0
    assert stats.age_us.tolist() == [5 * MINUTE_US, MINUTE_US]


def test_an_empty_cache_is_an_empty_reading():
    assert len(reading_at(5)) == 0
