"""Who shares a fate with whom: the statements of an instance, of one of its databases, those that are held up."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.common.common_mode import CommonMode, TickGrid, common_mode, tick_grid
from dbplanmon_pipeline.core.verdict.common.held_up import HeldUp, Waits, held_up
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.row_figures import Reals
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows


@dataclass(frozen=True)
class Modes:
    """What is common in one view.

    Attributes:
        instances: common mode of the instances.
        databases: common mode of databases beyond that of their instance; None: no instance has several.
        at_rows: float64 [rows], both together.
    """

    instances: CommonMode
    databases: CommonMode | None
    at_rows: Floats


@dataclass(frozen=True)
class Scopes:
    """Grids of instances and, where there are several in one, of their databases.

    Attributes:
        rows: the series.
        instances: grid of instances.
        databases: grid of databases, numbered in the order of their ids; what these have in common beyond their
            instance is taken out too. None: no instance has several.
        heard: bool [rows], rows that ran with the plan that is normal; only these speak for a part, as new statistics
            can flip most of its plans at once. None: all.
    """

    rows: SeriesRows
    instances: TickGrid
    databases: TickGrid | None
    heard: NDArray[np.bool_] | None

    def modes(self, deviation: Reals, scale: Floats, policy: DetectorPolicy, ask_support: bool = True) -> Modes:
        """What is common to the instances and, beyond that, to their databases."""
        instance = common_mode(self.rows, self.instances, deviation, scale, policy, ask_support=ask_support)
        common = instance.at_rows()
        if self.databases is None:
            return Modes(instance, None, common)
        database = self._of_part(self.databases, deviation - common, scale, policy)
        return Modes(instance, database, common + database.at_rows())

    def held_up(self, waits: Waits, policy: DetectorPolicy) -> HeldUp:
        """Ticks in which several statements of an instance waited longer at once; see `held_up`."""
        return held_up(self.rows, self.instances, waits, policy, self.heard)

    def _of_part(self, grid: TickGrid, deviation: Reals, scale: Floats, policy: DetectorPolicy) -> CommonMode:
        """Of a part more is believed of a handful: those with new plans, which may be broken together, do not speak."""
        return common_mode(self.rows, grid, deviation, scale, policy, (policy.part_few, policy.part_few_ratio))

    def mode(self, deviation: Reals, scale: Floats, policy: DetectorPolicy) -> Floats:
        """All that is common at each row [rows]."""
        return self.modes(deviation, scale, policy, ask_support=False).at_rows


def scopes_of(
    rows: SeriesRows,
    tick: Longs,
    policy: DetectorPolicy,
    heard: NDArray[np.bool_] | None = None,
    several: bool | None = None,
) -> Scopes:
    """Scopes of rows.

    Args:
        rows: the series.
        tick: int64 [rows], from 0.
        policy: thresholds.
        heard: see `Scopes`.
        several: whether some instance has several databases; None: as the rows tell.
    """
    instances = tick_grid(rows, rows.instance, tick, policy)
    if not (_has_several(rows) if several is None else several):
        return Scopes(rows, instances, None, heard)
    database = np.unique(rows.database_id, return_inverse=True)[1].astype(np.int64)
    return Scopes(rows, instances, tick_grid(rows, database, tick, policy, heard, of_parts=True), heard)


def _has_several(rows: SeriesRows) -> bool:
    pairs = np.unique(np.stack([rows.instance, rows.database_id], axis=1), axis=0) if len(rows) else np.empty((0, 2))
    return len(pairs) > len(np.unique(rows.instance))
