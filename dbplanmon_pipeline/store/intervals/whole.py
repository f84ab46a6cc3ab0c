"""Interval metrics as callers see them: hot tables and sealed days as one table."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import IO, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, func, select

from dbplanmon_pipeline.core.model import DatabaseRef, hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.ports import Clock, RecordedWork
from dbplanmon_pipeline.core.readings.counters import COUNTERS, Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.errors import StoreError, StoreSchemaMismatch
from dbplanmon_pipeline.store.bulk import plain_rows
from dbplanmon_pipeline.store.engine import Database
from dbplanmon_pipeline.store.intervals.adding import add_equal_keys
from dbplanmon_pipeline.store.intervals.archive import ArchiveFolder
from dbplanmon_pipeline.store.intervals.days import HOUR_US, epoch_us, hot_days, overlaps
from dbplanmon_pipeline.store.intervals.parquet import read_sealed, read_sealed_ends
from dbplanmon_pipeline.store.intervals.read import (
    STATEMENT,
    Columns,
    Selection,
    join_columns,
    read_ends,
    read_hot,
    selection,
)
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import archive_segment, counter_state
from dbplanmon_pipeline.store.targets import database_ids, id_list, known_ids

_ATTEMPTS = 3
_ORDER = ("plan_hash", "interval_end_us", "query_hash", "database_id")
_Read = TypeVar("_Read")
_WORK = "COALESCE(execution_count, 0), COALESCE(elapsed_time_us, 0)"
_FAILURES = "COALESCE(aborted_count, 0) + COALESCE(exception_count, 0)"


@dataclass(frozen=True, slots=True)
class _Found:
    """What one moment of the store holds for a selection: hot rows, and sealed files still to be read."""

    hot: dict[date, Columns]
    sealed: dict[date, str]
    ids: dict[DatabaseRef, int]


class IntervalPart(StorePart):
    """Reading of interval metrics."""

    def __init__(self, database: Database, clock: Clock, archive: ArchiveFolder | None) -> None:
        super().__init__(database, clock)
        self._archive = archive

    def latest_interval_end(self) -> datetime | None:
        """End of the newest recorded interval, None in an empty store."""
        with self._database.read() as connection:
            newest = connection.scalar(select(func.max(counter_state.c.newest_end_us)))
        return None if newest is None else from_epoch_us(newest)

    def interval_frame(
        self,
        start: datetime,
        end: datetime,
        *,
        columns: Sequence[str] | None = None,
        databases: Sequence[DatabaseRef] | None = None,
        query_hash: int | None = None,
    ) -> IntervalFrame:
        """Rows whose interval ended in (start, end], hot and sealed days alike; key columns are always there.

        Raises:
            ValueError: a column is unknown, or a moment is naive.
            StoreError: a sealed day cannot be read.
        """
        wanted = selection((epoch_us(start), epoch_us(end)), columns, None, query_hash)
        return self._frame(wanted, databases)

    def statement_frame(
        self,
        start: datetime,
        end: datetime,
        statements: Sequence[tuple[int, int]],
        *,
        columns: Sequence[str] | None = None,
    ) -> IntervalFrame:
        """The same of some statements only, of a few thousand at most.

        Args:
            start: exclusive.
            end: inclusive.
            statements: database id as in a frame, and query hash.
            columns: as for `interval_frame`.

        Raises:
            ValueError: a column is unknown, or a moment is naive.
            StoreError: a sealed day cannot be read.
        """
        wanted = selection((epoch_us(start), epoch_us(end)), columns)
        return self._frame(replace(wanted, statements=tuple(statements)), None)

    def work_by_statement(
        self,
        start: datetime,
        end: datetime,
        columns: Sequence[str],
        *,
        databases: Sequence[DatabaseRef] | None = None,
    ) -> IntervalFrame:
        """Work of intervals that ended in (start, end], added up by statement.

        The database adds up the rows of hot days: half of the time of reading them is that of making them ours.

        Args:
            start: exclusive.
            end: inclusive.
            columns: of COUNTERS, such as add up.
            databases: None for all.

        Returns:
            One row per statement: `database_id`, `query_hash`, sums (NaN unknown), sorted by the first two.

        Raises:
            ValueError: a column is unknown or does not add up, or a moment is naive.
            StoreError: a sealed day cannot be read.
        """
        if not set(columns) <= set(COUNTERS):
            raise ValueError(f"only counters add up, not {', '.join(sorted(set(columns) - set(COUNTERS)))}")
        wanted = replace(selection((epoch_us(start), epoch_us(end)), columns), added_up=True)
        frame = self._frame(wanted, databases)
        if frame.rows.duplicated(list(STATEMENT)).any():
            sums = frame.rows.groupby(list(STATEMENT), sort=True).sum(min_count=1).reset_index()
            return IntervalFrame(sums, frame.databases)
        return frame

    def recorded_work(self, start: datetime, databases: Sequence[DatabaseRef]) -> RecordedWork:
        """Executions, elapsed time [microseconds] and failures since the hour of `start`; unknown counts as 0.

        Changes with every row that is recorded, added to or removed.

        Returns:
            By database and start of the hour [epoch microseconds].
        """
        first = epoch_us(start) // HOUR_US * HOUR_US
        with self._database.read(snapshot=True) as connection:
            ids = database_ids(connection)
            sql = (
                f"SELECT database_id, hour_start_us, {_WORK}, {_FAILURES} FROM database_hour "  # noqa: S608
                f"WHERE database_id IN ({id_list(known_ids(ids, databases) or ())}) AND hour_start_us >= {first}"
            )
            rows = plain_rows(connection, sql)
        refs = {number: ref for ref, number in ids.items()}
        return {(refs[number], hour): tuple(map(float, sums)) for number, hour, *sums in rows}

    def _frame(self, wanted: Selection, databases: Sequence[DatabaseRef] | None) -> IntervalFrame:
        read, ids = self._read(wanted, databases)
        order = np.lexsort([read[name] for name in _ORDER if name in read])
        arrays = {name: column[order] for name, column in read.items()}
        arrays["database_id"] = arrays["database_id"].astype(np.int32)
        refs = {number: ref for ref, number in ids.items()}
        present = np.unique(arrays["database_id"]).tolist()
        return IntervalFrame(pd.DataFrame(arrays, copy=False), {number: refs[number] for number in present})

    def interval_ends(self, start: datetime, end: datetime) -> Longs:
        """Ends of intervals in (start, end] [epoch microseconds], rising, each once; of hot and sealed days alike.

        Raises:
            StoreError: a sealed day cannot be read.
        """
        first, last = epoch_us(start), epoch_us(end)
        with self._database.read(snapshot=True) as connection:
            ends = [read_ends(connection, day) for day in hot_days(connection, first, last)]
            sealed = sealed_days(connection, first, last)
        try:
            ends += [self._read_file(name, read_sealed_ends) for name in sealed.values()]
        except FileNotFoundError as error:
            raise StoreError(self._missing()) from error
        found: Longs = np.unique(np.concatenate([np.empty(0, np.int64), *ends]))
        return found[(found > first) & (found <= last)]

    def query_history(self, ref: DatabaseRef, query_hash: int, start: datetime, end: datetime) -> pd.DataFrame:
        """Rows of one statement whose interval ended in (start, end], oldest first.

        Returns:
            `interval_start`, `interval_end` (UTC timestamps), `plan_hash` (16 hex digits, empty unknown), then all
            metrics (float64, NaN unknown) and `counter_reset`; RangeIndex.
        """
        rows = self.interval_frame(start, end, databases=[ref], query_hash=query_hash).rows
        texts = {value: hash_text(value) for value in rows["plan_hash"].unique().tolist()}
        front = {
            "interval_start": pd.to_datetime(rows["interval_start_us"], unit="us", utc=True),
            "interval_end": pd.to_datetime(rows["interval_end_us"], unit="us", utc=True),
            "plan_hash": rows["plan_hash"].map(texts).astype(object),
        }
        return pd.concat([pd.DataFrame(front), rows.iloc[:, 5:]], axis=1)

    def _read(
        self, wanted: Selection, databases: Sequence[DatabaseRef] | None
    ) -> tuple[Columns, dict[DatabaseRef, int]]:
        """Rows in no order, one per key and day; tries again when a day was sealed in between."""
        for attempt in range(_ATTEMPTS):
            try:
                found = self._find(wanted, databases)
                return self._merge(found, wanted, databases), found.ids
            except (FileNotFoundError, StoreSchemaMismatch) as error:
                if attempt < _ATTEMPTS - 1:
                    continue
                if isinstance(error, FileNotFoundError):
                    raise StoreError(self._missing()) from error
                raise
        raise AssertionError("unreachable")

    def _missing(self) -> str:
        return (
            f"a sealed day is not in the archive {self._archive}; put its file back or set the archive "
            "to the folder that holds it"
        )

    def _find(self, wanted: Selection, databases: Sequence[DatabaseRef] | None) -> _Found:
        with self._database.read(snapshot=True) as connection:
            ids = database_ids(connection)
            chosen = _of(wanted, ids, databases)
            days = hot_days(connection, wanted.start_us, wanted.end_us)
            hot = {day: read_hot(connection, day, chosen) for day in days}
            return _Found(hot, sealed_days(connection, wanted.start_us, wanted.end_us), ids)

    def _merge(self, found: _Found, wanted: Selection, databases: Sequence[DatabaseRef] | None) -> Columns:
        chosen = _of(wanted, found.ids, databases)
        parts = []
        for day in sorted(found.hot.keys() | found.sealed.keys()):
            both = []
            if day in found.sealed:
                both.append(self._sealed_rows(found.sealed[day], chosen, found.ids))
            if day in found.hot:
                both.append(found.hot[day])
            whole = join_columns(both, wanted)
            parts.append(add_equal_keys(whole) if len(both) > 1 and not wanted.added_up else whole)
        return join_columns(parts, wanted)

    def _sealed_rows(self, name: str, chosen: Selection, ids: dict[DatabaseRef, int]) -> Columns:
        found = self._read_file(name, lambda stream: _of_statements(read_sealed(stream, chosen, ids), chosen))
        return {name: found[name] for name in chosen.columns}

    def _read_file(self, name: str, read: Callable[[IO[bytes]], _Read]) -> _Read:
        if self._archive is None:
            raise StoreError("a day is sealed, but no archive is configured; set the archive of the store")
        with self._archive.open(name) as stream:
            try:
                return read(stream)
            except (pa.ArrowException, OSError) as error:
                raise StoreError(
                    f"the sealed day {name} in the archive {self._archive} cannot be read; restore the file"
                ) from error


def _of(wanted: Selection, ids: dict[DatabaseRef, int], databases: Sequence[DatabaseRef] | None) -> Selection:
    numbers = known_ids(ids, databases)
    if wanted.statements is not None:
        numbers = sorted({number for number, _ in wanted.statements})
    return replace(wanted, database_ids=numbers)


def _of_statements(columns: Columns, wanted: Selection) -> Columns:
    """Rows of the wanted statements; a file is not read by statement."""
    if wanted.statements is None:
        return columns
    pairs = zip(columns["database_id"].tolist(), columns["query_hash"].tolist(), strict=True)
    chosen = set(wanted.statements)
    kept = np.array([pair in chosen for pair in pairs], np.bool_)
    return {name: values[kept] for name, values in columns.items()}


def sealed_days(connection: Connection, start_us: int, end_us: int) -> dict[date, str]:
    """File of every sealed day that may hold ends in (start_us, end_us]."""
    rows = connection.execute(select(archive_segment.c.day, archive_segment.c.location))
    return {day: location for day, location in rows if overlaps(day, start_us, end_us)}
