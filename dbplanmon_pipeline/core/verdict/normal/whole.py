"""How far the mean of all executions of a statement lies above its normal, which is that of a typical interval.

Where few executions are far dearer than the others, most intervals have none, or only the one that is left out of the
cost. The more executions an interval has, the nearer its cost comes to the mean of them all.
"""

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.verdict.rows.calendar import HourRuns
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows
from dbplanmon_pipeline.core.verdict.rows.row_figures import Singles
from dbplanmon_pipeline.core.verdict.rows.series import METRICS
from dbplanmon_pipeline.core.verdict.rows.sorted_groups import bounds_of, group_medians

_ELAPSED, _WORKER = METRICS
_MOST = 4.0


def learn_whole(rows: PooledRows, runs: HourRuns, view: str, rest: Singles) -> Floats:
    """Natural logarithm of all that executions cost over what they cost normally, of the middle day [series].

    A day of which half the cost is one stray execution moves the middle of a week little. Of elapsed over CPU time it
    is how far the ratio of all of both lies above that of a typical interval: waits that are mostly zero.

    Args:
        rows: the series; each has at least one pool.
        runs: their hours.
        view: what executions cost, or elapsed over CPU time.
        rest: float32 [pools], ln(cost / normal), what is common counted as normal; 0 unknown.
    """
    new = np.ones(len(runs.day), np.bool_)
    new[1:] = (runs.day[1:] != runs.day[:-1]) | (runs.series[1:] != runs.series[:-1])
    first, series = runs.first[new], runs.series[new]
    metric, times = (view, rows.executions) if view in METRICS else (_ELAPSED, np.maximum(rows.sums[_WORKER], 1.0))
    normal = np.exp(rows.figures[view] - rest) * times.astype(np.float32)
    total = rows.sums[metric].astype(np.float32)
    if np.isnan(normal).any():
        unknown = np.isnan(normal)
        normal[unknown], total[unknown] = 0.0, 0.0
    normals, totals = (np.add.reduceat(values, first).astype(np.float64) for values in (normal, total))
    with np.errstate(divide="ignore", invalid="ignore"):
        above = np.log(totals / normals)
    known = np.isfinite(above)
    medians = group_medians(above[known], bounds_of(series[known], len(rows)))
    return np.clip(np.nan_to_num(medians), 0.0, _MOST)
