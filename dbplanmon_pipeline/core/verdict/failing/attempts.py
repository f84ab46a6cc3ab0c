"""Executions that were tried, the failed ones included, and what failures the statements of a database have in common.

The series of costs leave out intervals in which nothing ended well; these are the rows that know of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.rows.timed_keys import TimedKeys

FAILED_COLUMNS = ("aborted_count", "exception_count")

_UNIT = 1_000_000
"""Weights are whole millionths: their sums do not depend on the order in which they were added up."""

_FEW = 10.0
"""A statement speaks with half its voice in an interval of so many executions."""

_CALM = 2 * _UNIT
"""As if so many statements that never fail ran as well."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Attempts:
    """Row i of every array is one (statement, plan, interval), in the order of `IntervalFrame`.

    Attributes:
        database_id / query_hash / plan_hash: int64.
        start_us / end_us: int64 [epoch microseconds].
        tried: float64, executions that ended in any way, above 0.
        failed: float64, those that were aborted or ended with an error.
        aborted: float64, those that were aborted.
    """

    database_id: Longs
    query_hash: Longs
    plan_hash: Longs
    start_us: Longs
    end_us: Longs
    tried: Floats
    failed: Floats
    aborted: Floats

    def __len__(self) -> int:
        return len(self.end_us)

    def take(self, chosen: "NDArray[np.intp] | Flags") -> "Attempts":
        """Some of the rows, by mask or position."""
        return Attempts(*(getattr(self, column.name)[chosen] for column in fields(self)))

    @property
    def statement(self) -> Longs:
        """Number of the statement of each row, rising."""
        new = np.ones(len(self), np.bool_)
        new[1:] = (self.database_id[1:] != self.database_id[:-1]) | (self.query_hash[1:] != self.query_hash[:-1])
        numbers: Longs = np.cumsum(new) - 1
        return numbers


def has_failures(frame: IntervalFrame) -> bool:
    """Whether any row tells of an execution that failed; asked first, as in most records none does."""
    return any((frame.rows[name].to_numpy(np.float64) > 0).any() for name in FAILED_COLUMNS if name in frame.rows)


def attempts_of(frame: IntervalFrame, after_us: int, until_us: int) -> Attempts:
    """Rows that ended within (after_us, until_us] and of which it is known how many executions failed.

    The rest that capture gathers is left out, and so is every row whose failures are unknown: lost is not zero.
    """
    rows = frame.rows
    if not set(FAILED_COLUMNS) <= set(rows.columns):
        return _of(rows.iloc[:0], np.empty(0), np.empty(0), np.empty(0))
    aborted, failed = rows["aborted_count"].to_numpy(np.float64), rows["exception_count"].to_numpy(np.float64)
    failed = aborted + failed
    end = rows["interval_end_us"].to_numpy(np.int64)
    tried = rows["execution_count"].to_numpy(np.float64) + failed
    keep = (tried > 0) & (end > after_us) & (end <= until_us)
    keep &= rows["query_hash"].to_numpy(np.int64) != OTHER_STATEMENTS
    at = np.flatnonzero(keep)
    return _of(rows.iloc[at], tried[at], failed[at], aborted[at])


def _of(rows: pd.DataFrame, tried: Floats, failed: Floats, aborted: Floats) -> Attempts:
    database, query, plan, start, end = (
        rows[name].to_numpy(np.int64)
        for name in ("database_id", "query_hash", "plan_hash", "interval_start_us", "interval_end_us")
    )
    return Attempts(database, query, plan, start, end, tried, failed, aborted)


def with_usual_plan(rows: Attempts, table: pd.DataFrame, plan_hash: Longs) -> Flags:
    """Rows that ran with the plan their baseline knows, or of which either is unknown [rows].

    Args:
        rows: any.
        table: of the baselines.
        plan_hash: int64, plan of each row of `table`; 0 unknown.
    """
    place = places_in(rows, *(table[name].to_numpy(np.int64) for name in ("database_id", "query_hash")))
    before = np.append(plan_hash, 0)[place]
    usual: Flags = (before == 0) | (rows.plan_hash == 0) | (before == rows.plan_hash)
    return usual


def places_in(rows: Attempts, database_id: Longs, query_hash: Longs) -> Longs:
    """Where the statement of each row stands among others, -1 for nowhere [rows]."""
    own = np.flatnonzero(np.isin(query_hash, np.unique(rows.query_hash)))
    known = pd.MultiIndex.from_arrays([database_id[own], query_hash[own]])
    found = known.get_indexer(pd.MultiIndex.from_arrays([rows.database_id, rows.query_hash]))
    return np.append(own, -1)[found]


