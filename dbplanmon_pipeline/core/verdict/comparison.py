"""Recent intervals set against their baselines: the common ground of rules, verdicts and instance verdicts."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.baseline import Learnt, unpack
from dbplanmon_pipeline.core.verdict.common_mode import CommonMode, common_mode
from dbplanmon_pipeline.core.verdict.model import BaselineSet
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.series import METRICS, SeriesRows
from dbplanmon_pipeline.core.verdict.windows import CostRows, cost_rows

READS = "logical_reads_pages"


@dataclass(frozen=True)
class Comparison:
    """Recent rows of the statements that have a baseline.

    Attributes:
        rows: their series.
        learnt: row i is the normal of series i.
        costs: by metric, and logical reads under their column name.
        modes: common mode by metric.
    """

    rows: SeriesRows
    learnt: Learnt
    costs: dict[str, CostRows]
    modes: dict[str, CommonMode]


def baseline_rows(rows: SeriesRows, table: pd.DataFrame) -> Longs:
    """Row of the baseline table for each series, -1 where there is none."""
    if table.empty or not len(rows):
        return np.full(len(rows), -1, np.int64)
    known = pd.MultiIndex.from_arrays([table["database_id"].to_numpy(np.int64), table["query_hash"].to_numpy(np.int64)])
    wanted = pd.MultiIndex.from_arrays([rows.database_id, rows.query_hash])
    return known.get_indexer(wanted).astype(np.int64)


def active_series(rows: SeriesRows, as_of_us: int, step_us: int) -> np.ndarray:
    """True for series that ran in the last interval of their database, where that ended within one step.

    Databases are read one after the other, so the last interval of each has an end of its own.
    """
    last = rows.end_us[rows.bounds[1:] - 1] if len(rows) else np.empty(0, np.int64)
    databases, number = np.unique(rows.database_id, return_inverse=True)
    newest = np.zeros(len(databases), np.int64)
    np.maximum.at(newest, number, last)
    active: np.ndarray = (last > as_of_us - step_us) & (last > newest[number] - step_us // 4)
    return active


def compare(
    rows: SeriesRows, known: Longs, baselines: BaselineSet, as_of_us: int, policy: DetectorPolicy
) -> Comparison:
    """Set every row against its normal and against what its instance has in common.

    Args:
        rows: recent series.
        known: int64 [series], row of each in the baseline table, -1 for none.
        baselines: in the layout of this policy.
        as_of_us: epoch microseconds.
        policy: thresholds.
    """
    judged = rows.keep(known[rows.series] >= 0)
    places = known[known >= 0]
    learnt = unpack(baselines.parameters, policy).at(places)
    costs, modes = {}, {}
    for metric in METRICS:
        normal = learnt.metrics[metric].normal(judged)
        log_cost = judged.log_cost[metric]
        modes[metric] = common_mode(judged, log_cost - normal, as_of_us, policy)
        costs[metric] = cost_rows(judged.executions, log_cost, normal, modes[metric].removed(policy))
    costs[READS] = _reads(judged, learnt.means[READS][judged.series])
    return Comparison(judged, learnt, costs, modes)


def _reads(rows: SeriesRows, before: Floats) -> CostRows:
    now = np.log1p(rows.sums[READS] / rows.executions)
    return cost_rows(rows.executions, now, np.log1p(before), np.zeros(len(now)))
