"""Tables of the store as Parquet or CSV files, for tools that do not speak SQL."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv
from sqlalchemy import BigInteger, Boolean, Date, Float, Integer, LargeBinary, Table, select

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.intervals.days import day_bounds_us, hot_days
from dbplanmon_pipeline.store.intervals.parquet import PUBLIC_SCHEMA, public_table
from dbplanmon_pipeline.store.intervals.sealing import SealingPart
from dbplanmon_pipeline.store.schema import metadata
from dbplanmon_pipeline.store.types import Figure, UtcDateTime

_ROWS_AT_ONCE = 20_000
_METRICS = "interval_metric"


class ExportPart(SealingPart):
    """Writing tables to files."""

    def export(self, table: str, path: str | Path) -> int:
        """Write a table to a `.parquet` or `.csv` file; returns rows written.

        Hashes become hexadecimal text; `interval_metric` has the public columns, hot and sealed days alike; compressed
        bodies are left out.

        Raises:
            StoreError: the table or the kind of file is unknown, or the file cannot be written.
        """
        known = (*metadata.tables, _METRICS)
        if table not in known:
            raise StoreError(f"the store has no table {table}; choose one of {', '.join(sorted(known))}")
        target = Path(path)
        if target.suffix not in (".parquet", ".csv"):
            raise StoreError(f"{target.name} is neither .parquet nor .csv; choose one of the two")
        batches = self._metric_tables() if table == _METRICS else self._tables(metadata.tables[table])
        schema = PUBLIC_SCHEMA if table == _METRICS else _schema(metadata.tables[table])
        try:
            return _write(target, schema, batches)
        except OSError as error:
            raise StoreError(f"{target} cannot be written: {error.strerror or error}") from error

    def _metric_tables(self) -> Iterator[pa.Table]:
        with self._database.read() as connection:
            days = set(hot_days(connection))
        for day in sorted(days | {sealed.day for sealed in self.sealed_days()}):
            start = from_epoch_us(day_bounds_us(day)[0])
            frame = self.interval_frame(start, start + timedelta(days=1))
            yield public_table({str(name): frame.rows[name].to_numpy() for name in frame.rows}, frame.databases)

    def _tables(self, table: Table) -> Iterator[pa.Table]:
        schema = _schema(table)
        columns = [table.c[name] for name in schema.names]
        statement = select(*columns).order_by(*table.primary_key.columns)
        with self._database.read() as connection:
            result = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(statement)
            for rows in result.partitions():
                values = zip(*rows, strict=True)
                arrays = [
                    pa.array(_shown(name, column), field.type)
                    for name, column, field in zip(schema.names, values, schema, strict=True)
                ]
                yield pa.table(arrays, schema=schema)


def _write(target: Path, schema: pa.Schema, tables: Iterator[pa.Table]) -> int:
    rows = 0
    writer: Any = pq.ParquetWriter(target, schema) if target.suffix == ".parquet" else csv.CSVWriter(target, schema)
    with writer:
        for table in tables:
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _schema(table: Table) -> pa.Schema:
    return pa.schema(
        [(column.name, _arrow_type(column)) for column in table.c if not isinstance(column.type, LargeBinary)]
    )


def _arrow_type(column: Any) -> "pa.DataType":
    if column.name.endswith("_hash"):
        return pa.string()
    kinds: list[tuple[type, pa.DataType]] = [
        (UtcDateTime, pa.timestamp("us", tz="UTC")),
        (Boolean, pa.bool_()),
        (BigInteger, pa.int64()),
        (Integer, pa.int64()),
        (Float, pa.float64()),
        (Figure, pa.float64()),
        (Date, pa.date32()),
    ]
    return next((arrow for kind, arrow in kinds if isinstance(column.type, kind)), pa.string())


def _shown(name: str, values: tuple[Any, ...]) -> list[Any]:
    if name.endswith("_hash"):
        return [hash_text(value) for value in values]
    return [json.dumps(value) if isinstance(value, dict | list) else value for value in values]
