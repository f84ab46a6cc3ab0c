"""Moments of many groups are found by one search."""

import numpy as np
import pytest

from dbplanmon_pipeline.core.verdict.rows.timed_keys import TimedKeys

NOON_US = 1_772_366_400_000_000


@pytest.mark.parametrize("groups", [3, 100_000])
def test_every_group_finds_its_rows_up_to_any_moment(groups):
    group = np.repeat(np.arange(groups), 3)
    end_us = NOON_US + np.tile([0, 10, 3_000_000_000], groups)
    keys = TimedKeys.of(end_us)
    ends = keys.of_rows(group, end_us)
    assert (np.diff(ends) > 0).all()
    every = np.arange(groups)
    for moment_us, rows in ((0, 0), (NOON_US - 1, 0), (NOON_US, 1), (NOON_US + 20, 2), (NOON_US * 2, 3)):
        found = np.searchsorted(ends, keys.until(every, moment_us), "right")
        np.testing.assert_array_equal(found, 3 * every + rows)


def test_no_rows_have_keys_as_well():
    nothing = np.zeros(0, np.int64)
    keys = TimedKeys.of(nothing)
    assert len(keys.of_rows(nothing, nothing)) == 0
    assert np.searchsorted(nothing, keys.until(np.arange(2), NOON_US), "right").tolist() == [0, 0]
