"""Recorded intervals in the public form of the archive, from files outside any store."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.intervals import IntervalFrame
from dbplanmon_pipeline.core.model import DatabaseRef, hash_int
from dbplanmon_pipeline.core.verdict.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.errors import StoreError

_TEXTS = ("instance", "database", "query_hash", "plan_hash")
_TIMES = ("interval_start", "interval_end")
_METRICS = DETECTOR_COLUMNS[5:]
_ORDER = ["database_id", "query_hash", "interval_end_us", "plan_hash"]


def read_recorded_intervals(path: Path) -> IntervalFrame:
    """The rows of one Parquet file or of all `*.parquet` below a folder; metrics that are absent are unknown.

    Raises:
        StoreError: nothing is there, it is no Parquet, or a column is missing.
    """
    files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise StoreError(f"no Parquet file below {path}; name a file, or a folder with *.parquet")
    table = pa.concat_tables([_read(file) for file in files], promote_options="permissive").combine_chunks()
    numbers, refs = _databases(table)
    columns: dict[str, Floats | Longs] = {"database_id": numbers}
    columns |= {name: _hashes(table, name) for name in ("query_hash", "plan_hash")}
    columns |= {f"{name}_us": _moments(table, name) for name in _TIMES}
    columns |= {name: _figures(table, name) for name in _METRICS if name in table.column_names}
    frame = pd.DataFrame(columns)
    return IntervalFrame(frame.sort_values(_ORDER, ignore_index=True), dict(enumerate(refs)))


def _read(file: Path) -> pa.Table:
    try:
        parquet = pq.ParquetFile(file)
        known = set(parquet.schema_arrow.names)
        missing = [name for name in (*_TIMES, *_TEXTS, "execution_count") if name not in known]
        if missing:
            raise StoreError(f"{file} has no column {', '.join(missing)}; interval rows of the archive are needed")
        table = parquet.read(columns=[name for name in (*_TIMES, *_TEXTS, *_METRICS) if name in known])
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{file} cannot be read as Parquet: {error}") from error
    return table


def _databases(table: pa.Table) -> tuple[Longs, list[DatabaseRef]]:
    instance, instances = _codes(table, "instance")
    database, databases = _codes(table, "database")
    pairs, number = np.unique(instance * len(databases) + database, return_inverse=True)
    refs = [DatabaseRef(instances[pair // len(databases)], databases[pair % len(databases)]) for pair in pairs.tolist()]
    return number.astype(np.int64), refs


def _hashes(table: pa.Table, name: str) -> Longs:
    code, texts = _codes(table, name)
    try:
        values = np.array([hash_int(text) for text in texts], np.int64)
    except ValueError as error:
        raise StoreError(f"{name} must be 16 hexadecimal digits: {error}") from error
    return values[code]


def _codes(table: pa.Table, name: str) -> tuple[Longs, list[str]]:
    column = table.column(name).cast(pa.string()).combine_chunks().fill_null("").dictionary_encode()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    texts = [str(text) for text in column.dictionary.to_pylist()]
    return column.indices.to_numpy(zero_copy_only=False).astype(np.int64), texts


def _moments(table: pa.Table, name: str) -> Longs:
    column = table.column(name).cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return column.to_numpy().astype(np.int64)


def _figures(table: pa.Table, name: str) -> Floats:
    return table.column(name).cast(pa.float64()).to_numpy().astype(np.float64)
