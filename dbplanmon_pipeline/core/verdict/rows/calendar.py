"""The rows of each statement by the hour in which they ended: where daily and weekly habits are learnt."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows
from dbplanmon_pipeline.core.verdict.rows.pooled_lines import COVERED, INTERVALS
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals, Singles

HOURS, WEEKDAYS = 24, 7
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
_MONDAY = 3
SATURDAY = 5
_SAMPLES_OF_AN_HOUR = 2.0
"""Intervals of one hour resemble each other: a whole hour of them tells as much as this many independent ones."""

_FURTHER = ((2, 0.6), (3, 0.3), (4, 0.1))
"""What an hour tells of one so many hours away on the same day."""

HOURS_OF_PART = 3
"""Hours of a part of the day."""

_HOURS_TO_COMPARE, _UNSTEADY = 8, 3.0
"""Where so many hours are known, one is unsteady whose variance is so many times their median."""

_MANY = 12
"""So many intervals are worth an hour even where the cadence is faster."""


def weekday(end_us: Longs) -> Longs:
    """Day of the week in UTC of what ended then, 0 for Monday."""
    found: Longs = ((end_us - 1) // DAY_US + _MONDAY) % WEEKDAYS
    return found


def is_weekend(end_us: Longs) -> NDArray[np.bool_]:
    """True for moments of a Saturday or Sunday in UTC."""
    weekend: NDArray[np.bool_] = weekday(end_us) >= SATURDAY
    return weekend


@dataclass(frozen=True)
class HourRuns:
    """Runs of rows of one series that ended in one hour.

    Attributes:
        first: int64 [runs], first row of each.
        length: int64 [runs], rows of each.
        series: int64 [runs].
        hour: int64 [runs], hour of day (UTC).
        day: int64 [runs], days since the epoch.
        weekend: bool [runs].
        samples: float64 [runs], how many independent intervals it is worth.
    """

    first: Longs
    length: Longs
    series: Longs
    hour: Longs
    day: Longs
    weekend: NDArray[np.bool_]
    samples: Floats

    def sums(self, values: Reals) -> Floats:
        """Sum of a row quantity over each run."""
        return np.add.reduceat(values, self.first).astype(np.float64, copy=False) if len(self.first) else np.empty(0)

    def at_rows(self, values: Floats) -> Singles:
        """A figure of each run at each of its rows."""
        return np.repeat(values.astype(np.float32), self.length)


def hour_runs(rows: PooledRows) -> HourRuns:
    """Runs of the rows; every series has at least one row."""
    hour = (rows.end_us - 1) // HOUR_US
    new = np.ones(len(hour), np.bool_)
    new[1:] = hour[1:] != hour[:-1]
    new[rows.bounds[:-1]] = True
    first = np.flatnonzero(new)
    length = np.diff(np.append(first, len(hour)))
    covered, intervals = (
        np.add.reduceat(rows.figures[name], first) if len(first) else np.empty(0) for name in (COVERED, INTERVALS)
    )
    worth = np.maximum(covered, intervals / _MANY).astype(np.float64)
    return HourRuns(
        first=first,
        length=length,
        series=rows.series[first],
        hour=hour[first] % HOURS,
        day=hour[first] // HOURS,
        weekend=is_weekend(rows.end_us[first]),
        samples=_SAMPLES_OF_AN_HOUR * np.minimum(worth, 1.0),
    )


def unsteady_hours(runs: HourRuns, weight: Floats, squares: Floats, series: int) -> Floats:
    """Variance that some hours have beyond what is usual for the others, by parts of the day [series, parts].

    What begins at another minute every night lies far from normal at its edges, on some days and not on others.

    Args:
        runs: hours of each series.
        weight: float64 [runs].
        squares: float64 [runs], mean square distance from normal.
        series: how many there are.
    """
    total, pull = by_hour(runs, weight, series), by_hour(runs, weight * squares, series)
    # A single bad day makes no hour unsteady.
    worst = np.zeros((series, HOURS))
    np.maximum.at(worst, (runs.series, runs.hour), weight * squares)
    days = by_hour(runs, np.ones(len(squares)), series)
    mean = np.where(days > 2, (pull - worst) / np.maximum(total * (1 - 1 / np.maximum(days, 1)), 1e-12), 0.0)
    known = np.where(days > 2, mean, np.nan)
    usual = np.zeros(series)
    many = np.count_nonzero(days > 2, axis=1) >= _HOURS_TO_COMPARE
    if many.any():
        usual[many] = np.nanmedian(known[many], axis=1)
    beyond = np.where(many[:, None], np.maximum(mean - _UNSTEADY * usual[:, None], 0.0), 0.0)
    found: Floats = beyond.reshape(series, -1, HOURS_OF_PART).max(axis=2)
    return found


def by_hour(runs: HourRuns, values: Floats, series: int) -> Floats:
    """Sum of a figure of the runs over each hour of the day [series, 24]."""
    sums: Floats = np.bincount(runs.series * HOURS + runs.hour, values, minlength=series * HOURS).astype(np.float64)
    return sums.reshape(series, HOURS)


def around_the_hour(hours: Floats) -> Floats:
    """Sum over each hour of the day and its two neighbours [series, 24]."""
    total = hours.copy()
    total[:, 1:] += hours[:, :-1]
    total[:, 0] += hours[:, -1]
    total[:, :-1] += hours[:, 1:]
    total[:, -1] += hours[:, 0]
    return total


def around_today(hours: Floats) -> Floats:
    """Sum over the hours around each hour of the day, less of those further away [series, 24]."""
    total: Floats = around_the_hour(hours)
    for away, share in _FURTHER:
        total = total + share * (np.roll(hours, away, axis=1) + np.roll(hours, -away, axis=1))
    return total


def series_sums(values: Reals, bounds: Longs) -> Floats:
    """Sum of contiguous groups, none of them empty."""
    return np.add.reduceat(values, bounds[:-1]).astype(np.float64, copy=False) if len(bounds) > 1 else np.empty(0)
