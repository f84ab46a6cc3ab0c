"""Who shares a fate with whom: the statements of an instance, of one of its databases, those of it that wait a lot."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.common_mode import CommonMode, TickGrid, common_mode, tick_grid
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.row_figures import Reals
from dbplanmon_pipeline.core.verdict.series import SeriesRows

_WAITS_FROM = 1.25
"""Elapsed over CPU time from which a statement waits a lot."""

_OTHERS_FROM = 0.25
"""Share of the statements that must not wait a lot for the others to be a group."""


@dataclass(frozen=True)
class Modes:
    """What is common in one view.

    Attributes:
        instances: common mode of the instances.
        databases: common mode of databases beyond that of their instance; None: no instance has several.
        waiting: common mode of the waiting statements of an instance beyond both; None: too few of them, or nearly all.
        before_waiting: float64 [rows], what is common without `waiting`.
        at_rows: float64 [rows], all that is common.
    """

    instances: CommonMode
    databases: CommonMode | None
    waiting: CommonMode | None
    before_waiting: Floats
    at_rows: Floats


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts of instances are known apart.

    Attributes:
        databases: some instance has several.
        waiting: statements that wait a lot; they are neither too few nor nearly all.
    """

    databases: bool
    waiting: bool


@dataclass(frozen=True)
class Scopes:
    """Grids of instances and, where there are several in one, of their databases.

    Attributes:
        rows: the series.
        instances: grid of instances.
        databases: grid of databases, numbered in the order of their ids; what these have in common beyond their
            instance is taken out too. None: no instance has several.
        waiting: grid of the instances in which only the statements that wait a lot speak. None: they are too few, or
            nearly all.
    """

    rows: SeriesRows
    instances: TickGrid
    databases: TickGrid | None
    waiting: TickGrid | None

    def modes(self, deviation: Reals, scale: Floats, policy: DetectorPolicy, ask_support: bool = True) -> Modes:
        """What is common to the instances and, beyond that, to their databases."""
        instance = common_mode(self.rows, self.instances, deviation, scale, policy, ask_support=ask_support)
        common = instance.at_rows()
        database = waiting = None
        if self.databases is not None:
            database = self._of_part(self.databases, deviation - common, scale, policy)
            common = common + database.at_rows()
        before = common
        if self.waiting is not None:
            waiting = self._of_part(self.waiting, deviation - common, scale, policy)
            common = common + waiting.at_rows()
        return Modes(instance, database, waiting, before, common)

    def _of_part(self, grid: TickGrid, deviation: Reals, scale: Floats, policy: DetectorPolicy) -> CommonMode:
        """Of a part more is believed of a handful: those with new plans, which may be broken together, do not speak."""
        return common_mode(self.rows, grid, deviation, scale, policy, policy.part_few_ratio)

    def mode(self, deviation: Reals, scale: Floats, policy: DetectorPolicy) -> Floats:
        """All that is common at each row [rows]."""
        return self.modes(deviation, scale, policy, ask_support=False).at_rows


def waits_a_lot(log_elapsed_per_worker: Floats) -> NDArray[np.bool_]:
    """True where waiting is a good part of elapsed time; False where CPU time is unknown."""
    with np.errstate(invalid="ignore"):
        waits: NDArray[np.bool_] = log_elapsed_per_worker > np.log(_WAITS_FROM)
    return waits


def scopes_of(
    rows: SeriesRows,
    tick: Longs,
    waits: NDArray[np.bool_],
    policy: DetectorPolicy,
    same_plan: NDArray[np.bool_] | None = None,
    parts: Parts | None = None,
) -> Scopes:
    """Scopes of rows.

    Args:
        rows: the series.
        tick: int64 [rows], from 0.
        waits: bool [series], see `waits_a_lot`.
        policy: thresholds.
        same_plan: bool [rows], rows that ran with the plan that is normal; only these speak for a part, as new
            statistics can flip most of its plans at once. None: all.
        parts: which to look at; None: those that the rows tell apart.
    """
    parts = parts or Parts(_has_several(rows), can_be_apart(waits, policy))
    instances = tick_grid(rows, rows.instance, tick, policy)
    waiting = _waiting(rows, tick, waits, policy, same_plan) if parts.waiting else None
    if not parts.databases:
        return Scopes(rows, instances, None, waiting)
    database = np.unique(rows.database_id, return_inverse=True)[1].astype(np.int64)
    return Scopes(rows, instances, tick_grid(rows, database, tick, policy, same_plan), waiting)


def can_be_apart(waits: NDArray[np.bool_], policy: DetectorPolicy) -> bool:
    """Whether so many statements wait a lot that they are a group, and not so many that the others are none."""
    return bool(policy.common_mode_few <= np.count_nonzero(waits) <= (1 - _OTHERS_FROM) * len(waits))


def _has_several(rows: SeriesRows) -> bool:
    pairs = np.unique(np.stack([rows.instance, rows.database_id], axis=1), axis=0) if len(rows) else np.empty((0, 2))
    return len(pairs) > len(np.unique(rows.instance))


def _waiting(
    rows: SeriesRows,
    tick: Longs,
    waits: NDArray[np.bool_],
    policy: DetectorPolicy,
    same_plan: NDArray[np.bool_] | None,
) -> TickGrid:
    """Those that do not wait have a group of their own, in which nobody speaks."""
    heard = rows.spread(waits)
    return tick_grid(rows, 2 * rows.instance + waits, tick, policy, heard if same_plan is None else heard & same_plan)
