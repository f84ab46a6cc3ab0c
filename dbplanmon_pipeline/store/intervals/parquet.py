"""Interval rows in the public form of the archive: names instead of numbers, hexadecimal hashes, UTC timestamps.

Rows are sorted by (instance, database, query_hash, plan_hash, interval_end), so that the history of one statement lies
in one row group, and the strings are dictionaries.
"""

from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dbplanmon_pipeline.core.model import DatabaseRef, hash_int, hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, Longs
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.intervals.read import Columns, Selection

_NAMES = ("instance", "database", "query_hash", "plan_hash")
_COSTS = ("elapsed_time_us", "worker_time_us")
_FIRST_METRICS = (
    "execution_count",
    *(f"{cost}{suffix}" for cost in _COSTS for suffix in ("", "_sumsq", "_min", "_max")),
    "logical_reads_pages",
)
_FURTHER_METRICS = tuple(name for name in (*COUNTERS, *EXTREMA) if name not in _FIRST_METRICS)
_TIME = pa.timestamp("us", tz="UTC")
_TEXT = pa.dictionary(pa.int32(), pa.string())
_ROW_GROUP = 16_384
_ZSTD_LEVEL = 3

PUBLIC_SCHEMA = pa.schema(
    [
        pa.field("interval_start", _TIME, nullable=False),
        pa.field("interval_end", _TIME, nullable=False),
        *(pa.field(name, _TEXT, nullable=False) for name in _NAMES),
        *(pa.field(name, pa.float64()) for name in _FIRST_METRICS),
        pa.field("counter_reset", pa.bool_(), nullable=False),
        *(pa.field(name, pa.float64()) for name in _FURTHER_METRICS),
    ]
)


def public_table(columns: Columns, refs: Mapping[int, DatabaseRef]) -> pa.Table:
    """The rows in public form and order; NaN becomes null.

    Args:
        columns: all of INTERVAL_COLUMNS.
        refs: database of every database_id that occurs.
    """
    numbers, which = np.unique(columns["database_id"], return_inverse=True)
    found = [refs[number] for number in numbers.tolist()]
    place = np.argsort(sorted(range(len(found)), key=found.__getitem__)) if found else np.empty(0, np.int64)
    unsigned = [columns[name].view(np.uint64) for name in ("plan_hash", "query_hash")]
    order = np.lexsort((columns["interval_end_us"], *unsigned, place[which]))
    which = which[order]
    arrays: dict[str, pa.Array[Any]] = {
        "interval_start": pa.array(columns["interval_start_us"][order]).cast(_TIME),
        "interval_end": pa.array(columns["interval_end_us"][order]).cast(_TIME),
        "instance": _dictionary([ref.instance for ref in found], which),
        "database": _dictionary([ref.database for ref in found], which),
        "query_hash": _hash_dictionary(columns["query_hash"][order]),
        "plan_hash": _hash_dictionary(columns["plan_hash"][order]),
        "counter_reset": pa.array(columns["counter_reset"][order]),
    }
    for name in (*_FIRST_METRICS, *_FURTHER_METRICS):
        arrays[name] = pa.array(columns[name][order], from_pandas=True)
    return pa.table([arrays[name] for name in PUBLIC_SCHEMA.names], schema=PUBLIC_SCHEMA)


def parquet_writer(stream: IO[bytes]) -> pq.ParquetWriter:
    """A writer of public tables."""
    options: dict[str, Any] = {"use_dictionary": list(_NAMES)}
    return pq.ParquetWriter(stream, PUBLIC_SCHEMA, compression="zstd", compression_level=_ZSTD_LEVEL, **options)


def write_rows(writer: pq.ParquetWriter, table: pa.Table) -> None:
    """Append a table in row groups of a size that suits the history of one statement."""
    writer.write_table(table, row_group_size=_ROW_GROUP)


def read_sealed(stream: IO[bytes], wanted: Selection, ids: Mapping[DatabaseRef, int]) -> Columns:
    """Rows of one sealed day in house form, in the order of the file.

    Raises:
        StoreError: the file names a database that this store does not know.
    """
    columns = ["interval_start", "interval_end", *_NAMES, *wanted.metrics]
    numbers = None if wanted.database_ids is None else set(wanted.database_ids)
    refs = None if numbers is None else [ref for ref, number in ids.items() if number in numbers]
    file = pq.ParquetFile(stream, read_dictionary=list(_NAMES))
    groups = [number for number in range(file.num_row_groups) if _may_hold(file, number, wanted, refs)]
    house = _house_columns(file.read_row_groups(groups, columns, use_threads=False), wanted, ids)
    if not house["database_id"].all():
        raise StoreError("the archive names databases this store does not know; use the archive of this store")
    return house


