"""Tables of one simulated database, loaded into DuckDB when a statement first names them."""

import datetime as dt
import itertools
import re
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pyarrow as pa

_ARROW = {
    "tinyint": pa.uint8(),
    "smallint": pa.int16(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "bit": pa.bool_(),
    "real": pa.float32(),
    "float": pa.float64(),
    "binary": pa.binary(),
    "varbinary": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "datetime": pa.timestamp("us"),
    "datetime2": pa.timestamp("us"),
    "smalldatetime": pa.timestamp("us"),
    "datetimeoffset": pa.timestamp("us", "UTC"),
}
_COLUMN_VIEWS = {"sys.all_columns", "sys.system_columns", "sys.columns"}
_OBJECT_VIEWS = {"sys.all_objects", "sys.system_objects", "sys.objects", "sys.all_views", "sys.system_views"}

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Table:
    """A view with its rows: `columns` are (name, SQL type); moments without a zone are taken as UTC."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Any]] = field(default_factory=list)

    def sqltype(self, column: str) -> str | None:
        """The type of a column, whatever the case of its name; None where there is no such column."""
        return next((sqltype for name, sqltype in self.columns if name.lower() == column.lower()), None)


def plain_name(name: str) -> str:
    """`[sys].[Objects]` as `sys.objects`; a bare name belongs to `dbo`."""
    bare = re.sub(r"[\[\]\"]", "", name).lower()
    return bare if "." in bare else f"dbo.{bare}"


def object_id(name: str) -> int:
    """A number for a view, the same in every database; negative as system objects have it."""
    return -(zlib.crc32(plain_name(name).encode()) & 0x7FFFFFFF)


def new_store() -> duckdb.DuckDBPyConnection:
    """An empty DuckDB that can hold many databases: one of its own would cost each of them 4 MB and 20 ms."""
    store = duckdb.connect(":memory:", config={"threads": 1})
    store.execute("SET GLOBAL TimeZone = 'UTC'")
    return store


class Database:
    """The tables of one database.

    Args:
        store: holds them, in a schema named for this object alone.
        tables: by view name.
    """

    def __init__(self, store: duckdb.DuckDBPyConnection, tables: Mapping[str, Table]) -> None:
        self._tables = {plain_name(name): table for name, table in tables.items()}
        self.shape = hash(tuple(sorted((name, *map(tuple, table.columns)) for name, table in self._tables.items())))
        self._loaded: set[str] = set()
        self._guard = threading.Lock()
        self._store = store
        self._schema = f"database_{next(_numbers)}"
        with store.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {self._schema}")
            # No statistics here have a date of their own; those of a test come with their properties.
            cursor.execute(f"CREATE MACRO {self._schema}.stats_date(object_id, stats_id) AS CAST(NULL AS TIMESTAMP)")

    def table(self, name: str) -> Table | None:
        """A table by its plain name; the catalog views describe the others where nobody gave them."""
        if name in self._tables:
            return self._tables[name]
        if name in _COLUMN_VIEWS:
            return self._described_columns()
        return self._described_objects() if name in _OBJECT_VIEWS else None

    def run(
        self, sql: str, parameters: Mapping[str, object], names: set[str]
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Run DuckDB's SQL over the tables in `names`.

        Returns:
            DuckDB's column types and the rows.
        """
        with self._guard:
            for name in names - self._loaded:
                self._load(name)
        with self._store.cursor() as cursor:
            cursor.execute(f"SET schema = '{self._schema}'")
            cursor.execute(sql, dict(parameters))
            return [str(column[1]) for column in cursor.description or []], cursor.fetchall()

    def close(self) -> None:
        """Give the memory back."""
        with self._store.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {self._schema} CASCADE")

    def _load(self, name: str) -> None:
        table = self.table(name)
        assert table is not None
        with self._store.cursor() as cursor:
            cursor.register("incoming", _arrow_table(table))
            cursor.execute(f'CREATE TABLE {self._schema}."{name}" AS SELECT * FROM incoming')
            cursor.unregister("incoming")
        self._loaded.add(name)

    def _described_columns(self) -> Table:
        columns = [("object_id", "int"), ("name", "sysname"), ("column_id", "int")]
        rows = [
            (object_id(view), name, number)
            for view, table in self._tables.items()
            for number, (name, _) in enumerate(table.columns, start=1)
        ]
        return Table(columns, rows)

    def _described_objects(self) -> Table:
        columns = [("object_id", "int"), ("name", "sysname"), ("schema_id", "int"), ("type", "char(2)")]
        rows = [
            (object_id(view), view.split(".")[-1], 4 if view.startswith("sys.") else 1, "V ") for view in self._tables
        ]
        return Table(columns, rows)


def _arrow_table(table: Table) -> pa.Table:
    values = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    arrays = [_array(sqltype, column) for (_, sqltype), column in zip(table.columns, values, strict=True)]
    return pa.Table.from_arrays(arrays, names=[name for name, _ in table.columns])


def _array(sqltype: str, values: Sequence[Any]) -> Any:
    base, _, rest = sqltype.lower().rstrip(")").partition("(")
    if base in {"decimal", "numeric"}:
        precision, _, scale = rest.partition(",")
        return pa.array(values, pa.decimal128(int(precision or 18), int(scale or 0)))
    if base == "datetimeoffset":
        return pa.array([_aware(value) for value in values], _ARROW[base])
    if base in {"datetime", "datetime2", "smalldatetime"}:
        return pa.array([_naive(value) for value in values], _ARROW[base])
    if base in _ARROW:
        return pa.array(values, _ARROW[base])
    texts = [value if value is None else str(value) for value in values]
    if base == "uniqueidentifier":
        texts = [text and text.upper() for text in texts]
    return pa.array(texts, pa.string())


def _aware(value: dt.datetime | None) -> dt.datetime | None:
    return value if value is None or value.tzinfo else value.replace(tzinfo=dt.UTC)


def _naive(value: dt.datetime | None) -> dt.datetime | None:
    return value if value is None or not value.tzinfo else value.astimezone(dt.UTC).replace(tzinfo=None)
