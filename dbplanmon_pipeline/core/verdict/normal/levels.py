"""Which of a few levels figures pass."""

from collections.abc import Iterable

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals


def levels_passed(values: Reals, levels: Iterable[float]) -> Longs:
    """How many of a few levels each value lies above, int64 of the same shape; an unknown one lies above none.

    For half a dozen of them, comparing is ten times as fast as searching.
    """
    passed = np.zeros(values.shape, np.int8)
    for level in levels:
        passed += values > level
    return passed.astype(np.int64)