def _house_columns(table: pa.Table, wanted: Selection, ids: Mapping[DatabaseRef, int]) -> Columns:
    """The wanted rows; a database that this store does not know has the number 0."""
    keys: dict[str, NDArray[Any]] = {
        "database_id": _database_ids(table, ids),
        "query_hash": _hashes(table["query_hash"]),
        "plan_hash": _hashes(table["plan_hash"]),
        "interval_start_us": table["interval_start"].cast(pa.int64()).to_numpy(),
        "interval_end_us": table["interval_end"].cast(pa.int64()).to_numpy(),
    }
    chosen = _chosen_rows(keys, wanted)
    if len(chosen) < len(table):
        keys = {name: column[chosen] for name, column in keys.items()}
        table = table.select(wanted.metrics).take(chosen)
    return keys | {name: table[name].to_numpy() for name in wanted.metrics}


def _chosen_rows(keys: Mapping[str, NDArray[Any]], wanted: Selection) -> "NDArray[np.intp]":
    """Places of the wanted rows. Expressions of pyarrow cost as much as reading, and 20 ms to import."""
    end = keys["interval_end_us"]
    kept = (end > wanted.start_us) & (end <= wanted.end_us)
    if wanted.query_hash is not None:
        kept &= keys["query_hash"] == wanted.query_hash
    if wanted.database_ids is not None:
        kept &= np.isin(keys["database_id"], wanted.database_ids)
    return np.flatnonzero(kept)


def read_sealed_ends(stream: IO[bytes]) -> Longs:
    """Ends of the intervals of one sealed day [epoch microseconds], each once."""
    ends = pq.ParquetFile(stream).read(["interval_end"], use_threads=False)["interval_end"]
    found: Longs = np.unique(ends.cast(pa.int64()).to_numpy())
    return found


def _may_hold(file: pq.ParquetFile, number: int, wanted: Selection, refs: Sequence[DatabaseRef] | None) -> bool:
    """Whether the least and greatest values of a row group leave room for wanted rows.

    The filters of pyarrow leave out no row group by a column that is read as a dictionary: ten times slower.
    """
    group = file.metadata.row_group(number)
    bounds: dict[str, tuple[Any, Any]] = {}
    for index, name in enumerate(PUBLIC_SCHEMA.names[1:5], start=1):
        statistics = group.column(index).statistics
        if statistics is None or not statistics.has_min_max:
            return True
        bounds[name] = (statistics.min, statistics.max)
    first, last = bounds["interval_end"]
    fits = bool(first <= from_epoch_us(wanted.end_us) and last > from_epoch_us(wanted.start_us))
    if wanted.query_hash is not None:
        fits = fits and _between(hash_text(wanted.query_hash), bounds["query_hash"])
    if refs is not None:
        instances, databases = bounds["instance"], bounds["database"]
        fits = fits and any(_between(ref.instance, instances) and _between(ref.database, databases) for ref in refs)
    return fits


def _between(value: str, bounds: tuple[str, str]) -> bool:
    return bounds[0] <= value <= bounds[1]


def _dictionary(texts: list[str], codes: "NDArray[Any]") -> "pa.Array[Any]":
    names = sorted(set(texts))
    code = np.array([names.index(text) for text in texts], np.int32)
    return pa.DictionaryArray.from_arrays(code[codes] if texts else np.empty(0, np.int32), pa.array(names, pa.string()))


def _hash_dictionary(hashes: "NDArray[Any]") -> "pa.Array[Any]":
    values, codes = np.unique(hashes, return_inverse=True)
    texts = pa.array([hash_text(value) for value in values.tolist()], pa.string())
    return pa.DictionaryArray.from_arrays(codes.astype(np.int32), texts)


def _codes(column: "pa.ChunkedArray[Any]") -> tuple[list[str], "NDArray[Any]"]:
    whole: Any = column.unify_dictionaries().combine_chunks()
    return whole.dictionary.to_pylist(), whole.indices.to_numpy()


def _hashes(column: "pa.ChunkedArray[Any]") -> Longs:
    texts, codes = _codes(column)
    hashes: Longs = np.array([hash_int(text) for text in texts], np.int64)[codes]
    return hashes


def _database_ids(table: pa.Table, ids: Mapping[DatabaseRef, int]) -> Longs:
    instances, instance_codes = _codes(table["instance"])
    databases, database_codes = _codes(table["database"])
    numbers = np.zeros((len(instances), len(databases)), np.int64)
    for row, instance in enumerate(instances):
        for column, database in enumerate(databases):
            numbers[row, column] = ids.get(DatabaseRef(instance, database), 0)
    found: Longs = numbers[instance_codes, database_codes]
    return found
