"""Many rows in one statement, the fast way of each engine, values converted by the column types.

SQLite takes `executemany`; PostgreSQL takes one array per column and `unnest` (one statement instead of one per row).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Connection, Table
from sqlalchemy.engine import Dialect

Columns = Mapping[str, Sequence[Any]]


def insert_rows(connection: Connection, table: Table, columns: Columns, on_conflict: str = "") -> int:
    """Insert rows given by columns.

    Args:
        connection: an open writing transaction.
        table: where to.
        columns: values by column name, all of one length.
        on_conflict: SQL from `ON CONFLICT` on, of our own words only; empty raises on a repeated key.

    Returns:
        Rows inserted or changed.
    """
    length = len(next(iter(columns.values())))
    if not length:
        return 0
    dialect = connection.dialect
    values = [_converted(table.c[name], column, dialect) for name, column in columns.items()]
    names = ", ".join(f'"{name}"' for name in columns)
    if dialect.name == "sqlite":
        marks = ", ".join("?" * len(values))
        sql = f'INSERT INTO "{table.name}" ({names}) VALUES ({marks}) {on_conflict}'  # noqa: S608 - our own names
        return connection.exec_driver_sql(sql, list(zip(*values, strict=True))).rowcount
    arrays = ", ".join(f"%s::{_array_type(table.c[name], dialect)}" for name in columns)
    sql = f'INSERT INTO "{table.name}" ({names}) SELECT * FROM unnest({arrays}) {on_conflict}'  # noqa: S608
    return connection.exec_driver_sql(sql, tuple(values)).rowcount


def plain_rows(connection: Connection, sql: str) -> list[tuple[Any, ...]]:
    """All rows of a query of our own words, as the driver gives them: no column types, so moments of SQLite are text.

    For many rows of few columns SQLAlchemy takes several times as long as the driver.
    """
    cursor = connection.connection.cursor()
    try:
        cursor.execute(sql)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def plain_moment(value: str | datetime | None) -> datetime | None:
    """Aware UTC, from a moment of `plain_rows`."""
    if value is None:
        return None
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def insert_records(
    connection: Connection, table: Table, records: Sequence[Mapping[str, Any]], on_conflict: str = ""
) -> int:
    """Insert rows given as mappings with the same keys; see `insert_rows`."""
    if not records:
        return 0
    columns = {name: [record[name] for record in records] for name in records[0]}
    return insert_rows(connection, table, columns, on_conflict)


def replace_on(keys: Sequence[str], columns: Sequence[str], where: str = "") -> str:
    """The `ON CONFLICT` clause that replaces every column that is no key."""
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in columns if name not in keys)
    return f"ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes} {where}"


def _converted(column: Column[Any], values: Sequence[Any], dialect: Dialect) -> Sequence[Any]:
    convert = column.type.dialect_impl(dialect).bind_processor(dialect)
    if convert is None:
        return values if isinstance(values, list) else list(values)
    memory: dict[Any, Any] = {}
    converted = []
    for value in values:
        try:
            if value not in memory:
                memory[value] = convert(value)
            converted.append(memory[value])
        except TypeError:  # an unhashable document
            converted.append(convert(value))
    return converted


def _array_type(column: Column[Any], dialect: Dialect) -> str:
    return f"{column.type.compile(dialect)}[]"
