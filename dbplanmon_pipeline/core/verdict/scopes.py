"""Who shares a fate with whom: the statements of an instance, of one of its databases, those that wait a lot."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.common_mode import CommonMode, TickGrid, common_mode, tick_grid
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.series import SeriesRows


@dataclass(frozen=True)
class Scopes:
    """Grids of instances and, where there are several in one, of their parts.

    Attributes:
        rows: the series.
        instances: grid of instances.
        parts: grids of parts of instances; what these have in common beyond their instance is taken out too.
    """

    rows: SeriesRows
    instances: TickGrid
    parts: tuple[TickGrid, ...]

    def modes(self, deviation: Floats, scale: Floats, policy: DetectorPolicy) -> tuple[CommonMode, Floats]:
        """Common mode of the instances, and all that is common at each row [rows]."""
        instance = common_mode(self.rows, self.instances, deviation, scale, policy)
        common = instance.at_rows()
        for grid in self.parts:
            common = common + common_mode(self.rows, grid, deviation - common, scale, policy).at_rows()
        return instance, common

    def mode(self, deviation: Floats, scale: Floats, policy: DetectorPolicy) -> Floats:
        """All that is common at each row [rows]."""
        return self.modes(deviation, scale, policy)[1]


def scopes_of(
    rows: SeriesRows, tick: Longs, policy: DetectorPolicy, same_plan: NDArray[np.bool_] | None = None
) -> Scopes:
    """Scopes of rows.

    Args:
        rows: the series.
        tick: int64 [rows], from 0.
        policy: thresholds.
        same_plan: bool [rows], rows that ran with the plan that is normal; only these speak for a part, as statistics
            that are new in one database can flip most of its plans at once. None: all.
    """
    instances = tick_grid(rows, rows.instance, tick, policy)
    pairs = np.unique(np.stack([rows.instance, rows.database_id], axis=1), axis=0) if len(rows) else np.empty((0, 2))
    several = len(pairs) > len(np.unique(rows.instance))
    if not several:
        return Scopes(rows, instances, ())
    database = np.unique(rows.database_id, return_inverse=True)[1].astype(np.int64)
    return Scopes(rows, instances, (tick_grid(rows, database, tick, policy, same_plan),))
