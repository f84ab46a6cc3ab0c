"""Recent intervals set against their baselines: the common ground of rules, verdicts and instance verdicts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.baseline import Learnt
from dbplanmon_pipeline.core.verdict.common_mode import CommonMode
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.scopes import Modes, Parts, Scopes, scopes_of, waits_a_lot
from dbplanmon_pipeline.core.verdict.series import ELAPSED_PER_WORKER, METRICS, VIEWS, SeriesRows
from dbplanmon_pipeline.core.verdict.windows import CostRows, WeightedSums, cost_rows

READS = "logical_reads_pages"


class ModeSource(Protocol):
    """Says what rows have in common in one view."""

    def modes(self, deviation: Floats, scale: Floats, policy: DetectorPolicy) -> Modes:
        """See `Scopes.modes`."""
        ...


Sources = Callable[[str], ModeSource]
"""The source of each view."""


@dataclass(frozen=True)
class Comparison:
    """Recent rows of the statements that have a baseline.

    Attributes:
        rows: their series.
        learnt: row i is the normal of series i.
        expected: float64 [rows] by metric, normal ln cost.
        costs: by metric, and logical reads under their column name.
        views: by view; absent where nothing is known of it.
        modes: common mode of the instances by view.
        database_modes: common mode of the databases beyond that of their instance, where one has several.
        waiting_modes: common mode of the waiting statements of each instance beyond both, and that of both at each
            row; where they are known apart. A group is twice the number of its instance, and one more for them.
    """

    rows: SeriesRows
    learnt: Learnt
    expected: dict[str, Floats]
    costs: dict[str, CostRows]
    views: dict[str, WeightedSums]
    modes: dict[str, CommonMode]
    database_modes: dict[str, CommonMode]
    waiting_modes: dict[str, tuple[CommonMode, Floats]]


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
    rows: SeriesRows, learnt: Learnt, tick: Longs, policy: DetectorPolicy, sources: Sources | None = None
) -> Comparison:
    """Set every row against its normal and against what its instance has in common.

    Args:
        rows: recent series, all with a baseline.
        learnt: row i is the normal of series i.
        tick: int64 [rows], from 0.
        policy: thresholds.
        sources: who says what the rows have in common; None: they do so themselves.
    """
    found = Comparison(rows, learnt, {}, {}, {}, {}, {}, {})
    sources = sources or _own_sources(rows, learnt, tick, policy)
    for view in VIEWS:
        _compare_view(found, view, sources(view), policy)
    found.costs[READS] = _reads(rows, rows.spread(learnt.means[READS]))
    return found


def _own_sources(rows: SeriesRows, learnt: Learnt, tick: Longs, policy: DetectorPolicy) -> Sources:
    scopes = learnt_scopes(rows, learnt, tick, policy)
    return lambda _view: scopes


def learnt_scopes(
    rows: SeriesRows, learnt: Learnt, tick: Longs, policy: DetectorPolicy, parts: Parts | None = None
) -> Scopes:
    """Scopes of rows by what is normal for them; see `compare` and `scopes_of`."""
    return scopes_of(rows, tick, usual_waits(learnt), policy, usual_plans(rows, learnt), parts)


def usual_waits(learnt: Learnt) -> NDArray[np.bool_]:
    """Statements that wait a lot while all is well [n]."""
    return waits_a_lot(learnt.views[ELAPSED_PER_WORKER].level)


def usual_plans(rows: SeriesRows, learnt: Learnt) -> NDArray[np.bool_]:
    """Rows that ran with the plan that is normal, as far as is known [rows]."""
    before = rows.spread(learnt.plan_hash)
    usual: NDArray[np.bool_] = (rows.plan_hash == before) | (rows.plan_hash == 0) | (before == 0)
    return usual


def _compare_view(found: Comparison, view: str, scopes: ModeSource, policy: DetectorPolicy) -> None:
    rows, normal, log_cost = found.rows, found.learnt.views[view], found.rows.log_cost[view]
    expected = normal.expected(rows)
    deviation = log_cost - expected
    known = not np.isnan(deviation).all()
    if not known and view not in METRICS:
        return
    modes = scopes.modes(deviation, normal.scale, policy)
    common = modes.at_rows
    removed = rows.spread(normal.sensitivity) * common
    if view in METRICS:
        found.expected[view] = expected
        found.costs[view] = cost_rows(rows.executions, log_cost, expected, removed)
    found.modes[view] = modes.instances
    if modes.databases is not None:
        found.database_modes[view] = modes.databases
    if modes.waiting is not None:
        found.waiting_modes[view] = (modes.waiting, modes.before_waiting)
    if known:
        doubt = (policy.mode_doubt * common) ** 2
        scale = rows.spread(normal.scale)
        found.views[view] = WeightedSums(deviation - removed, normal.variance(rows) + doubt, scale, common)


def _reads(rows: SeriesRows, before: Floats) -> CostRows:
    now = np.log1p(rows.sums[READS] / rows.executions)
    return cost_rows(rows.executions, now, np.log1p(before), np.zeros(len(now)))
