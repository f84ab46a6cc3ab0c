import numpy as np
import pytest

from dbplanmon_pipeline.core.readings.merging import join_rows, merge_equal_keys, take_rows
from dbplanmon_pipeline_tests.core.readings.small_readings import at, column, rows


def test_rows_of_one_key_add_up_and_keep_a_flag_of_any():
    found = merge_equal_keys(
        rows(
            {"query": 2, "execution_count": 1},
            {"query": 1, "execution_count": 2, "reset": True},
            {"query": 1, "execution_count": 3},
        )
    )
    assert (found.query_hash.tolist(), column(found, "execution_count")) == ([1, 2], [5, 1])
    assert found.counter_reset.tolist() == [True, False]


def test_other_plans_and_intervals_stay_apart():
    entries = [{}, {"plan": 1}, {"start": at(1)}, {"end": at(6)}]
    assert len(merge_equal_keys(rows(*entries, *entries))) == 4


def test_a_counter_unknown_in_one_row_keeps_the_sum_of_the_known_ones():
    found = merge_equal_keys(rows({"rows": 4}, {}, {"rows": 3}))
    assert column(found, "rows") == [7]


def test_a_counter_unknown_in_all_rows_stays_unknown():
    assert np.isnan(column(merge_equal_keys(rows({}, {})), "rows")[0])


def test_sums_of_squares_and_extremes_are_unknown_as_soon_as_one_is():
    figures = {"elapsed_time_us_sumsq": 9, "elapsed_time_us_min": 1, "elapsed_time_us_max": 3}
    found = merge_equal_keys(rows(figures, {}))
    assert np.isnan([column(found, name)[0] for name in figures]).all()


def test_known_extremes_are_the_outermost():
    found = merge_equal_keys(
        rows({"elapsed_time_us_min": 4, "elapsed_time_us_max": 5}, {"elapsed_time_us_min": 1, "elapsed_time_us_max": 2})
    )
    assert (column(found, "elapsed_time_us_min"), column(found, "elapsed_time_us_max")) == ([1], [5])


def test_taken_and_joined_rows_are_the_rows_again():
    every = rows({"query": 1, "rows": 1}, {"query": 2, "rows": 2}, {"query": 3, "rows": 3})
    again = join_rows([take_rows(every, np.array([2])), take_rows(every, np.array([0, 1]))])
    assert (again.query_hash.tolist(), column(again, "rows")) == ([3, 1, 2], [3, 1, 2])


def test_one_slow_run_among_ten_thousand_fast_ones_weighs_as_one_run():
    slow = {"execution_count": 1, "elapsed_time_us": 10_000_000}
    fast = {"execution_count": 10_000, "elapsed_time_us": 10_000_000}
    found = merge_equal_keys(rows(slow, fast))
    assert column(found, "elapsed_time_us")[0] / column(found, "execution_count")[0] == pytest.approx(2000, rel=1e-3)
