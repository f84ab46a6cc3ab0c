"""What failed in a record, put in order once, so that judging a part of it costs what failed there."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.failing.attempts import (
    Attempts,
    FailureCells,
    Flags,
    attempts_of,
    cells_by,
    has_failures,
    voices,
    with_usual_plan,
)
from dbplanmon_pipeline.core.verdict.rows.timed_keys import TimedKeys

_ALWAYS = np.iinfo(np.int64)


@dataclass(frozen=True)
class FailingPart:
    """What failed within some time.

    Attributes:
        rows: all rows of the statements that failed then.
        usual: bool [rows], see `with_usual_plan`.
        cells: of all statements.
    """

    rows: Attempts
    usual: Flags
    cells: FailureCells


class FailingRecord:
    """The rows of the statements of a record that ever failed, and what all together tried.

    Args:
        frame: the record.
    """

    def __init__(self, frame: IntervalFrame) -> None:
        rows = attempts_of(frame if has_failures(frame) else _nothing(frame), _ALWAYS.min, _ALWAYS.max)
        statement = rows.statement
        cells = cells_by(rows, np.zeros(len(rows), np.bool_))
        order = np.lexsort((cells.database_id, cells.end_us))
        self._cells = FailureCells(
            cells.database_id[order], cells.end_us[order], cells.failed[order], cells.tried[order]
        )
        self._rows = rows.take(np.bincount(statement, rows.failed > 0)[statement] > 0)
        self._by_end = np.argsort(self._rows.end_us, kind="stable")
        self._ends = self._rows.end_us[self._by_end]

    def between(self, after_us: int, until_us: int, table: pd.DataFrame, plan_hash: Longs) -> FailingPart | None:
        """What ended within (after_us, until_us], None where nothing failed; the rest as for `with_usual_plan`."""
        rows = self._rows.take(np.sort(self._by_end[_within(self._ends, after_us, until_us)]))
        if not (rows.failed > 0).any():
            return None
        statement = rows.statement
        rows = rows.take(np.bincount(statement, rows.failed > 0)[statement] > 0)
        usual = with_usual_plan(rows, table, plan_hash)
        return FailingPart(rows, usual, self._cells_of(rows, usual, _within(self._cells.end_us, after_us, until_us)))

    def _cells_of(self, rows: Attempts, usual: Flags, part: slice) -> FailureCells:
        every = self._cells
        order = np.lexsort((every.end_us[part], every.database_id[part]))
        database, end, tried = (column[part][order] for column in (every.database_id, every.end_us, every.tried))
        names = np.unique(database)
        timed = TimedKeys.of(end)
        keys = timed.of_rows(np.searchsorted(names, database), end)
        failed = np.zeros(len(keys), np.int64)
        cell = np.searchsorted(keys, timed.of_rows(np.searchsorted(names, rows.database_id), rows.end_us))
        np.add.at(failed, cell, voices(rows, usual)[0])
        return FailureCells(database, end, failed, tried)


def _within(ends_us: Longs, after_us: int, until_us: int) -> slice:
    first, last = np.searchsorted(ends_us, [after_us, until_us], "right")
    return slice(int(first), int(last))


def _nothing(frame: IntervalFrame) -> IntervalFrame:
    return replace(frame, rows=frame.rows.iloc[:0])
