"""Hour offsets: how far a statement's cost lies from its median at each hour of the day."""

import numpy as np

from dbplanmon_pipeline.core.counters import Floats
from dbplanmon_pipeline.core.verdict.series import SeriesRows
from dbplanmon_pipeline.core.verdict.sorted_groups import blocks, bounds_of, last_rows, row_quantiles, sort_rows, take

HOURS = 24
_DAY_US = 86_400_000_000
_FULL_HOUR = 12.0


def hour_offsets(rows: SeriesRows, deviation: Floats, shrink_at: float) -> Floats:
    """Median deviation of each hour and its two neighbours, shrunk towards 0 where samples are few.

    An hour of many short intervals still is one hour, so one day gives it at most 12 samples. Statements seen for
    less than a day have no offsets.

    Args:
        rows: the series.
        deviation: float64 [rows], ln cost minus the median of its series; NaN unknown.
        shrink_at: samples at which an offset counts half.

    Returns:
        float64 [series, 24], natural logarithm.
    """
    offsets = np.zeros((len(rows), HOURS))
    seen_us = rows.end_us[rows.bounds[1:] - 1] - rows.start_us[rows.bounds[:-1]]
    if not (seen_us >= _DAY_US).any():
        return offsets
    cell = rows.series * HOURS + rows.hour
    by_hour = np.argsort(cell, kind="stable")
    bounds = bounds_of(cell, len(rows) * HOURS).astype(np.int64)
    values = deviation[by_hour]
    largest = np.diff(bounds).reshape(len(rows), HOURS).max(axis=1, initial=0)
    for block in blocks(largest * HOURS * 3):
        cells = (block[:, None] * HOURS + np.arange(HOURS)).ravel()
        hours = last_rows(bounds[cells], bounds[cells + 1], max(1, int(largest[block[0]])))
        hours = hours.reshape(len(block), HOURS, -1)
        around = np.concatenate([np.roll(hours, 1, axis=1), hours, np.roll(hours, -1, axis=1)], axis=2)
        ordered, counts = sort_rows(take(values, around.reshape(len(cells), -1)))
        medians = np.nan_to_num(row_quantiles(ordered, counts, 0.5)).reshape(len(block), HOURS)
        days = np.ceil(seen_us[block] / _DAY_US)[:, None]
        samples = np.minimum(counts.reshape(len(block), HOURS), 3 * _FULL_HOUR * days)
        offsets[block] = medians * samples / (samples + shrink_at)
    offsets[seen_us < _DAY_US] = 0.0
    return offsets
