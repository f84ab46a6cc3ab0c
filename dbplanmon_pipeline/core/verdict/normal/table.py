"""The readable part of a baseline, the same for every detector."""

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.verdict.model import BASELINE_COLUMNS
from dbplanmon_pipeline.core.verdict.rows.calendar import series_sums
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows
from dbplanmon_pipeline.core.verdict.rows.sorted_groups import group_medians, group_quantiles

_HIGH = 0.95
_MEDIAN_OF = 256


def readable_table(rows: SeriesRows, medians: tuple[Floats, Floats], as_of_us: int) -> pd.DataFrame:
    """One row per series, columns BASELINE_COLUMNS.

    Args:
        rows: the history.
        medians: of elapsed and CPU time per execution, each float64 [series, microseconds].
        as_of_us: end of the history [epoch microseconds].
    """
    hours = (as_of_us - rows.start_us[rows.bounds[:-1]]) / 3.6e9
    columns = {
        "database_id": rows.database_id.astype(np.int32),
        "query_hash": rows.query_hash,
        "active_intervals": rows.counts,
        "executions_per_hour": total(rows, rows.executions) / hours,
        "elapsed_median_us": medians[0],
        "elapsed_p95_us": high_average(rows, "elapsed_time_us"),
        "worker_median_us": medians[1],
        "worker_p95_us": high_average(rows, "worker_time_us"),
        "reads_mean_pages": per_execution(rows, "logical_reads_pages"),
    }
    return pd.DataFrame({name: columns[name] for name in BASELINE_COLUMNS})


def key_table(rows: SeriesRows) -> pd.DataFrame:
    """The first two columns of `readable_table`."""
    return pd.DataFrame({"database_id": rows.database_id.astype(np.int32), "query_hash": rows.query_hash})


def total(rows: SeriesRows, values: Floats) -> Floats:
    """Sum of a row quantity over each series, unknown rows left out."""
    unknown = np.isnan(values)
    known = np.where(unknown, 0.0, values) if unknown.any() else values
    return series_sums(known, rows.bounds)


def per_execution(rows: SeriesRows, name: str) -> Floats:
    """Mean of a column over all executions of each series for which it is known; NaN where it never is."""
    values, executions = rows.sums[name], rows.executions
    totals = series_sums(values, rows.bounds)
    if np.isnan(totals).any():
        unknown = np.isnan(values)
        if unknown.all():
            return np.full(len(rows), np.nan)
        totals = series_sums(np.where(unknown, 0.0, values), rows.bounds)
        executions = np.where(unknown, 0.0, executions)
    ran = series_sums(executions, rows.bounds)
    return np.where(ran > 0, totals / np.maximum(ran, 1), np.nan)


def high_average(rows: SeriesRows, metric: str) -> Floats:
    """95th percentile of the interval averages of each series."""
    return group_quantiles(rows.sums[metric] / rows.executions, rows.bounds, (_HIGH,))[0]


def middle_average(rows: SeriesRows, metric: str) -> Floats:
    """Median of the interval averages of each series."""
    return group_quantiles(rows.sums[metric] / rows.executions, rows.bounds, (0.5,))[0]


def rough_medians(values: Reals, rows: SeriesRows, least: int = _MEDIAN_OF) -> Floats:
    """Median of each series, from at least so many of its rows evenly taken where it has twice as many."""
    stride = np.maximum(rows.counts // least, 1)
    taken = -(-rows.counts // stride)
    bounds = np.concatenate([[0], np.cumsum(taken)])
    place = np.arange(int(bounds[-1])) - np.repeat(bounds[:-1], taken)
    return group_medians(values[np.repeat(rows.bounds[:-1], taken) + place * np.repeat(stride, taken)], bounds)
