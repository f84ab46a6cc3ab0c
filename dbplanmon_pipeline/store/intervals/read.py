"""Interval rows on their way out of the hot day tables, as numpy columns."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import psycopg
from numpy.typing import NDArray
from sqlalchemy import Connection

from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import INTERVAL_COLUMNS, KEY_COLUMNS
from dbplanmon_pipeline.store.intervals.days import (
    HOUR_EXPRESSION,
    day_bounds_us,
    hours_between,
    longest_us,
    quoted,
    table_name,
)
from dbplanmon_pipeline.store.targets import id_list

Columns = Mapping[str, "NDArray[np.generic]"]
"""Equally long arrays by column name: int64 keys, float64 metrics (NaN unknown), bool `counter_reset`."""

STATEMENT = KEY_COLUMNS[:2]
"""What tells one statement from another."""

FEW_DATABASES = 64
_COPY_HEADER_BYTES = 19
_COPY_TRAILER_BYTES = 2


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows and columns to read; the key columns are always read.

    Attributes:
        start_us: exclusive.
        end_us: inclusive.
        metrics: in the order of INTERVAL_COLUMNS.
        database_ids: None for all.
        query_hash: None for all.
        statements: pairs of database_id and query_hash; None for all.
        added_up: one row per statement and day, with sums; its only keys are those of STATEMENT.
    """

    start_us: int
    end_us: int
    metrics: tuple[str, ...]
    database_ids: Sequence[int] | None = None
    query_hash: int | None = None
    statements: tuple[tuple[int, int], ...] | None = None
    added_up: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Keys and metrics."""
        return (*(STATEMENT if self.added_up else KEY_COLUMNS), *self.metrics)


def selection(
    bounds: tuple[int, int],
    columns: Sequence[str] | None,
    database_ids: Sequence[int] | None = None,
    query_hash: int | None = None,
) -> Selection:
    """Check the wanted columns and put them into the order of INTERVAL_COLUMNS.

    Raises:
        ValueError: a column is unknown.
    """
    wanted = set(INTERVAL_COLUMNS if columns is None else columns)
    unknown = wanted - set(INTERVAL_COLUMNS)
    if unknown:
        raise ValueError(f"no interval column is called {', '.join(sorted(unknown))}")
    metrics = tuple(name for name in INTERVAL_COLUMNS[len(KEY_COLUMNS) :] if name in wanted)
    return Selection(*bounds, metrics, database_ids, query_hash)


def whole_day(day: date, database_ids: Sequence[int] | None = None) -> Selection:
    """All columns of one UTC day."""
    return selection(day_bounds_us(day), None, database_ids)


def read_hot(connection: Connection, day: date, wanted: Selection) -> Columns:
    """Rows of one hot day, in no order."""
    source = f"{_source(day, wanted)}{_where(connection, day, wanted)}"
    if wanted.added_up:
        sums = ", ".join(f'SUM("{name}") AS "{name}"' for name in wanted.metrics)
        groups = quoted(STATEMENT)
        source = f"(SELECT {groups}, {sums} FROM {source} GROUP BY {groups}) AS sums"  # noqa: S608 - our own names
    if connection.dialect.name == "sqlite":
        sql = f"SELECT {quoted(wanted.columns)} FROM {source}"  # noqa: S608 - our own names
        return _read_sqlite(connection, sql, wanted)
    return _read_postgres(connection, source, wanted)


def _source(day: date, wanted: Selection) -> str:
    """The table of a day, looked up statement by statement where some are wanted."""
    if wanted.statements is None:
        return table_name(day)
    pairs = ", ".join(f"({int(number)}, {int(query_hash)})" for number, query_hash in wanted.statements)
    chosen = f"(WITH c(chosen_id, chosen_hash) AS (VALUES {pairs}) SELECT * FROM c) AS chosen"  # noqa: S608
    return f"{chosen} CROSS JOIN {table_name(day)}"


def read_ends(connection: Connection, day: date) -> Longs:
    """Ends of the intervals of one hot day [epoch microseconds], each once."""
    ends = connection.exec_driver_sql(f"SELECT DISTINCT interval_end_us FROM {table_name(day)}").scalars()  # noqa: S608
    return np.fromiter(ends, np.int64)


def _where(connection: Connection, day: date, wanted: Selection) -> str:
    first, last = day_bounds_us(day)
    terms = []
    by_key = wanted.query_hash is not None or wanted.statements is not None or _is_few(wanted.database_ids)
    if by_key:
        low = max(first, wanted.start_us) - longest_us(connection, [day])
        terms.append(f"{HOUR_EXPRESSION} IN ({id_list(hours_between(low, min(last, wanted.end_us)))})")
    # The plus keeps the planner on the key, where the hours above are the better way in.
    column = "+interval_end_us" if by_key else "interval_end_us"
    terms += [f"{column} > {wanted.start_us}"] if wanted.start_us > first else []
    terms += [f"{column} <= {wanted.end_us}"] if wanted.end_us < last else []
    terms += [f"database_id IN ({id_list(wanted.database_ids)})"] if wanted.database_ids is not None else []
    terms += [f"query_hash = {int(wanted.query_hash)}"] if wanted.query_hash is not None else []
    if wanted.statements is not None:
        terms.append("database_id = chosen_id AND query_hash = chosen_hash")
    return f" WHERE {' AND '.join(terms)}" if terms else ""


def _is_few(database_ids: Sequence[int] | None) -> bool:
    return database_ids is not None and len(database_ids) <= FEW_DATABASES


def _read_sqlite(connection: Connection, sql: str, wanted: Selection) -> Columns:
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    dtype = np.dtype([(name, _kind(name)) for name in wanted.columns])
    rows = np.fromiter(driver.execute(sql), dtype)
    return _typed({name: rows[name] for name in wanted.columns})


def _read_postgres(connection: Connection, source: str, wanted: Selection) -> Columns:
    """COPY out with every field present, so that all rows have one width and numpy can read them in place."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    shown = [_fixed_width(name) for name in wanted.columns]
    sql = f"COPY (SELECT {', '.join(shown)} FROM {source}) TO STDOUT (FORMAT BINARY)"  # noqa: S608 - our own names
    with driver.cursor() as cursor, cursor.copy(sql) as copy:
        data = b"".join(copy)
    fields = [("columns", ">i2")]
    for name in wanted.columns:
        fields += [(f"{name}:length", ">i4"), (name, _kind(name).replace("<", ">"))]
    dtype = np.dtype(fields)
    length = (len(data) - _COPY_HEADER_BYTES - _COPY_TRAILER_BYTES) // dtype.itemsize
    rows = np.frombuffer(data, dtype, length, _COPY_HEADER_BYTES)
    return _typed({name: rows[name] for name in wanted.columns})


def _fixed_width(name: str) -> str:
    if name == "database_id":
        return '"database_id"::bigint'
    if name == "counter_reset":
        return '"counter_reset"::int::bigint'
    return f'"{name}"' if name in KEY_COLUMNS else f"coalesce(\"{name}\", 'NaN')"


def _kind(name: str) -> str:
    return "<i8" if name in KEY_COLUMNS or name == "counter_reset" else "<f8"


def _typed(columns: Columns) -> Columns:
    kinds = {name: np.bool_ if name == "counter_reset" else np.dtype(_kind(name)) for name in columns}
    return {name: np.ascontiguousarray(column.astype(kinds[name])) for name, column in columns.items()}


def join_columns(parts: Sequence[Columns], wanted: Selection) -> Columns:
    """Put several parts one after the other."""
    if not parts:
        return _typed({name: np.empty(0) for name in wanted.columns})
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in wanted.columns}
