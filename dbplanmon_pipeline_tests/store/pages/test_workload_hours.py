"""Hours of statements and databases are the sums of their rows, before and after a day is sealed."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline_tests.store.samples import FIVE_MINUTES, HR, NOON, SALES, ticks, us

HOUR = timedelta(hours=1)
HOURS = [us(NOON + number * HOUR) for number in range(-1, 3)]
ASKED = [(SALES, 1), (SALES, -2), (HR, 1), (SALES, 99)]
ELAPSED = float(COUNTERS.index("elapsed_time_us") + 1)
"""Of each sample row."""


@pytest.fixture
def filled(store):
    """Fourteen intervals from ten minutes before noon on: two, then twelve in the first hour after it."""
    for item in ticks(SALES, NOON - 2 * FIVE_MINUTES, 14, [1, -2, 3]):
        store.record([item])
    for item in ticks(HR, NOON, 1, [1]):
        store.record([item])
    return store


def test_hours_of_statements_are_sums_of_their_rows_hot_and_sealed(filled):
    expected = np.zeros((4, 4, 2))
    expected[0, 0], expected[0, 1] = (20, 2 * ELAPSED), (120, 12 * ELAPSED)
    expected[1] = expected[0]
    expected[2, 1] = (10, ELAPSED)
    np.testing.assert_array_equal(filled.statement_hours(ASKED, HOURS), expected)
    filled.roll_up_day(NOON.date())
    filled.seal_day(NOON.date())
    np.testing.assert_array_equal(filled.statement_hours(ASKED, HOURS), expected)


def test_hours_of_databases_tell_what_is_recorded_and_since_when(filled):
    found = filled.hours_of_databases(HOURS)
    assert np.isnan(found[SALES].elapsed_us).tolist() == [False, False, True, True]
    assert found[SALES].elapsed_us[1] == 3 * 12 * ELAPSED
    assert (found[SALES].since_us, found[HR].since_us) == (HOURS[0], HOURS[1])


def test_an_hour_that_is_asked_for_twice_is_told_twice(filled):
    twice = [HOURS[1], HOURS[3], HOURS[1]]
    np.testing.assert_array_equal(filled.statement_hours(ASKED[:1], twice)[0, :, 0], [120, 0, 120])
    np.testing.assert_array_equal(
        filled.hours_of_databases(twice)[SALES].elapsed_us, [36 * ELAPSED, np.nan, 36 * ELAPSED]
    )


def test_a_statement_is_first_seen_with_its_first_row(filled):
    found = filled.statements_first_seen(ASKED)
    assert set(found) == set(ASKED[:3])
    assert found[SALES, 1] < found[HR, 1] <= NOON + FIVE_MINUTES


def test_an_empty_store_knows_nothing(store):
    assert not store.statement_hours(ASKED, HOURS).any()
    assert store.hours_of_databases(HOURS) == {}
