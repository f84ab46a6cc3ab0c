"""Sums over the last k active intervals of any row, for any k, from sums over all rows before."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows


@dataclass(frozen=True)
class CostRows:
    """One metric of all rows against its normal.

    Attributes:
        residual: float64 [rows], ln(cost / normal) without what is common; NaN unknown.
        expected_us: float64 [rows], what the executions would have cost normally, a slow instance allowed for.
        observed_us: float64 [rows], what they cost, by the robust cost.
    """

    residual: Floats
    expected_us: Floats
    observed_us: Floats


def cost_rows(executions: Floats, log_cost: Floats, normal: Floats, removed: Floats) -> CostRows:
    """Set costs against their normal.

    Args:
        executions: float64 [rows].
        log_cost: float64 [rows], ln of the cost per execution [microseconds].
        normal: float64 [rows], the same as expected.
        removed: float64 [rows], what is common; where the instance is faster than normal, a statement that is not
            faster too has done nothing wrong, so only a rise enters the expectation.
    """
    allowed = np.exp(normal + np.maximum(removed, 0.0))
    return CostRows(log_cost - normal - removed, executions * allowed, executions * np.exp(log_cost))


def running_sums(values: Floats) -> Floats:
    """Sum of all values before each [rows + 1]; unknown ones count as 0."""
    sums = np.zeros(len(values) + 1)
    unknown = np.isnan(values)
    np.cumsum(np.where(unknown, 0.0, values) if unknown.any() else values, out=sums[1:])
    return sums


def between(sums: Floats, row: Longs, length: Longs) -> Floats:
    """Sum over the `length` rows that end with `row`."""
    found: Floats = sums[row + 1] - sums[row + 1 - length]
    return found


SHORT = 12
"""Rows up to which a window is short."""

_CAP_SHORT, _CAP_LONG = 8.0, 4.0
"""In typical distances from normal: what a single row may count for in a short and in a long window."""

_LEAST_CAP = 1.0
_TINY = 1e-9


class WeightedSums:
    """Means of a residual in which sure rows weigh more.

    Args:
        residual: float64 [rows], NaN unknown.
        variance: float64 [rows], of each while all is well.
        scale: float64 [rows], typical distance of a row from its normal.
        common: float64 [rows], what was taken out as common.
    """

    def __init__(self, residual: Floats, variance: Floats, scale: Floats, common: Floats) -> None:
        weight = 1.0 / variance
        weighted = weight * residual
        weight[np.isnan(weighted)] = 0.0
        self.residual = residual
        self._weight = running_sums(weight)
        self._weighted = running_sums(weighted)
        limits = [_CAP_SHORT * np.maximum(scale, np.sqrt(variance)), _CAP_LONG * scale]
        limits = [np.maximum(limit, _LEAST_CAP) for limit in limits]
        self._capped = [running_sums(weight * np.clip(residual, -limit, limit)) for limit in limits]
        self._common = running_sums(weight * np.abs(common))

    def weight(self, row: Longs, length: Longs) -> Floats:
        """One over the variance of the mean."""
        return between(self._weight, row, length)

    def mean(self, row: Longs, length: Longs) -> Floats:
        """Mean of the window; 0 where nothing is known."""
        return self._per_weight(self._weighted, row, length)

    def means(self, length: int) -> Floats:
        """Mean of the window of that length that ends with each row [rows]; means nothing where it has too few rows."""
        found = np.zeros(len(self.residual))
        if len(found) >= length:
            weight = self._weight[length:] - self._weight[:-length]
            known = weight > _TINY
            np.divide(self._weighted[length:] - self._weighted[:-length], weight, out=found[length - 1 :], where=known)
        return found

    def capped(self, row: Longs, length: Longs) -> Floats:
        """Mean of the window in which no row counts for more than a few typical distances, fewer in long windows."""
        short = length <= SHORT
        if short.all() or not short.any():
            return self._per_weight(self._capped[0 if short.all() else 1], row, length)
        return np.where(short, *(self._per_weight(sums, row, length) for sums in self._capped))

    def mean_of(self, values: Floats) -> Callable[[Longs, Longs], Floats]:
        """Means over windows of another figure of the rows, in which the same rows weigh more."""
        sums = running_sums(np.diff(self._weight) * values)
        return lambda row, length: self._per_weight(sums, row, length)

    def common(self, row: Longs, length: Longs) -> Floats:
        """Mean of what was taken out as common, either way."""
        return self._per_weight(self._common, row, length)

    def _per_weight(self, sums: Floats, row: Longs, length: Longs) -> Floats:
        weight = between(self._weight, row, length)
        known = weight > _TINY
        return np.where(known, between(sums, row, length) / np.where(known, weight, 1.0), 0.0)


class CostSums:
    """Sums of the cost of one metric over windows.

    Args:
        rows: the series.
        costs: of the metric.
    """

    def __init__(self, rows: SeriesRows, costs: CostRows) -> None:
        known = ~np.isnan(costs.residual)
        self._rows = rows
        self._expected = running_sums(np.where(known, costs.expected_us, 0.0))
        self._observed = running_sums(np.where(known, costs.observed_us, 0.0))

    def ratio(self, row: Longs, length: Longs) -> Floats:
        """Observed over expected cost, every execution counting alike."""
        expected = np.maximum(between(self._expected, row, length), 1.0)
        return np.maximum(between(self._observed, row, length), 1.0) / expected

    def expected_us(self, row: Longs, length: Longs) -> Floats:
        """Cost as expected [microseconds]."""
        return between(self._expected, row, length)

    def extra_us(self, row: Longs, length: Longs) -> Floats:
        """Cost beyond the expected [microseconds]."""
        return between(self._observed, row, length) - between(self._expected, row, length)

    def span_us(self, row: Longs, length: Longs) -> Longs:
        """Wall time from the start of the oldest interval to the end of the newest."""
        span: Longs = self._rows.end_us[row] - self._rows.start_us[row + 1 - length]
        return span
