"""How much single executions of a statement differ, from sums of squares."""

import numpy as np

from dbplanmon_pipeline.core.counters import Floats
from dbplanmon_pipeline.core.verdict.calendar import series_sums
from dbplanmon_pipeline.core.verdict.series import SeriesRows

_TRIM_FROM = 5
_MOST_EXECUTIONS = 50.0
_LARGEST_ROW = 25.0
_LEAST, _MOST = 0.01, 4.0
_UNKNOWN = 0.5


def execution_variance(rows: SeriesRows, metric: str) -> Floats:
    """Variance over squared mean of single executions of each series, the largest of each interval left out [series].

    It stands for the variance of the logarithm of one execution. Where the engine tells no sums of squares, a half.
    """
    executions, total = rows.executions, rows.sums[metric]
    if np.isnan(total).all():
        return np.full(len(rows), _UNKNOWN)
    squares, largest = rows.sums[f"{metric}_sumsq"], rows.sums[f"{metric}_max"]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        trims = (executions >= _TRIM_FROM) & ~np.isnan(largest)
        dearest = np.where(trims, np.minimum(largest, total), 0.0)
        others = executions - trims
        rest = total - dearest
        relative = np.maximum((squares - dearest * dearest) * others / (rest * rest) - 1.0, 0.0)
    known = np.isfinite(relative) & (executions >= 2)
    weight = np.minimum(executions, _MOST_EXECUTIONS) * known
    told = series_sums(weight, rows.bounds)
    own = series_sums(weight * np.minimum(np.where(known, relative, 0.0), _LARGEST_ROW), rows.bounds)
    return np.where(told > 0, np.clip(own / np.maximum(told, 1.0), _LEAST, _MOST), _UNKNOWN)
