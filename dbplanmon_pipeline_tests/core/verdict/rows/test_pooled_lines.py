"""Sums and largest figures of pools of any length."""

import numpy as np
import pytest

from dbplanmon_pipeline.core.verdict.rows.pooled_lines import Pools


@pytest.mark.parametrize("most", [1, 2, 3, 6, 7, 40])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_every_interval_of_a_pool_counts_once(most, kind):
    rng = np.random.default_rng(most)
    length = np.append(rng.integers(1, most + 1, 50), most)
    first = np.cumsum(length) - length
    line = rng.integers(-50, 50, length.sum()).astype(kind)
    pools = Pools(first, len(line))
    own = np.split(line, first[1:])
    assert pools.length.tolist() == length.tolist()
    assert pools.added(line).tolist() == [one.sum() for one in own]
    assert pools.largest(line).tolist() == [one.max() for one in own]
    assert pools.added(line).dtype == kind


def test_what_one_interval_does_not_tell_its_pool_does_not_know():
    pools = Pools(np.array([0, 3]), 5)
    line = np.array([1.0, np.nan, 2.0, 4.0, 5.0])
    np.testing.assert_array_equal(pools.added(line), [np.nan, 9.0])
    np.testing.assert_array_equal(pools.largest(line), [np.nan, 5.0])


def test_no_intervals_make_no_pools():
    nothing = np.zeros(0)
    pools = Pools(np.zeros(0, np.int64), 0)
    assert len(pools.added(nothing)) == len(pools.largest(nothing)) == len(pools.length) == 0
