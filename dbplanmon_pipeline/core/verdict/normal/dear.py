"""Single executions far dearer than the others: parameters that a plan was not made for.

The largest execution of an interval is left out of its cost, so one dear execution in ten or twenty hardly shows there.
It shows in how often an interval has one.
"""

from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.normal.levels import levels_passed
from dbplanmon_pipeline.core.verdict.rows.calendar import DAY_US, series_sums
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows
from dbplanmon_pipeline.core.verdict.rows.pooled_lines import INTERVALS
from dbplanmon_pipeline.core.verdict.rows.row_figures import TRIM_FROM, Reals, far
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows

BAR, PER_INTERVAL, PER_EXECUTION, COST, OFTEN = range(5)
"""What is learnt of a statement: from which multiple of its normal cost on an execution counts as dear (natural
logarithm; infinite: never), how many intervals and executions are, what they cost per execution in normal costs, and
how many of `LATEST` intervals in a row were on all days but one."""

FIGURES = 5

LATEST = 12
"""Intervals in a row in which dear executions are counted."""

_LEVELS = np.log([4.0, 8.0, 16.0, 32.0, 64.0])
_RARE, _PRIOR = 0.03, 20.0
"""At most this share of the intervals has a dear execution while all is well; half a one more in so many intervals."""


@dataclass(frozen=True)
class DearRows:
    """Rows with an execution far above the others, in order.

    Attributes:
        row: int64 [m].
        log_ratio: float64 [m], its cost over the normal cost of that moment, natural logarithm.
    """

    row: Longs
    log_ratio: Floats

    def beyond(self, bar: Floats) -> "DearRows":
        """Those above a bar, given at each of them."""
        dear = self.log_ratio > bar
        return DearRows(self.row[dear], self.log_ratio[dear])


def far_rows(rows: SeriesRows, metric: str, residual: Reals) -> DearRows:
    """Rows whose largest execution costs far more than the others did, if any, and than is normal.

    Where the engine does not tell the largest, only executions that ran alone are known. Where the others cost more
    than normal as well, the rise is none of single executions.

    Args:
        rows: the series.
        metric: what it costs.
        residual: float [rows], ln(cost / normal) of the metric.
    """
    line = rows.figures[far(metric)]
    row = np.flatnonzero(line > -np.inf)
    executions, above, body = rows.executions[row], line[row].astype(np.float64), residual[row].astype(np.float64)
    whole = np.flatnonzero(executions < TRIM_FROM)
    body[whole] -= np.log((executions[whole] - 1 + np.exp(above[whole])) / executions[whole])
    log_ratio = np.where(executions == 1, body, above + np.minimum(body, 0.0))
    with np.errstate(invalid="ignore"):
        dear = log_ratio > _LEVELS[0]
    return DearRows(row[dear], log_ratio[dear])


def learn_dear(rows: PooledRows, metric: str, rest: Reals) -> Floats:
    """What is learnt of each series [series, FIGURES].

    Args:
        rows: the series; each has at least one row.
        metric: what executions cost.
        rest: float [pools], ln(cost / normal) of the metric.
    """
    number, found = len(rows), np.zeros((len(rows), FIGURES))
    apart, pool = rows.far(metric)
    body = rest[pool] + apart.away
    log_ratio = np.where(apart.above > 0, apart.above + np.minimum(body, 0.0), body)
    with np.errstate(invalid="ignore"):
        dear = np.flatnonzero(log_ratio > _LEVELS[0])
    series, log_ratio, row = rows.series[pool[dear]], log_ratio[dear].astype(np.float64), apart.row[dear]
    level = levels_passed(log_ratio, _LEVELS) - 1
    counts = np.bincount(series * len(_LEVELS) + level, minlength=number * len(_LEVELS)).reshape(number, len(_LEVELS))
    above = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]
    share = (above + 0.5) / (series_sums(rows.figures[INTERVALS], rows.bounds)[:, None] + _PRIOR)
    rare = share <= _RARE
    chosen = np.argmax(rare, axis=1)
    found[:, BAR] = np.where(rare.any(axis=1), _LEVELS[chosen], np.inf)
    found[:, PER_INTERVAL] = share[np.arange(number), chosen]
    beyond = log_ratio > found[series, BAR]
    series, log_ratio, row = series[beyond], log_ratio[beyond], row[beyond]
    executions = series_sums(rows.executions, rows.bounds)
    found[:, PER_EXECUTION] = (np.bincount(series, minlength=number) + 0.5) / executions
    found[:, COST] = np.bincount(series, np.expm1(log_ratio), minlength=number) / executions
    found[:, OFTEN] = _second_highest(rows, row, series)
    return found


def no_dear(series: int) -> Floats:
    """Where nothing is known, no execution is dear."""
    return np.tile([np.inf, 0.0, 0.0, 0.0, 0.0], (series, 1))


def _second_highest(rows: PooledRows, dear: Longs, series: Longs) -> Floats:
    """Dear intervals among `LATEST` in a row, at most on a day, on the second worst day of each series; 0 with one day.

    Args:
        rows: the series.
        dear: int64 [m], their numbers in the record.
        series: int64 [m], of each.
    """
    if not len(dear):
        return np.zeros(len(rows))
    day = rows.record.rows.end_us[dear] // DAY_US
    day -= day.min()
    first = np.maximum(dear - LATEST + 1, rows.record.first[rows.number[rows.bounds[series]]])
    together = np.arange(len(dear)) + 1 - np.searchsorted(dear, first)
    most = np.zeros((len(rows), int(day.max()) + 2))
    np.maximum.at(most, (series, day), together)
    second: Floats = np.partition(most, -2, axis=1)[:, -2]
    return second
