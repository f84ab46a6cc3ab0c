"""How much single executions of a statement differ, from sums of squares."""

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.verdict.rows.calendar import series_sums
from dbplanmon_pipeline.core.verdict.rows.row_figures import told, told_variance
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows

_LEAST, _MOST = 0.01, 4.0
_UNKNOWN = 0.5


def execution_variance(rows: SeriesRows, metric: str) -> Floats:
    """Variance over squared mean of single executions of each series, the largest of each interval left out [series].

    It stands for the variance of the logarithm of one execution. Where the engine tells no sums of squares, a half.
    """
    weight, own = (series_sums(rows.figures[name(metric)], rows.bounds) for name in (told, told_variance))
    return np.where(weight > 0, np.clip(own / np.maximum(weight, 1.0), _LEAST, _MOST), _UNKNOWN)
