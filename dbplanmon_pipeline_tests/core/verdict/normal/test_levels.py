"""Levels that figures pass."""

import numpy as np

from dbplanmon_pipeline.core.verdict.normal.levels import levels_passed


def test_a_value_passes_the_levels_below_it():
    values = np.array([[0.5, 1.0, 1.5], [2.0, 9.0, np.nan]])
    np.testing.assert_array_equal(levels_passed(values, (1.0, 2.0, 4.0)), [[0, 0, 1], [1, 3, 0]])
