"""Recent intervals set against their baselines: the common ground of rules, verdicts and instance verdicts."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.common.common_mode import CommonMode
from dbplanmon_pipeline.core.verdict.common.held_up import HeldUp, Waits, seldom
from dbplanmon_pipeline.core.verdict.common.scopes import Modes, Scopes, scopes_of
from dbplanmon_pipeline.core.verdict.normal.baseline import Learnt
from dbplanmon_pipeline.core.verdict.normal.dear import BAR, COST, DearRows, far_rows
from dbplanmon_pipeline.core.verdict.normal.view import Normal
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import ELAPSED_PER_WORKER, METRICS, SeriesRows
from dbplanmon_pipeline.core.verdict.rows.windows import CostRows, WeightedSums, cost_rows

READS = "logical_reads_pages"
_ELAPSED, _WORKER = METRICS
_DISTURBED = 0.25


class ModeSource(Protocol):
    """Says what rows have in common in one view."""

    def modes(self, deviation: Floats, scale: Floats, policy: DetectorPolicy) -> Modes:
        """See `Scopes.modes`."""
        ...

    def held_up(self, waits: Waits, policy: DetectorPolicy) -> HeldUp:
        """See `Scopes.held_up`."""
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
        held_up: where several statements of an instance waited longer at once beyond what is common, and float64 [rows]
            what else is common in elapsed time; under that name, where it is known how long statements wait.
    """

    rows: SeriesRows
    learnt: Learnt
    expected: dict[str, Floats]
    costs: dict[str, CostRows]
    views: dict[str, WeightedSums]
    modes: dict[str, CommonMode]
    database_modes: dict[str, CommonMode]
    held_up: dict[str, tuple[CommonMode, Floats]]
    dear: dict[str, DearRows]

    @cached_property
    def unsteady(self) -> Floats | None:
        """See `Learnt.unsteady_at`."""
        return self.learnt.unsteady_at(self.rows)

    @cached_property
    def whole(self) -> dict[str, CostRows]:
        """Costs by metric with the largest execution of each interval in them."""
        found = {}
        for metric, costs in self.costs.items():
            if metric in METRICS:
                dear = self.rows.spread(self.learnt.views[metric].dear[:, COST])
                expected, total = costs.expected_us * (1.0 + dear), self.rows.sums[metric]
                found[metric] = CostRows(np.log(np.maximum(total, 1.0) / expected), expected, total)
        return found


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
    found = Comparison(rows, learnt, {}, {}, {}, {}, {}, {}, {})
    sources = sources or _own_sources(rows, learnt, tick, policy)
    held: HeldUp | None = None
    # How long a statement waits tells what it was held up, and that is taken out of elapsed time.
    for view in (ELAPSED_PER_WORKER, *METRICS):
        held = _compare_view(found, view, sources(view), policy, held)
    found.costs[READS] = _reads(rows, rows.spread(learnt.means[READS]))
    return found


def _own_sources(rows: SeriesRows, learnt: Learnt, tick: Longs, policy: DetectorPolicy) -> Sources:
    scopes = learnt_scopes(rows, learnt, tick, policy)
    return lambda _view: scopes


def learnt_scopes(
    rows: SeriesRows, learnt: Learnt, tick: Longs, policy: DetectorPolicy, several: bool | None = None
) -> Scopes:
    """Scopes of rows by what is normal for them; see `compare` and `scopes_of`."""
    return scopes_of(rows, tick, policy, usual_plans(rows, learnt), several)


def usual_plans(rows: SeriesRows, learnt: Learnt) -> NDArray[np.bool_]:
    """Rows that ran with the plan that is normal, as far as is known [rows]."""
    before = rows.spread(learnt.plan_hash)
    usual: NDArray[np.bool_] = (rows.plan_hash == before) | (rows.plan_hash == 0) | (before == 0)
    return usual


def _compare_view(
    found: Comparison, view: str, source: ModeSource, policy: DetectorPolicy, held: HeldUp | None
) -> HeldUp | None:
    """Compare one view; returns who was held up, as far as that is known by now."""
    rows, normal, log_cost = found.rows, found.learnt.views[view], found.rows.log_cost[view]
    expected = normal.expected(rows)
    deviation = log_cost - expected
    known = not np.isnan(deviation).all()
    if not known and view not in METRICS:
        return held
    modes = source.modes(deviation, normal.scale, policy)
    common = modes.at_rows
    sensitivity = rows.spread(normal.sensitivity)
    removed = sensitivity * common
    if view == ELAPSED_PER_WORKER:
        rest = deviation - removed
        of_instance = rest if modes.databases is None else deviation - sensitivity * modes.instances.at_rows()
        far = seldom(normal.scale, normal.interval_variance + normal.execution_variance, normal.tail)
        held = source.held_up(Waits(of_instance, rest, normal.level, normal.scale, far, found.unsteady), policy)
    if view == _ELAPSED and held is not None:
        found.held_up[view] = (held.mode(), common)
    if view != _WORKER and held is not None:
        removed, common = removed + held.at_rows, np.abs(common) + held.at_rows
    if view in METRICS:
        found.expected[view] = expected
        found.costs[view] = cost_rows(rows.executions, log_cost, expected, removed)
        found.dear[view] = _dear_rows(rows, view, found.costs[view].residual, normal, common)
    found.modes[view] = modes.instances
    if modes.databases is not None:
        found.database_modes[view] = modes.databases
    if known:
        doubt = (policy.mode_doubt * common) ** 2
        scale = rows.spread(normal.scale)
        found.views[view] = WeightedSums(deviation - removed, normal.variance(rows) + doubt, scale, common)
    return held


def _dear_rows(rows: SeriesRows, metric: str, residual: Floats, normal: Normal, common: Floats) -> DearRows:
    """Rows with a dear execution; none where much was taken out as common, as nobody feels exactly that much of it."""
    far = far_rows(rows, metric, residual)
    disturbed = np.abs(common[far.row]) > _DISTURBED
    return far.beyond(np.where(disturbed, np.inf, normal.dear[rows.series[far.row], BAR]))


def _reads(rows: SeriesRows, before: Floats) -> CostRows:
    now = np.log1p(rows.sums[READS] / rows.executions)
    return cost_rows(rows.executions, now, np.log1p(before), np.zeros(len(now)))
