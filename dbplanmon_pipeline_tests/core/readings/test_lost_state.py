"""Going on where a reading was stored that cannot be used any more: nothing twice, nothing invented."""

from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.readings.lost_state import NOTE, begin_anew
from dbplanmon_pipeline_tests.core.readings.small_readings import at, column, counter, reading, us


def quarters(moment, *executions):
    """Query Store's intervals of a quarter of an hour from noon on."""
    entries = [
        counter(f"{number}", start=at(15 * number), end=at(15 * number + 15), execution_count=count)
        for number, count in enumerate(executions)
    ]
    return replace(reading(moment, *entries), covers_from_us=us(at(0)), next_from_us=us(at(0)))


def test_only_intervals_that_began_since_are_emitted():
    delta = begin_anew(at(20), quarters(at(50), 1, 2, 4, 8))
    assert column(delta.rows, "execution_count") == [4, 8]
    assert delta.rows.interval_end_us.tolist() == [us(at(45)), us(at(50))]
    assert (delta.accepted, delta.note, delta.seconds, delta.new_lives) == (True, NOTE, 1800.0, 2)


def test_an_interval_that_began_at_that_very_moment_is_new():
    assert column(begin_anew(at(30), quarters(at(50), 1, 2, 4)).rows, "execution_count") == [4]


def test_cumulative_counters_only_set_the_starting_point():
    delta = begin_anew(at(0), reading(at(5), counter("a", execution_count=9, began=at(2))))
    assert (len(delta.rows), delta.accepted, delta.note) == (0, True, NOTE)


@pytest.mark.parametrize("minutes", [50, 51])
def test_a_reading_that_is_not_younger_is_not_accepted(minutes):
    delta = begin_anew(at(minutes), quarters(at(50), 1, 2, 4))
    assert (len(delta.rows), delta.accepted, delta.new_lives) == (0, False, 0)
    assert "not older" in delta.note