@dataclass(frozen=True)
class FailureCells:
    """Voices of the statements by database and end of an interval, in this order.

    Attributes:
        database_id / end_us: int64 [cells].
        failed: int64 [cells], millionths: share of failed executions, summed over statements with their usual plan.
        tried: int64 [cells], millionths: statements that ran; seldom ones count less in both.
    """

    database_id: Longs
    end_us: Longs
    failed: Longs
    tried: Longs

    def after(self, moment_us: int) -> "FailureCells":
        """Those that ended later."""
        kept = self.end_us > moment_us
        return FailureCells(self.database_id[kept], self.end_us[kept], self.failed[kept], self.tried[kept])

    def then(self, later: "FailureCells") -> "FailureCells":
        """These and others that ended later."""
        columns = [np.concatenate([getattr(self, one.name), getattr(later, one.name)]) for one in fields(FailureCells)]
        order = np.lexsort((columns[1], columns[0]))
        return FailureCells(*(column[order] for column in columns))


def voices(rows: Attempts, usual: Flags) -> tuple[Longs, Longs]:
    """What each row adds to `failed` and `tried` of its cell."""
    weight = _UNIT / (rows.tried + _FEW)
    failed = np.where(usual, np.rint(weight * rows.failed), 0).astype(np.int64)
    return failed, np.rint(weight * rows.tried).astype(np.int64)


def cells_of(rows: Attempts, table: pd.DataFrame, plan_hash: Longs) -> FailureCells:
    """Cells of all rows; arguments as for `with_usual_plan`."""
    usual = np.ones(len(rows), np.bool_)
    failing = np.flatnonzero(rows.failed > 0)
    usual[failing] = with_usual_plan(rows.take(failing), table, plan_hash)
    return cells_by(rows, usual)


def cells_by(rows: Attempts, usual: Flags) -> FailureCells:
    """Cells of all rows; what failed counts where `usual` [rows] holds."""
    failed, tried = voices(rows, usual)
    databases, number = np.unique(rows.database_id, return_inverse=True)
    timed = TimedKeys.of(rows.end_us)
    keys, cell = np.unique(timed.of_rows(number, rows.end_us), return_inverse=True)
    # Whole numbers below 2^53 stay whole in float sums.
    sums = [np.bincount(cell, values, minlength=len(keys)).astype(np.int64) for values in (failed, tried)]
    return FailureCells(databases[keys // timed.width].astype(np.int64), keys % timed.width + timed.begin, *sums)


class Around:
    """What fails around a statement: in its database and on its instance.

    Args:
        cells: of all databases of the instances.
        refs: names of the databases.
    """

    def __init__(self, cells: FailureCells, refs: Mapping[int, DatabaseRef]) -> None:
        names = {name: number for number, name in enumerate(sorted({ref.instance for ref in refs.values()}))}
        self._code = {database: names[ref.instance] for database, ref in refs.items()}
        self._newest = _Sums(cells.database_id, cells)
        self._instances = _Sums(self._codes(cells.database_id), cells)

    def newest_ends(self, database_id: Longs, until_us: Longs) -> Longs:
        """End of the last interval of each database by then; 0 for none."""
        return self._newest.last_end(database_id, until_us)

    def shares(self, database_id: Longs, after_us: Longs, until_us: Longs, own: tuple[Longs, Longs]) -> list[Floats]:
        """Share of failed executions of the other statements of the instance, and of the database.

        Args:
            database_id: int64 [n].
            after_us: int64 [n], later ends count,
            until_us: int64 [n], up to this one.
            own: what the statement itself adds there, see `voices`.
        """
        found = []
        for sums, group in ((self._instances, self._codes(database_id)), (self._newest, database_id)):
            failed, tried = sums.between(group, after_us, until_us)
            found.append(np.maximum(failed - own[0], 0) / (np.maximum(tried - own[1], 0) + _CALM))
        return found

    def _codes(self, database_id: Longs) -> Longs:
        known = np.unique(database_id)
        codes = np.array([self._code[number] for number in known.tolist()], np.int64)
        return codes[np.searchsorted(known, database_id)]


class _Sums:
    """Sums of cells over any time, by group."""

    def __init__(self, group: Longs, cells: FailureCells) -> None:
        order = np.lexsort((cells.end_us, group))
        self._timed = TimedKeys.of(cells.end_us)
        self._end_us = cells.end_us[order]
        self._group = group[order]
        self._keys = self._timed.of_rows(self._group, self._end_us)
        self._failed, self._tried = (
            np.concatenate([[0], np.cumsum(values[order])]) for values in (cells.failed, cells.tried)
        )

    def _place(self, group: Longs, moment_us: Longs) -> Longs:
        """First cell of the group after a moment."""
        found: Longs = np.searchsorted(self._keys, self._timed.until(group, moment_us), "right")
        return found

    def between(self, group: Longs, after_us: Longs, until_us: Longs) -> tuple[Longs, Longs]:
        first = self._place(group, after_us)
        end = np.maximum(self._place(group, until_us), first)
        return self._failed[end] - self._failed[first], self._tried[end] - self._tried[first]

    def last_end(self, group: Longs, until_us: Longs) -> Longs:
        if not len(self._keys):
            return np.zeros(len(group), np.int64)
        at = np.maximum(self._place(group, until_us) - 1, 0)
        known = (self._group[at] == group) & (self._end_us[at] <= until_us)
        return np.where(known, self._end_us[at], 0)
