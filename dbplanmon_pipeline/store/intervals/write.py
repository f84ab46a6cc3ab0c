"""Interval rows on their way into the hot day tables.

A row whose key (database, query, plan, interval start) is there already is more work of that interval and is added.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection

from dbplanmon_pipeline.core.readings.counters import EXECUTIONS, Floats, IntervalRows, Longs
from dbplanmon_pipeline.store.intervals.adding import KEY, add_equal_keys, add_on_conflict
from dbplanmon_pipeline.store.intervals.database_hours import add_work, hours_of_rows
from dbplanmon_pipeline.store.intervals.days import (
    STORED_COLUMNS,
    allow_new_days,
    day_number,
    day_of,
    ensure_day,
    quoted,
    table_name,
)

_COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_KEYS = 5
_UNIQUE = [STORED_COLUMNS.index(name) for name in KEY]


@dataclass(frozen=True)
class IntervalBatch:
    """Rows of several databases: int64 [n, 5] keys in the order of KEY_COLUMNS, float64 [n, 20] metrics, bool [n].

    Made by `sorted` or `of`: in the order of the unique index, so that neighbours are written one after the other.
    """

    keys: Longs
    metrics: Floats
    reset: NDArray[np.bool_]

    @classmethod
    def of(cls, parts: Iterable[tuple[int, IntervalRows]]) -> "IntervalBatch":
        """Put the rows of several (database_id, rows) together."""
        taken = [(number, rows) for number, rows in parts if len(rows)]
        if not taken:
            return cls(np.empty((0, _KEYS), np.int64), np.empty((0, len(STORED_COLUMNS) - 6)), np.empty(0, bool))
        names = ("query_hash", "plan_hash", "interval_start_us", "interval_end_us")
        numbers = np.repeat([number for number, _rows in taken], [len(rows) for _number, rows in taken])
        keys = [numbers, *(np.concatenate([getattr(rows, name) for _number, rows in taken]) for name in names)]
        metrics = [np.concatenate([getattr(rows, name) for _n, rows in taken]) for name in ("values", "extrema")]
        reset = np.concatenate([rows.counter_reset for _number, rows in taken])
        return cls.sorted(np.column_stack(keys).astype(np.int64), np.hstack(metrics), reset)

    @classmethod
    def sorted(cls, keys: Longs, metrics: Floats, reset: NDArray[np.bool_]) -> "IntervalBatch":
        """Rows in any order."""
        order = np.lexsort(keys[:, _UNIQUE[::-1]].T)
        return cls(keys[order], metrics[order], reset[order])

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: "NDArray[Any]") -> "IntervalBatch":
        """Some of the rows, by mask or rising position."""
        return IntervalBatch(self.keys[rows], self.metrics[rows], self.reset[rows])

    def with_unique_keys(self) -> "IntervalBatch":
        """Rows with one key added up; neither engine takes a key twice in one statement."""
        own = self.keys[:, _UNIQUE]
        if not (own[1:] == own[:-1]).all(axis=1).any():
            return self
        columns = dict(zip(STORED_COLUMNS, (*self.keys.T, *self.metrics.T, self.reset), strict=True))
        added = list(add_equal_keys(columns).values())
        return IntervalBatch(np.column_stack(added[:_KEYS]), np.column_stack(added[_KEYS:-1]), added[-1])

    def newest_ends(self) -> dict[int, int]:
        """Newest interval end [epoch microseconds] of each database_id."""
        numbers, position = np.unique(self.keys[:, 0], return_inverse=True)
        newest = np.full(len(numbers), np.iinfo(np.int64).min)
        np.maximum.at(newest, position, self.keys[:, 4])
        return dict(zip(numbers.tolist(), newest.tolist(), strict=True))

    def plans_in_use(self) -> Longs:
        """Int64 [m, 3]: database_id, query_hash, plan with most executions in the newest interval (0 unknown)."""
        begins = np.ones(len(self.keys), bool)
        begins[1:] = (self.keys[1:, :2] != self.keys[:-1, :2]).any(axis=1)
        if begins.all():
            return self.keys[:, :3]
        executions = np.nan_to_num(self.metrics[:, EXECUTIONS])
        known = self.keys[:, 2] != 0
        order = np.lexsort((executions, self.keys[:, 4], known, np.cumsum(begins)))
        # Statements keep their places, so the last row of each is where the next one begins.
        return self.keys[order][np.roll(begins, -1)][:, :3]

    def pairs_with_plan(self) -> Longs:
        """Int64 [m, 3]: database_id, query_hash, plan_hash, each once, sorted; plan known."""
        keys = self.keys[self.keys[:, 2] != 0][:, :3]
        fresh = np.ones(len(keys), bool)
        fresh[1:] = (keys[1:] != keys[:-1]).any(axis=1)
        found: Longs = keys[fresh]
        return found


def write_intervals(connection: Connection, batch: IntervalBatch, now: datetime) -> None:
    """Store the rows of a batch, each in the table of its day, added to what is there of the same interval."""
    if not len(batch):
        return
    add_work(connection, hours_of_rows(batch.keys, batch.metrics))
    numbers = day_number(batch.keys[:, 4])
    chosen = np.unique(numbers).tolist()
    allow_new_days(connection, [day_of(number) for number in chosen])
    for number in chosen:
        part = (batch if (numbers == number).all() else batch.take(numbers == number)).with_unique_keys()
        longest = int((part.keys[:, 4] - part.keys[:, 3]).max())
        ensure_day(connection, day_of(number), longest, now)
        name = table_name(day_of(number))
        if connection.dialect.name == "sqlite":
            _insert_sqlite(connection, name, part)
        else:
            _copy_postgres(connection, name, part)


def _insert_sqlite(connection: Connection, name: str, batch: IntervalBatch) -> None:
    # Columns that nobody knows are not named, and a single NaN arrives as NULL.
    known = ~np.isnan(batch.metrics).all(axis=0)
    names = [*STORED_COLUMNS[:_KEYS], *np.array(STORED_COLUMNS[_KEYS:-1])[known].tolist(), STORED_COLUMNS[-1]]
    columns = [column.tolist() for column in (*batch.keys.T, *batch.metrics.T[known], batch.reset.astype(np.int64))]
    marks = ", ".join("?" * len(columns))
    added = add_on_conflict(connection.dialect, name)
    sql = f"INSERT INTO {name} ({quoted(names)}) VALUES ({marks}) {added}"  # noqa: S608 - our own names
    connection.exec_driver_sql(sql, list(zip(*columns, strict=True)))


def _copy_postgres(connection: Connection, name: str, batch: IntervalBatch) -> None:
    data = _binary_rows(batch)
    try:
        with connection.begin_nested():
            _copy(connection, name, data)
    except psycopg.errors.UniqueViolation:
        # Some rows are there already: go through a table of this transaction, as COPY itself cannot add.
        connection.exec_driver_sql(f"CREATE TEMP TABLE late_{name} (LIKE {name}) ON COMMIT DROP")
        _copy(connection, f"late_{name}", data)
        columns = quoted(STORED_COLUMNS)
        added = add_on_conflict(connection.dialect, name)
        connection.exec_driver_sql(
            f"INSERT INTO {name} ({columns}) SELECT {columns} FROM late_{name} {added}"  # noqa: S608 - our own names
        )
        connection.exec_driver_sql(f"DROP TABLE late_{name}")


def _copy(connection: Connection, name: str, data: bytes) -> None:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    columns = quoted(STORED_COLUMNS)
    with driver.cursor() as cursor, cursor.copy(f"COPY {name} ({columns}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.write(data)


def _binary_rows(batch: IntervalBatch) -> bytes:
    """PostgreSQL's binary COPY format; rows with the same unknown columns have one fixed width and go together."""
    unknown = np.isnan(batch.metrics)
    packed = np.packbits(unknown, axis=1)
    _patterns, first, member = np.unique(packed, axis=0, return_index=True, return_inverse=True)
    parts = [_COPY_HEADER]
    for pattern, row in enumerate(first.tolist()):
        mask = member.reshape(-1) == pattern
        parts.append(_fixed_width(batch.take(mask), unknown[row]))
    return b"".join([*parts, _COPY_TRAILER])


def _fixed_width(batch: IntervalBatch, unknown: "NDArray[np.bool_]") -> bytes:
    fields: list[tuple[str, str]] = [("columns", ">i2")]
    for index, name in enumerate(STORED_COLUMNS):
        fields.append((f"{name}:length", ">i4"))
        kind = ">i4" if index == 0 else ">i8" if index < _KEYS else ">f8" if index < len(STORED_COLUMNS) - 1 else "i1"
        if not (_KEYS <= index < len(STORED_COLUMNS) - 1 and unknown[index - _KEYS]):
            fields.append((name, kind))
    rows = np.empty(len(batch), np.dtype(fields))
    rows["columns"] = len(STORED_COLUMNS)
    values = [*batch.keys.T, *batch.metrics.T, batch.reset]
    for name, column in zip(STORED_COLUMNS, values, strict=True):
        present = name in (rows.dtype.names or ())
        rows[f"{name}:length"] = rows.dtype[name].itemsize if present else -1
        if present:
            rows[name] = column
    return rows.tobytes()
