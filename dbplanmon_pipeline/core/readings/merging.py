"""Interval rows of the same statement, plan and interval become one, so that keys are unique."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, Floats, IntervalRows

_SQUARES = [column for column, name in enumerate(COUNTERS) if name.endswith("_sumsq")]
_MINIMA = [column for column, name in enumerate(EXTREMA) if name.endswith("_min")]


def take_rows(rows: IntervalRows, chosen: NDArray[np.intp]) -> IntervalRows:
    """The rows at these positions, in this order."""
    return IntervalRows(
        rows.query_hash[chosen],
        rows.plan_hash[chosen],
        rows.interval_start_us[chosen],
        rows.interval_end_us[chosen],
        rows.values[chosen],
        rows.extrema[chosen],
        rows.counter_reset[chosen],
    )


def join_rows(parts: Sequence[IntervalRows]) -> IntervalRows:
    """All rows of one or more parts, one after the other."""
    return IntervalRows(
        np.concatenate([part.query_hash for part in parts]),
        np.concatenate([part.plan_hash for part in parts]),
        np.concatenate([part.interval_start_us for part in parts]),
        np.concatenate([part.interval_end_us for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.extrema for part in parts]),
        np.concatenate([part.counter_reset for part in parts]),
    )


def merge_equal_keys(rows: IntervalRows) -> IntervalRows:
    """One row per (query_hash, plan_hash, interval), sorted by them.

    Counters add up; one that is unknown in some rows keeps the sum of the known ones (less than the truth, never
    more) and is NaN only where no row knows it. Sums of squares and extremes are NaN as soon as one row does not know
    them, because they would contradict the totals.
    """
    keys = (rows.interval_end_us, rows.interval_start_us, rows.plan_hash, rows.query_hash)
    order = np.lexsort(keys)
    ordered = take_rows(rows, order)
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.logical_or.reduce([key[order][1:] != key[order][:-1] for key in keys])
    begins = np.flatnonzero(first)
    return ordered if len(begins) == len(order) else _merged(ordered, begins)


def _merged(rows: IntervalRows, begins: NDArray[np.intp]) -> IntervalRows:
    return IntervalRows(
        rows.query_hash[begins],
        rows.plan_hash[begins],
        rows.interval_start_us[begins],
        rows.interval_end_us[begins],
        _summed(rows.values, begins),
        _outermost(rows.extrema, begins),
        np.logical_or.reduceat(rows.counter_reset, begins),
    )


def _summed(values: Floats, begins: NDArray[np.intp]) -> Floats:
    sums: Floats = np.add.reduceat(np.nan_to_num(values, nan=0.0), begins, axis=0)
    sums[np.logical_and.reduceat(np.isnan(values), begins, axis=0)] = np.nan
    sums[:, _SQUARES] = np.add.reduceat(values[:, _SQUARES], begins, axis=0)
    return sums


def _outermost(extrema: Floats, begins: NDArray[np.intp]) -> Floats:
    outermost: Floats = np.maximum.reduceat(extrema, begins, axis=0)
    outermost[:, _MINIMA] = np.minimum.reduceat(extrema[:, _MINIMA], begins, axis=0)
    return outermost
