"""What is normal for one view of each statement, and how far it strays from that while all is well."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.normal.dear import FIGURES
from dbplanmon_pipeline.core.verdict.normal.tails import LEVELS
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.calendar import HOURS, SATURDAY, WEEKDAYS
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows

MAX_EXECUTION_VARIANCE = 2.0
"""The mean of few heavy-tailed executions strays less on the logarithmic scale than their variance would have it."""

_SINGLES = 13
_LEAST_LOAD = 0.01


@dataclass(frozen=True)
class Normal:
    """Normal of one view, one row per statement; natural logarithms.

    Attributes:
        level: float64 [n], NaN where the view is unknown.
        slope / slope_centre: float64 [n]; by how much the level rises with -1 / sqrt(executions), and around where:
            the logarithm of a mean of few heavy-tailed executions is too low.
        slope_width: float64 [n], standard deviation of -1 / sqrt(executions).
        weekend: float64 [n], added on Saturdays and Sundays.
        sensitivity: float64 [n], share of what the instance has in common that this statement feels.
        sensitivity_doubt: float64 [n], standard deviation of what that may be wrong by all through a window.
        interval_variance / execution_variance: float64 [n]; an interval of m executions strays with the variance
            `interval_variance + execution_variance / m`.
        scale: float64 [n], typical distance of an interval from its normal.
        whole: float64 [n], how far the mean of all executions lies above that of a typical interval; see `whole.py`.
        habit: float64 [n], how large habits of this statement may well be that are not learnt yet.
        level_variance: float64 [n], how sure the level is.
        weekdays: float64 [n, 7], added by day of the week (UTC), Monday first; NaN for a day not seen of a statement
            whose days have levels of their own.
        offsets: float64 [n, 24], by hour of day (UTC).
        inflation: float64 [n, scales], standard deviation of a window's mean over what independent intervals would
            have; NaN: too few windows.
        highest: float64 [n, scales], second largest daily maximum of such a mean, in those standard deviations.
        tail: float64 [n, levels], how rarely single intervals lie how far above normal; see `tails.py`.
        dear: float64 [n, figures], of single executions far above the others; see `dear.py`.
    """

    level: Floats
    slope: Floats
    slope_centre: Floats
    slope_width: Floats
    weekend: Floats
    sensitivity: Floats
    sensitivity_doubt: Floats
    interval_variance: Floats
    execution_variance: Floats
    scale: Floats
    whole: Floats
    habit: Floats
    level_variance: Floats
    weekdays: Floats
    offsets: Floats
    inflation: Floats
    highest: Floats
    tail: Floats
    dear: Floats

    def expected(self, rows: SeriesRows) -> Floats:
        """Expected logarithm of each row [rows]; row i of this belongs to series i."""
        fixed = self.level - self.slope * self.slope_centre
        days = np.nan_to_num(self.weekdays) + self.weekend[:, None] * (np.arange(WEEKDAYS) >= SATURDAY)
        hours = fixed[:, None, None] + days[:, :, None] + self.offsets[:, None, :]
        expected: Floats = hours.ravel().take(rows.series * (WEEKDAYS * HOURS) + rows.hour_of_week)
        expected += rows.spread(self.slope) * rows.load
        return expected

    def unseen_day_variance(self, rows: SeriesRows) -> Floats | None:
        """Variance that a row has because nothing of its weekday was seen [rows]; None: there are no such rows."""
        unseen = np.isnan(self.weekdays)
        if not unseen.any():
            return None
        levels = self.weekdays + self.weekend[:, None] * (np.arange(WEEKDAYS) >= SATURDAY)
        seen = np.maximum(WEEKDAYS - unseen.sum(axis=1), 1)
        variance = np.where(unseen, 0.0, np.nan_to_num(levels) ** 2).sum(axis=1) / seen
        found: Floats = rows.spread(variance) * unseen[rows.series, rows.hour_of_week // HOURS]
        return found

    def variance(self, rows: SeriesRows) -> Floats:
        """Variance of each row about its expected logarithm while all is well [rows]."""
        return row_variance(rows, self.interval_variance, self.execution_variance)

    def whole_at(self, series: Longs, more_load: Floats) -> Floats:
        """What costs may be above normal with more executions than were learnt from, natural logarithm [m].

        The logarithm of a mean of n heavy-tailed executions lies below that of the mean of all by about a constant over
        n. `slope` tells of as many as usual; from twice as far away as they stray, that constant is all that counts.

        Args:
            series: int64 [m].
            more_load: float64 [m], -1 / sqrt(executions) above `slope_centre`.
        """
        width, centre = self.slope_width[series], np.minimum(self.slope_centre[series], -_LEAST_LOAD)
        closed = 1.0 - (np.minimum(centre + more_load, 0.0) / centre) ** 2
        share = np.clip((more_load - width) / np.maximum(width, _LEAST_LOAD), 0.0, 1.0)
        found: Floats = share * np.maximum(self.whole[series] * closed - self.slope[series] * more_load, 0.0)
        return found

    def rare(self, policy: DetectorPolicy) -> NDArray[np.bool_]:
        """Statements that ran too rarely to fill the longest window while all was well, for a day at least [n]."""
        rare: NDArray[np.bool_] = np.isnan(self.inflation[:, -1]) & (self.habit >= policy.habit)
        return rare & (self.habit < policy.young_habit)

    def at(self, statements: Longs) -> "Normal":
        """The given statements, in that order."""
        return Normal(*(part[statements] for part in self._parts()))

    def columns(self) -> list[Floats]:
        """All figures side by side, each two-dimensional."""
        return [part if part.ndim == 2 else part[:, None] for part in self._parts()]

    def _parts(self) -> tuple[Floats, ...]:
        return (
            self.level,
            self.slope,
            self.slope_centre,
            self.slope_width,
            self.weekend,
            self.sensitivity,
            self.sensitivity_doubt,
            self.interval_variance,
            self.execution_variance,
            self.scale,
            self.whole,
            self.habit,
            self.level_variance,
            self.weekdays,
            self.offsets,
            self.inflation,
            self.highest,
            self.tail,
            self.dear,
        )


def row_variance(rows: SeriesRows, interval_variance: Floats, execution_variance: Floats) -> Floats:
    """Variance of the logarithm of each row [rows]."""
    few = np.minimum(rows.spread(execution_variance) / rows.executions, MAX_EXECUTION_VARIANCE)
    return rows.spread(interval_variance) + few


def widths(scales: int) -> list[int]:
    """Columns of each part of `Normal.columns`."""
    return [1] * _SINGLES + [WEEKDAYS, HOURS, scales, scales, len(LEVELS), FIGURES]


def from_columns(parts: list[Floats]) -> Normal:
    """Read what `Normal.columns` gave."""
    single = [part[:, 0] for part in parts[:_SINGLES]]
    return Normal(*single, *parts[_SINGLES:])


def joined(normals: Sequence[Normal]) -> Normal:
    """The statements of all of them, in that order."""
    columns = zip(*(normal.columns() for normal in normals), strict=True)
    return from_columns([np.concatenate(parts) for parts in columns])


def unknown(statements: int, scales: int) -> Normal:
    """The normal of a view of which nothing is known."""
    return from_columns([np.full((statements, width), np.nan) for width in widths(scales)])
