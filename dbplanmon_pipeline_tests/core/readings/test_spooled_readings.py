"""A reading made without the state, fitted to the state that is found later."""

from dataclasses import replace

import numpy as np
import pytest

from dbplanmon_pipeline.core.readings.deltas import difference, retained
from dbplanmon_pipeline.core.readings.query_store_span import EngineInterval, IntervalPolicy, reading_span
from dbplanmon_pipeline.core.readings.spooled_readings import as_read_after, left_off_at, without_a_state
from dbplanmon_pipeline_tests.core.readings.small_readings import at, counter, reading, us

HOUR_US = 3_600_000_000
POLICY = IntervalPolicy(HOUR_US, HOUR_US // 4)


def hours(moment, *counts, ahead_us=0, first=-2):
    """A reading of one counter per hour from noon + `first` on, as a server whose clock is ahead shows it."""
    begins = [at(60 * (first + number)) for number in range(len(counts))]
    found = reading(
        moment,
        *(
            counter(f"7@{us(begin) + ahead_us}", start=begin, end=at(0) + (begin - at(0)) + (at(60) - at(0)), query=1)
            | {"execution_count": count}
            for begin, count in zip(begins, counts, strict=True)
        ),
    )
    return replace(found, covers_from_us=us(begins[0]), next_from_us=us(begins[0]))


def executions(delta):
    return {
        int(start): float(count)
        for start, count in zip(delta.rows.interval_start_us, delta.rows.values[:, 0], strict=True)
    }


def test_counters_that_live_on_are_whole_by_themselves():
    late = reading(at(5), counter("a", execution_count=7))
    assert as_read_after(reading(at(0), counter("a")), late) is late
    assert as_read_after(None, late) is late


def test_what_the_state_settled_is_not_counted_again():
    state = retained(replace(hours(at(0), 10, 20), next_from_us=us(at(-60))))
    late = hours(at(5), 10, 25, 4)
    assert executions(difference(state, late))[us(at(-120))] == 10, "the settled hour would count twice"
    fitted = as_read_after(state, late)
    assert executions(difference(state, fitted)) == {us(at(0)): 4.0, us(at(-60)): 5.0}
    assert fitted.covers_from_us == us(at(-60))


def test_a_reading_that_begins_too_late_is_not_joined_on():
    state = retained(hours(at(0), 10, 20))
    assert as_read_after(state, hours(at(180), 5, 6, first=1)) is None


@pytest.mark.parametrize(("late_us", "joins"), [(0, True), (30_000_000, True), (30_000_001, False)])
def test_a_reading_joins_on_that_begins_half_a_minute_late_at_most(late_us, joins):
    state = retained(hours(at(0), 10, 20))
    late = replace(hours(at(5), 10, 25), covers_from_us=state.covers_from_us + late_us)
    assert (as_read_after(state, late) is not None) == joins


def test_a_server_that_is_ahead_all_the_time_moves_no_border():
    ahead_us = 60_000_000
    state = retained(replace(hours(at(0), 10, 20, ahead_us=ahead_us), next_from_us=us(at(-60))))
    late = hours(at(5), 10, 25, ahead_us=ahead_us)
    assert as_read_after(state, late).covers_from_us == us(at(-60))
    assert as_read_after(state, left_off_at(at(5), us(at(-60)))).covers_from_us == us(at(-60))


def test_a_clock_that_was_measured_anew_settles_the_same_hours():
    """Both readings know the server's own moments, so ten seconds of difference move no border."""
    state = retained(replace(hours(at(0), 10, 20, ahead_us=20_000_000), next_from_us=us(at(-60))))
    late = hours(at(5), 10, 25, ahead_us=10_000_000)
    moved = replace(late, keys=tuple(f"7@{start + 20_000_000}" for start in late.interval_start_us.tolist()))
    moved = replace(
        moved, interval_start_us=late.interval_start_us + 10_000_000, covers_from_us=us(at(-120)) + 10_000_000
    )
    fitted = as_read_after(state, moved)
    assert fitted.keys == (f"7@{us(at(-60)) + 20_000_000}",)


@pytest.mark.parametrize(("begins", "joins"), [(-1, True), (0, True), (1, False)])
def test_after_a_reading_of_another_source_it_must_hold_the_hour_of_the_switch(begins, joins):
    cache = reading(at(30), counter("handle", execution_count=3))
    assert (as_read_after(cache, hours(at(65), 5, first=begins)) is not None) == joins


def test_without_any_state_the_usual_unsettled_hours_are_read():
    now = at(7)
    intervals = [EngineInterval(us(at(60 * hour)), us(at(60 * hour + 60)), hour) for hour in range(-24, 1)]
    known = reading_span(intervals, hours(at(2), 1, 1, first=-1), POLICY, now_us=us(now), skew_us=0)
    blind = reading_span(intervals, without_a_state(now), POLICY, now_us=us(now), skew_us=0)
    assert blind.covers_from_us <= known.covers_from_us
    assert blind.next_from_us == known.next_from_us
    assert us(now) - blind.covers_from_us <= 3 * HOUR_US


def test_where_a_reading_left_off_needs_no_counters():
    whole = replace(hours(at(5), 10, 25, 4), next_from_us=us(at(-60)))
    intervals = [EngineInterval(us(at(60 * hour)), us(at(60 * hour + 60)), hour) for hour in range(-24, 1)]
    spans = [
        reading_span(intervals, earlier, POLICY, now_us=us(at(10)), skew_us=0)
        for earlier in (retained(whole), left_off_at(whole.read_at, whole.covers_from_us, whole.next_from_us))
    ]
    assert spans[0] == spans[1]


def test_a_reading_without_counters_joins_on_by_its_span():
    state = retained(replace(hours(at(0), 10, 20), next_from_us=us(at(-60))))
    nothing = left_off_at(at(5), us(at(-120)))
    fitted = as_read_after(state, nothing)
    assert len(fitted) == 0
    assert not np.any(difference(state, fitted).rows.values)
