"""What the statements of one instance have in common at each tick: a slow disk moves all of them, a plan only one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.series import SeriesRows
from dbplanmon_pipeline.core.verdict.sorted_groups import bounds_of, group_medians

_MEDIAN_ERROR = 1.2533 * 1.4826
"""Standard error of a median = this * median absolute deviation / sqrt(n) for normal noise."""


@dataclass(frozen=True)
class CommonMode:
    """The common mode on a grid of instances and ticks.

    Attributes:
        log_ratio: float64 [instances, ticks], median of ln(cost / normal) over the statements; cut off where few
            ran, 0 where too few did.
        statements: int64 [instances, ticks], how many spoke.
        supported: bool [instances, ticks], most of them rose, and by more than chance would have it.
        ticks: int64 [rows], tick of each row; the last column is the tick of `as_of`.
        cell: int64 [rows], index of each row into the raveled grid.
    """

    log_ratio: Floats
    statements: Longs
    supported: NDArray[np.bool_]
    ticks: Longs
    cell: Longs

    def removed(self, policy: DetectorPolicy) -> Floats:
        """What to take from the deviation of each row [rows], natural logarithm."""
        strong = self.supported & (self.log_ratio > np.log(policy.common_mode_strong))
        share = np.where(strong, policy.common_mode_slack, 1.0) * self.log_ratio
        taken: Floats = share.ravel()[self.cell]
        return taken


def common_mode(rows: SeriesRows, deviation: Floats, as_of_us: int, policy: DetectorPolicy) -> CommonMode:
    """Find the common mode of every instance and tick.

    Args:
        rows: the series.
        deviation: float64 [rows], ln(cost / normal); NaN where there is no normal.
        as_of_us: the moment in the middle of the last tick [epoch microseconds].
        policy: thresholds.
    """
    back = (as_of_us - rows.end_us + policy.step_us // 2) // policy.step_us
    width = int(back.max(initial=0)) + 1
    number = int(rows.instance.max(initial=-1)) + 1
    cell = rows.instance[rows.series] * width + (width - 1 - back)
    speaks = np.flatnonzero((rows.executions >= policy.common_mode_executions) & ~np.isnan(deviation))
    speaks = speaks[np.argsort(cell[speaks], kind="stable")]
    where, values = cell[speaks], deviation[speaks]
    bounds = bounds_of(where, number * width)
    counts = np.diff(bounds)
    medians = _believed(group_medians(values, bounds), counts, policy)
    error = _MEDIAN_ERROR * group_medians(np.abs(values - medians[where]), bounds) / np.sqrt(np.maximum(counts, 1))
    rose = np.bincount(where[values > medians[where] / 2], minlength=number * width)
    supported = (
        (medians > 0)
        & (rose >= policy.common_mode_support * counts)
        & (medians >= policy.common_mode_score * np.nan_to_num(error))
    )
    shape = (number, width)
    return CommonMode(medians.reshape(shape), counts.reshape(shape), supported.reshape(shape), width - 1 - back, cell)


def _believed(medians: Floats, counts: Longs, policy: DetectorPolicy) -> Floats:
    """A handful of statements may be broken together, so their median is believed only up to a factor."""
    limit = np.log(policy.common_mode_few_ratio)
    few = np.where(counts >= policy.common_mode_few, np.clip(medians, -limit, limit), 0.0)
    return np.where(counts >= policy.common_mode_statements, medians, few)
