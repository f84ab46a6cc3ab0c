"""Sums over the last k active intervals of many statements, for any k, from one pass over a padded block."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.null import execution_weight
from dbplanmon_pipeline.core.verdict.series import SeriesRows
from dbplanmon_pipeline.core.verdict.sorted_groups import take


@dataclass(frozen=True)
class CostRows:
    """One metric of all rows against its normal.

    Attributes:
        residual: float64 [rows], ln(cost / normal) without the common mode; NaN unknown.
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
        removed: float64 [rows], the common mode; where the instance is faster than normal, a statement that is not
            faster too has done nothing wrong, so only a rise enters the expectation.
    """
    allowed = np.exp(normal + np.maximum(removed, 0.0))
    return CostRows(log_cost - normal - removed, executions * allowed, executions * np.exp(log_cost))


class Windows:
    """The last active intervals of a block of statements.

    Args:
        rows: the series.
        at: int64 [statements, width], row numbers, right-aligned, -1 for none; each statement has at least one.
        costs: the metric.
    """

    def __init__(self, rows: SeriesRows, at: Longs, costs: CostRows) -> None:
        self.residual = take(costs.residual, at)
        known = ~np.isnan(self.residual)
        weight = np.where(known, execution_weight(take(rows.executions, at, 0.0)), 0.0)
        self._weight = _from_the_right(weight)
        self._weighted = _from_the_right(np.where(known, weight * self.residual, 0.0))
        self._expected = _from_the_right(np.where(known, take(costs.expected_us, at), 0.0))
        self._observed = _from_the_right(np.where(known, take(costs.observed_us, at), 0.0))
        self._start = rows.start_us[at]
        self._end = rows.end_us[at[:, -1]]
        self.held = np.count_nonzero(at >= 0, axis=1)
        self.width = at.shape[1]

    def fits(self, length: Longs) -> NDArray[np.bool_]:
        """True where a statement has that many active intervals."""
        fits: NDArray[np.bool_] = (length <= self.held) & (length > 0)
        return fits

    def mean(self, length: Longs) -> Floats:
        """Weighted mean of the residual over the last `length` intervals; 0 where none is known."""
        weight = _pick(self._weight, length)
        return _pick(self._weighted, length) / np.where(weight > 0, weight, 1.0)

    def log_ratio(self, length: Longs) -> Floats:
        """Logarithm of observed over expected cost, every execution counting alike."""
        observed, expected = _pick(self._observed, length), _pick(self._expected, length)
        return np.log(np.maximum(observed, 1.0) / np.maximum(expected, 1.0))

    def span_us(self, length: Longs) -> Longs:
        """Wall time from the start of the oldest interval of the window to the end of the newest."""
        column = np.clip(self.width - length, 0, self.width - 1)
        span: Longs = self._end - self._start[np.arange(len(column)), column]
        return span

    def extra_us(self, length: Longs) -> Floats:
        """Cost beyond the expected over the window [microseconds]."""
        return _pick(self._observed, length) - _pick(self._expected, length)

    def elevated_share(self, length: Longs, above: Floats) -> Floats:
        """Share of the window's intervals whose residual exceeds `above` [statements]."""
        with np.errstate(invalid="ignore"):
            elevated = _from_the_right((self.residual > above[:, None]).astype(np.float64))
        return _pick(elevated, length) / np.maximum(length, 1)


def _from_the_right(matrix: Floats) -> Floats:
    sums = np.zeros((matrix.shape[0], matrix.shape[1] + 1))
    np.cumsum(matrix[:, ::-1], axis=1, out=sums[:, 1:])
    return sums


def _pick(sums: Floats, length: Longs) -> Floats:
    picked: Floats = sums[np.arange(len(length)), np.clip(length, 0, sums.shape[1] - 1)]
    return picked
