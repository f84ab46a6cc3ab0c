"""Levels of single weekdays, where days differ from each other and do so at midnight."""

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.verdict.rows.calendar import HOURS, WEEKDAYS, HourRuns

_QUARTERS = 4
_LEAST_JUMPS = 4
_USUAL = 2.0
"""From so many times the change between quarters of a day on, the change at midnight is more than chance."""


def weekday_levels(
    runs: HourRuns, day: NDArray[np.int64], weight: Floats, rest: Floats, series: int
) -> tuple[Floats, Floats]:
    """What each weekday costs more than the week, as far as that is believed.

    Costs that drift, or remember what they were, change between the quarters of a day as much as they do at midnight;
    a weekday with a level of its own begins there. One week shows each weekday once, so what is believed is that a
    level which begins and ends at midnight comes back after a week.

    Args:
        runs: hours of each series.
        day: int64 [runs], weekday of each.
        weight: float64 [runs].
        rest: float64 [runs], mean distance from normal, natural logarithm.
        series: how many there are.

    Returns:
        Levels [series, 7], NaN for a day not seen where others have levels of their own, and their variance [series].
    """
    cell = (runs.series * WEEKDAYS + day) * _QUARTERS + runs.hour // (HOURS // _QUARTERS)
    shape, size = (series, WEEKDAYS * _QUARTERS), series * WEEKDAYS * _QUARTERS
    total = np.bincount(cell, weight, minlength=size).reshape(shape)
    pulled = np.bincount(cell, weight * rest, minlength=size).reshape(shape)
    seen = total > 0
    quarter = pulled / np.where(seen, total, 1.0)
    step = np.where(seen & np.roll(seen, 1, axis=1), (quarter - np.roll(quarter, 1, axis=1)) ** 2, np.nan)
    at_midnight = np.arange(shape[1]) % _QUARTERS == 0
    jumps = np.count_nonzero(~np.isnan(step[:, at_midnight]), axis=1)
    jump, usual = _mean(step[:, at_midnight]), _mean(step[:, ~at_midnight])
    trust = np.where(jumps >= _LEAST_JUMPS, np.maximum(1.0 - _USUAL * usual / np.maximum(jump, 1e-12), 0.0), 0.0)
    days = total.reshape(series, WEEKDAYS, _QUARTERS).sum(axis=2)
    level = pulled.reshape(series, WEEKDAYS, _QUARTERS).sum(axis=2) / np.where(days > 0, days, 1.0)
    known = (days > 0) | (trust == 0)[:, None]
    return np.where(known, trust[:, None] * level, np.nan), trust * usual / _QUARTERS


def _mean(values: Floats) -> Floats:
    """Mean of the known figures of each line, 0 for none."""
    known = ~np.isnan(values)
    found: Floats = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return found
