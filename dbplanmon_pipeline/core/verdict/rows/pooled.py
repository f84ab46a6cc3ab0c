"""Up to three intervals of a statement side by side as one: what is normal is learnt from a third as many rows.

Three intervals are the shortest window that is judged. Where a statement runs in every interval, a pool is a quarter of
an hour at the usual cadence; where it runs seldom, a pool is a single interval, and nothing is lost.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.verdict.rows.pool_record import FarIntervals, PoolRecord
from dbplanmon_pipeline.core.verdict.rows.pooled_lines import PooledFigures, PooledSums, Pools
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows

_POOL = 3
_HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class PooledRows(SeriesRows):
    """Series of pools: a row of this is a pool, `counts` are pools, `plan_hash` is the last plan known of a pool.

    Attributes:
        number: int64 [pools], of each among all pools of the record.
        first_plan: int64 [pools], the first plan known of a pool; 0 unknown.
        changes: int64 [pools], changes of plan between the intervals of a pool.
        record: all pools and their intervals.
    """

    number: Longs
    first_plan: Longs
    changes: Longs
    record: PoolRecord

    def part(self, series: slice) -> Self:
        """Some series in a row; their lines are not copied."""
        bounds = self.bounds[series.start : series.stop + 1]
        return self._own(super().part(series), slice(int(bounds[0]), int(bounds[-1])))

    def take(self, rows: Longs) -> Self:
        """The pools of rising numbers; series without any of them vanish."""
        return self._own(super().take(rows), rows)

    def intervals(self, pools: Longs) -> tuple[Longs, Longs]:
        """Numbers of the intervals of some pools among those of the record, and the pool of each."""
        interval, place = self.record.intervals(self.number[pools])
        return interval, pools[place]

    def far(self, metric: str) -> tuple[FarIntervals, Longs]:
        """Intervals with an execution far above the others, and the pool of each."""
        return self.record.far(metric, self.number)

    def tick(self, step_us: int) -> Longs:
        """Number of the time of each pool, the same for all that are pooled by the same clock, from 0."""
        number = _pool_of(self.end_us, step_us)
        return number - int(number.min()) if len(number) else number

    def _own(self, cut: Self, chosen: Longs | slice) -> Self:
        number, first_plan, changes = (line[chosen] for line in (self.number, self.first_plan, self.changes))
        return replace(cut, number=number, first_plan=first_plan, changes=changes)


def pooled_rows(rows: SeriesRows, step_us: int) -> PooledRows:
    """Pool the intervals of each series that ended within the same three steps of an hour.

    Args:
        rows: the series.
        step_us: cadence of the collection.
    """
    pool = _pool_of(rows.end_us, step_us)
    new = np.ones(len(pool), np.bool_)
    new[1:] = pool[1:] != pool[:-1]
    new[rows.bounds[:-1]] = True
    first = np.flatnonzero(new)
    pools = Pools(first, len(pool))
    first_plan, last_plan, changes = _plans(rows.plan_hash, pools)
    figures = PooledFigures(rows, pools)
    return PooledRows(
        database_id=rows.database_id,
        query_hash=rows.query_hash,
        instance=rows.instance,
        bounds=np.searchsorted(first, rows.bounds),
        series=rows.series[first],
        start_us=rows.start_us[first],
        end_us=rows.end_us[np.append(first, len(pool))[1:] - 1],
        plan_hash=last_plan,
        sums=PooledSums(rows.sums, pools),
        log_cost={},
        figures=figures,
        number=np.arange(len(first)),
        first_plan=first_plan,
        changes=changes,
        record=PoolRecord(rows, np.append(first, len(pool)), figures),
    )


def _pool_of(end_us: Longs, step_us: int) -> Longs:
    width = _POOL * step_us
    if _HOUR_US % width == 0:
        return (end_us - 1) // width
    hour = (end_us - 1) // _HOUR_US
    pool: Longs = hour * -(-_HOUR_US // width) + (end_us - 1 - hour * _HOUR_US) // width
    return pool


def _plans(plan_hash: Longs, pools: Pools) -> tuple[Longs, Longs, Longs]:
    """First and last known plan of each pool, 0 unknown, and how often it changed in between."""
    number = len(pools.first)
    begins, ends = np.zeros(number, np.int64), np.zeros(number, np.int64)
    known = np.flatnonzero(plan_hash)
    pool, plan = np.repeat(np.arange(number), pools.length)[known], plan_hash[known]
    same = pool[1:] == pool[:-1]
    one = np.ones(min(len(pool), 1), np.bool_)
    head, tail = np.append(one, ~same), np.append(~same, one)
    begins[pool[head]], ends[pool[tail]] = plan[head], plan[tail]
    changed = pool[1:][same & (plan[1:] != plan[:-1])]
    return begins, ends, np.bincount(changed, minlength=number).astype(np.int64)
