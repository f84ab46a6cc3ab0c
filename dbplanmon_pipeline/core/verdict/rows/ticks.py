"""Which row is judged at which moment, and how far back that judgement may look."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows
from dbplanmon_pipeline.core.verdict.rows.timed_keys import TimedKeys


@dataclass(frozen=True)
class Points:
    """Statements at moments; a point is the last row of a statement that ran in the last interval of its database.

    Attributes:
        row: int64 [points], in order of (tick, row).
        tick: int64 [points], number of the moment.
        oldest: int64 [points], first row that the judgement may see.
    """

    row: Longs
    tick: Longs
    oldest: Longs

    def at(self, chosen: np.ndarray) -> "Points":
        """Some of them."""
        return Points(self.row[chosen], self.tick[chosen], self.oldest[chosen])


def points_of(rows: SeriesRows, ticks_us: Longs, step_us: int, lookback_us: int) -> Points:
    """Points of rows at moments at least one step apart.

    Databases are read one after the other, so the last interval of each has an end of its own.

    Args:
        rows: the series.
        ticks_us: rising [epoch microseconds].
        step_us: cadence.
        lookback_us: how far back from a moment rows count.
    """
    number = np.searchsorted(ticks_us, rows.end_us)
    moment = np.append(ticks_us, np.iinfo(np.int64).max)[number]
    followed = np.zeros(len(number), np.bool_)
    followed[:-1] = (rows.series[1:] == rows.series[:-1]) & (number[1:] == number[:-1])
    row = np.flatnonzero((number < len(ticks_us)) & (rows.end_us > moment - step_us) & ~followed)
    database = np.unique(rows.database_id, return_inverse=True)[1][rows.series[row]]
    cell = database * len(ticks_us) + number[row]
    newest = np.zeros(int(cell.max(initial=-1)) + 1, np.int64)
    np.maximum.at(newest, cell, rows.end_us[row])
    row = row[rows.end_us[row] > newest[cell] - step_us // 4]
    row = row[np.argsort(number[row], kind="stable")]
    return Points(row, number[row], _oldest(rows, row, ticks_us[number[row]] - lookback_us))


def tick_numbers(rows: SeriesRows, ticks_us: Longs, step_us: int) -> tuple[Longs, Longs]:
    """Number of the tick of each row, and of each moment, on one scale from 0.

    A row belongs to the nearest step before the first moment at or after it, but never to that of an earlier moment,
    which could not have known it.

    Returns:
        int64 [rows] and int64 [moments].
    """
    moments = (ticks_us - ticks_us[0] + step_us // 2) // step_us
    at = np.minimum(np.searchsorted(ticks_us, rows.end_us), len(ticks_us) - 1)
    back = np.maximum((ticks_us[at] - rows.end_us + step_us // 2) // step_us, 0)
    earlier = np.append(np.iinfo(np.int64).min, moments)[at]
    number = np.maximum(moments[at] - back, earlier + 1)
    least = min(int(number.min(initial=0)), 0)
    return number - least, moments - least


def _oldest(rows: SeriesRows, row: Longs, after_us: Longs) -> Longs:
    if not len(row):
        return row
    keys = TimedKeys.of(rows.end_us)
    ends = keys.of_rows(rows.series, rows.end_us)
    found: Longs = np.searchsorted(ends, keys.until(rows.series[row], after_us), "right")
    return found


class Active(AbstractSet[tuple[DatabaseRef, int]]):
    """Statements that ran in the last interval, as (database, query hash).

    Args:
        database_id: int64 [n].
        query_hash: int64 [n].
        refs: name of each database id.
    """

    def __init__(self, database_id: Longs, query_hash: Longs, refs: dict[int, DatabaseRef]) -> None:
        self.database_id, self.query_hash, self.refs = database_id, query_hash, refs
        self._keys: frozenset[tuple[int, int]] | None = None
        self._numbers: dict[DatabaseRef, int] = {}

    @classmethod
    def joined(cls, parts: "Sequence[Active]") -> "Active":
        """Those of different databases in one."""
        refs = {number: ref for part in parts for number, ref in part.refs.items()}
        columns = [[part.database_id for part in parts], [part.query_hash for part in parts]]
        return cls(np.concatenate(columns[0]), np.concatenate(columns[1]), refs)

    @classmethod
    def _from_iterable(cls, it: object) -> "frozenset[tuple[DatabaseRef, int]]":  # type: ignore[override]
        return frozenset(it)  # type: ignore[call-overload,no-any-return]

    def __contains__(self, key: object) -> bool:
        if self._keys is None:
            self._keys = frozenset(zip(self.database_id.tolist(), self.query_hash.tolist(), strict=True))
            self._numbers = {ref: number for number, ref in self.refs.items()}
        match key:
            case (DatabaseRef() as ref, int(query)):
                return (self._numbers.get(ref, -1), query) in self._keys
        return False

    def __iter__(self) -> Iterator[tuple[DatabaseRef, int]]:
        for database, query in zip(self.database_id.tolist(), self.query_hash.tolist(), strict=True):
            yield self.refs[database], query

    def __len__(self) -> int:
        return len(self.query_hash)
