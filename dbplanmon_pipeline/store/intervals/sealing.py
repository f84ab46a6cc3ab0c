"""Finished days: from the hot table to the archive, into hourly totals, and out of the store."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sqlalchemy import Connection, select, text

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.ports import SealedDay
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.bulk import insert_rows, replace_on
from dbplanmon_pipeline.store.intervals.archive import ArchiveFolder
from dbplanmon_pipeline.store.intervals.days import (
    HOUR_US,
    day_bounds_us,
    drop_day,
    hold_day,
    hot_days,
    late_writes,
    table_name,
)
from dbplanmon_pipeline.store.intervals.parquet import parquet_writer, public_table, write_rows
from dbplanmon_pipeline.store.intervals.read import Columns, whole_day
from dbplanmon_pipeline.store.intervals.whole import IntervalPart
from dbplanmon_pipeline.store.schema import archive_segment, hourly_rollup
from dbplanmon_pipeline.store.targets import database_ids

_DATABASES_AT_ONCE = 50
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class _Seen:
    """What of a hot day was written to the file; the day is dropped only while this still holds."""

    rows: int
    late_writes: int


class SealingPart(IntervalPart):
    """Sealing, rolling up and dropping whole UTC days."""

    def seal_day(self, day: date) -> SealedDay | None:
        """Write a finished UTC day to Parquet and drop its hot rows; None without rows. Repeating changes nothing.

        Rows that come late for a sealed day are sealed by the next call: the file is written anew.

        Raises:
            StoreError: the day has not ended, or no archive is configured.
        """
        last_moment = from_epoch_us(day_bounds_us(day)[1])
        if self._clock() < last_moment:
            raise StoreError(f"{day} has not ended yet; it can be sealed from {last_moment:%Y-%m-%d %H:%M} UTC on")
        archive = self._open_archive()
        for _attempt in range(_ATTEMPTS):
            if not self._hot_rows(day):
                return self._sealed(day)
            try:
                seen, segment = self._write_file(day, archive)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise StoreError(f"{day} stays in the store, the archive {archive} cannot take it: {reason}") from error
            if self._swap(day, seen, segment):
                return self._sealed(day)
        raise StoreError(f"{day} cannot be sealed, rows for it keep coming; try again later")

    def sealed_days(self) -> list[SealedDay]:
        """All sealed days, oldest first."""
        table = archive_segment
        statement = select(table.c.day, table.c.rows, table.c.bytes, table.c.location).order_by(table.c.day)
        with self._database.read() as connection:
            return [SealedDay(*row) for row in connection.execute(statement)]

    def sweep_archive(self) -> list[str]:
        """Remove what broken runs left in the archive, once it is an hour old; returns the names."""
        keep = frozenset(sealed.location for sealed in self.sealed_days())
        return self._open_archive().sweep(keep, self._clock())

    def hot_days(self) -> list[date]:
        """Days with a hot table, oldest first."""
        with self._database.read() as connection:
            return hot_days(connection)

    def drop_hot_days(self, before: date) -> list[date]:
        """Drop the hot tables of all days before this one; returns the days."""
        days = [day for day in self.hot_days() if day < before]
        dropped = []
        for day in days:
            with self._database.write() as connection:
                dropped += [day] if drop_day(connection, day) else []
        return dropped

    def drop_sealed_days(self, before: date) -> list[date]:
        """Take all days before this one out of the archive; returns the days."""
        old = [sealed for sealed in self.sealed_days() if sealed.day < before]
        for sealed in old:
            with self._database.write() as connection:
                connection.execute(archive_segment.delete().where(archive_segment.c.day == sealed.day))
            self._open_archive().remove(sealed.location)
        return [sealed.day for sealed in old]

    def roll_up_day(self, day: date) -> int:
        """Hourly totals of one UTC day, replacing what was there; returns rows written."""
        start = from_epoch_us(day_bounds_us(day)[0])
        with self._database.read() as connection:
            refs = sorted(database_ids(connection))
        written = 0
        for first in range(0, len(refs), _DATABASES_AT_ONCE):
            some = refs[first : first + _DATABASES_AT_ONCE]
            frame = self.interval_frame(start, start + timedelta(days=1), databases=some)
            arrays = {str(name): frame.rows[name].to_numpy() for name in frame.rows.columns}
            written += self._replace_totals(day, some, hourly_totals(arrays))
        return written

    def _replace_totals(self, day: date, refs: Sequence[DatabaseRef], totals: Columns) -> int:
        table = hourly_rollup
        first, last = day_bounds_us(day)
        with self._database.write() as connection:
            ids = database_ids(connection)
            of_day = (table.c.hour_start_us >= first) & (table.c.hour_start_us < last)
            numbers = [ids[ref] for ref in refs]
            connection.execute(table.delete().where(of_day & table.c.database_id.in_(numbers)))
            lists = {name: _optional(column) for name, column in totals.items()}
            return insert_rows(connection, table, lists)

    def _write_file(self, day: date, archive: ArchiveFolder) -> tuple[_Seen, dict[str, Any]]:
        """Bring the hot rows of a day into the archive; what was seen of them, and the row of the manifest."""
        with archive.writer() as draft:
            with parquet_writer(draft.stream) as writer:
                seen, rows = self._write_day(day, writer)
            name, size, digest = draft.publish(day)
        return seen, {"location": name, "rows": rows, "bytes": size, "sha256": digest}

    def _open_archive(self) -> ArchiveFolder:
        if self._archive is None:
            raise StoreError("no archive is configured, so no day can be sealed; set the archive of the store")
        return self._archive

    def _hot_rows(self, day: date) -> bool:
        with self._database.read() as connection:
            return day in hot_days(connection)

    def _sealed(self, day: date) -> SealedDay | None:
        return next((sealed for sealed in self.sealed_days() if sealed.day == day), None)

    def _write_day(self, day: date, writer: pq.ParquetWriter) -> tuple[_Seen, int]:
        """Write all databases in order of their names; returns what was read of the hot day, and rows written."""
        hot = written = 0
        with self._database.read() as connection:
            late = late_writes(connection, day)
            refs = {number: ref for ref, number in database_ids(connection).items()}
            numbers = sorted(refs, key=refs.__getitem__)
        for some in _chunks(numbers):
            wanted = whole_day(day)
            found = self._find(wanted, [refs[number] for number in some])
            hot += len(found.hot[day]["database_id"]) if day in found.hot else 0
            rows = self._merge(found, wanted, [refs[number] for number in some])
            written += len(rows["database_id"])
            if len(rows["database_id"]):
                write_rows(writer, public_table(rows, refs))
        return _Seen(hot, late), written

    def _swap(self, day: date, seen: _Seen, facts: dict[str, Any]) -> bool:
        """Make the file count and drop the hot rows, unless rows came in between; False then, without a change."""
        old = self._sealed(day)
        with self._database.write() as connection:
            if not _is_unchanged(connection, day, seen, old):
                swapped = False
            else:
                record = {"day": day, "sealed_at": self._clock(), **facts}
                if facts["rows"]:
                    columns = {name: [value] for name, value in record.items()}
                    insert_rows(connection, archive_segment, columns, replace_on(["day"], list(record)))
                drop_day(connection, day)
                swapped = True
        now = self._sealed(day)
        kept = now.location if now else ""
        for name in {facts["location"], old.location if old else facts["location"]} - {kept}:
            self._open_archive().remove(name)
        return swapped


def _is_unchanged(connection: Connection, day: date, seen: _Seen, old: SealedDay | None) -> bool:
    if not hold_day(connection, day):
        return False
    table = archive_segment
    sealed = connection.scalar(select(table.c.location).where(table.c.day == day))
    if sealed != (old.location if old else None):
        return False
    count = connection.scalar(text(f"SELECT count(*) FROM {table_name(day)}"))  # noqa: S608 - our own name
    return _Seen(count or 0, late_writes(connection, day)) == seen


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), _DATABASES_AT_ONCE):
        yield numbers[first : first + _DATABASES_AT_ONCE]


def hourly_totals(rows: Columns) -> Columns:
    """Totals per (database, hour of the interval end, query, plan); NaN only where every row is unknown.

    Args:
        rows: all of INTERVAL_COLUMNS, in any order.

    Returns:
        Columns of `hourly_rollup`; `intervals` counts the rows behind a total.
    """
    hours = (rows["interval_end_us"].astype(np.int64) - 1) // HOUR_US * HOUR_US
    keys = [rows["database_id"].astype(np.int64), hours, rows["query_hash"], rows["plan_hash"]]
    order = np.lexsort(keys[::-1])
    if not len(order):
        return {name: np.empty(0) for name in ("database_id", "intervals")}
    sorted_keys = np.column_stack(keys)[order]
    begins = np.flatnonzero(np.r_[True, (sorted_keys[1:] != sorted_keys[:-1]).any(axis=1)])
    names = ("database_id", "hour_start_us", "query_hash", "plan_hash")
    totals: dict[str, NDArray[Any]] = {name: sorted_keys[begins, index] for index, name in enumerate(names)}
    totals["intervals"] = np.diff(np.r_[begins, len(order)])
    for name in COUNTERS:
        values = rows[name][order].astype(float)
        known = np.add.reduceat((~np.isnan(values)).astype(np.int64), begins)
        totals[name] = np.where(known > 0, np.add.reduceat(np.nan_to_num(values), begins), np.nan)
    for name in EXTREMA:
        extreme = np.fmin if name.endswith("_min") else np.fmax
        totals[name] = extreme.reduceat(rows[name][order].astype(float), begins)
    return totals


def _optional(column: "NDArray[Any]") -> list[Any]:
    if column.dtype.kind != "f":
        return list(column.tolist())
    return [None if value != value else value for value in column.tolist()]  # noqa: PLR0124 - NaN
