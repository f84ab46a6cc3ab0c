"""Series of a frame within some time, made anew or cut out of those of a long record."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.failing.record import FailingRecord
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows, pooled_rows
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows, series_rows
from dbplanmon_pipeline.core.verdict.rows.timed_keys import TimedKeys

_Rows = TypeVar("_Rows", bound=SeriesRows)


@dataclass(frozen=True)
class _Timed:
    """Ends of rows, series after series on one scale."""

    keys: TimedKeys
    ends: Longs

    @classmethod
    def of(cls, rows: SeriesRows) -> "_Timed":
        keys = TimedKeys.of(rows.end_us)
        return cls(keys, keys.of_rows(rows.series, rows.end_us))

    def places(self, series: Longs, moment_us: int) -> Longs:
        """Number of the first row of each series that ended after a moment."""
        found: Longs = np.searchsorted(self.ends, self.keys.until(series, moment_us), "right")
        return found


@dataclass(frozen=True)
class SeriesFrame(IntervalFrame):
    """A long record whose series were made once, to be looked at many times.

    Attributes:
        series: of `rows`, and perhaps of more databases than are named here.
        pools: what was pooled of `series` by now, by cadence [microseconds]; parts of a record share it.
    """

    series: SeriesRows
    pools: dict[int, tuple[PooledRows, _Timed]] = field(default_factory=dict)

    @classmethod
    def of(cls, frame: IntervalFrame) -> "SeriesFrame":
        """Make the series of a frame."""
        longs = np.iinfo(np.int64)
        return cls(frame.rows, frame.databases, series_rows(frame, longs.min, longs.max))

    def only(self, refs: AbstractSet[DatabaseRef]) -> "SeriesFrame":
        """Some of the databases; no row is copied."""
        chosen = {number: ref for number, ref in self.databases.items() if ref in refs}
        return replace(self, databases=chosen) if len(chosen) < len(self.databases) else self

    def between(self, after_us: int, until_us: int) -> SeriesRows:
        """Series of what ended within (after_us, until_us]."""
        return self._cut(self.series, self._timed, after_us, until_us)

    def pools_between(self, after_us: int, until_us: int, step_us: int) -> PooledRows:
        """See the function `pools_between`."""
        if step_us not in self.pools:
            pools = pooled_rows(self.series, step_us)
            self.pools[step_us] = pools, _Timed.of(pools)
        return self._cut(*self.pools[step_us], after_us, until_us)

    @cached_property
    def failing(self) -> FailingRecord:
        """What failed."""
        return FailingRecord(self)

    @cached_property
    def _timed(self) -> _Timed:
        return _Timed.of(self.series)

    def _cut(self, whole: _Rows, timed: _Timed, after_us: int, until_us: int) -> _Rows:
        every = np.arange(len(whole))
        first, last = (timed.places(every, moment_us) for moment_us in (after_us, until_us))
        own = np.isin(whole.database_id, list(self.databases))
        counts = np.where(own, last - first, 0)
        before = np.cumsum(counts) - counts
        rows = whole.take(np.arange(int(counts.sum())) + np.repeat(first - before, counts))
        code, _ = self.instance_codes()
        return replace(rows, instance=np.array([code[number] for number in rows.database_id.tolist()], np.int64))


def rows_between(frame: IntervalFrame, after_us: int, until_us: int) -> SeriesRows:
    """Series of the statements that ran in intervals ended within (after_us, until_us]; see `series_rows`."""
    if isinstance(frame, SeriesFrame):
        return frame.between(after_us, until_us)
    return series_rows(frame, after_us, until_us)


def pools_between(frame: IntervalFrame, after_us: int, until_us: int, step_us: int) -> PooledRows:
    """The same in pools; of a record, those that ended as a whole within the time, as all do between whole hours."""
    if isinstance(frame, SeriesFrame):
        return frame.pools_between(after_us, until_us, step_us)
    return pooled_rows(series_rows(frame, after_us, until_us), step_us)
