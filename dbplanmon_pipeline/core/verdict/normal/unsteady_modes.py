"""Hours in which what is common strays on most days: a batch that begins at another minute every night slows all."""

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.normal.history import History
from dbplanmon_pipeline.core.verdict.rows.calendar import HOURS, HOURS_OF_PART
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals

_DAYS = 4
"""On so many days an hour must have been seen."""


def unsteady_modes(history: History, mode: Reals) -> Floats:
    """Variance of what is common to a database and its instance, by parts of the day, on the middle one of all days.

    What happens on fewer than half of the days is no habit and counts nothing.

    Args:
        history: the rows.
        mode: float [rows], what is common, natural logarithm.

    Returns:
        float64 [series, parts], each the largest of its hours and of those next to it.
    """
    database = np.unique(history.rows.database_id, return_inverse=True)[1].astype(np.int64)
    first = min((int(one.runs.day.min()) for one in history.stretches if len(one.runs.day)), default=0)
    days = max((int(one.runs.day.max()) for one in history.stretches if len(one.runs.day)), default=0) - first + 1
    shape = (int(database.max(initial=-1)) + 1, HOURS, days)
    squares, counted = np.zeros(shape), np.zeros(shape)
    for one in history.stretches:
        runs, own = one.runs, mode[one.place]
        cell = (database[one.series][runs.series] * HOURS + runs.hour) * days + runs.day - first
        squares += _summed(cell, runs.sums(own * own), shape)
        counted += _summed(cell, runs.length.astype(np.float64), shape)
    seen = counted > 0
    mean = np.sort(np.where(seen, squares / np.maximum(counted, 1.0), np.inf), axis=2)
    number = seen.sum(axis=2)
    middle = np.take_along_axis(mean, np.maximum(number - 1, 0)[:, :, None] // 2, axis=2)[:, :, 0]
    of_hours = np.where(number >= _DAYS, middle, 0.0)
    # What ends in the last minutes of an hour on most days ends in the next one on some.
    of_hours = np.max([np.roll(of_hours, away, axis=1) for away in (-1, 0, 1)], axis=0)
    found: Floats = of_hours.reshape(len(of_hours), -1, HOURS_OF_PART).max(axis=2)[database]
    return found


def _summed(cell: Longs, values: Floats, shape: tuple[int, ...]) -> Floats:
    sums: Floats = np.bincount(cell, values, minlength=int(np.prod(shape))).astype(np.float64, copy=False)
    return sums.reshape(shape)
