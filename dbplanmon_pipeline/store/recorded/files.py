"""Recorded intervals in the public form of the archive, from files outside any store."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from dbplanmon_pipeline.core.grouping import Group
from dbplanmon_pipeline.core.model import DatabaseRef, hash_int, hash_text
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.intervals import KEY_COLUMNS, IntervalFrame
from dbplanmon_pipeline.core.restarts import Restarts
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.recorded.restarts import RESET, Resets

MOST_ROWS = 2_000_000
"""Rows held at once, unless one instance has more: less than a gigabyte."""

_BATCH = 500_000

_NAMES = ("instance", "database")
_HASHES = ("query_hash", "plan_hash")
_TIMES = ("interval_start", "interval_end")
_NEEDED = (*_TIMES, *_NAMES, *_HASHES, "execution_count")
_METRICS = DETECTOR_COLUMNS[5:]
_UTC = pa.timestamp("us", tz="UTC")

Arrays = dict[str, "Longs | Floats"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a record to read; None: all.

    Attributes:
        since / until: intervals that ended in (since, until], aware UTC.
        instance / database: only those of this name.
    """

    since: datetime | None = None
    until: datetime | None = None
    instance: str | None = None
    database: str | None = None

    def chooses(self, ref: DatabaseRef) -> bool:
        """True for a database whose rows are wanted."""
        return self.instance in (None, ref.instance) and self.database in (None, ref.database)

    def bounds_us(self) -> tuple[int, int]:
        """Ends lie in (first, last] [epoch microseconds]."""
        first = np.iinfo(np.int64).min if self.since is None else epoch_us(self.since)
        last = np.iinfo(np.int64).max if self.until is None else epoch_us(self.until)
        return int(first), int(last)


class RecordedIntervals:
    """The rows of one Parquet file or of all `*.parquet` below a folder; metrics that are absent are unknown.

    Files are looked through once for moments and names. Then the rows come in portions of whole groups; files of the
    archive, which are sorted by instance, are read once in all.

    Args:
        path: file or folder.
        wanted: which rows.

    Raises:
        StoreError: nothing is there, it is no Parquet, or a column is missing or of another kind.
    """

    def __init__(self, path: Path, wanted: Wanted | None = None) -> None:
        files = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        if not files:
            raise StoreError(f"no Parquet file below {path}; name a file, or a folder with *.parquet")
        self._files = [_File(file) for file in files]
        self._wanted = wanted or Wanted()
        self._rows: Counter[DatabaseRef] = Counter()
        self._resets = Resets()
        ends = [np.empty(0, np.int64)]
        for file in self._files:
            found, rows = file.overview(self._wanted.bounds_us(), self._resets)
            ends.append(found)
            self._rows.update({ref: count for ref, count in rows.items() if self._wanted.chooses(ref)})
        self._ends: Longs = np.unique(np.concatenate(ends))

    def databases(self) -> list[DatabaseRef]:
        """Databases with rows that are wanted."""
        return sorted(self._rows)

    def ends(self) -> Longs:
        """Ends of all intervals of the wanted time, also those of databases that are not wanted."""
        return self._ends

    def restarts(self) -> Restarts:
        """When the counters of instances began again, as far as the record tells."""
        return self._resets.restarts()

    def frames(self, groups: Sequence[Group]) -> Iterator[IntervalFrame]:
        """The rows of each group, read for several small groups at once.

        Raises:
            StoreError: a hash is none, or a row is there twice.
        """
        for portion in self._portions(groups):
            refs = {ref for group in portion for ref in group}
            numbers = {ref: number for number, ref in enumerate(sorted(refs))}
            bounds_us = self._wanted.bounds_us()
            frame = _sorted([part for file in self._files for part in file.rows(bounds_us, numbers)], numbers)
            for group in portion:
                chosen = {numbers[ref]: ref for ref in group}
                rows = frame.rows
                own = rows if len(portion) == 1 else rows[rows["database_id"].isin(chosen)].reset_index(drop=True)
                yield IntervalFrame(own, chosen)
            # The next portion needs the room.
            del frame, rows, own

    def _portions(self, groups: Sequence[Group]) -> Iterator[list[Group]]:
        portion: list[Group] = []
        held = 0
        for group in groups:
            rows = sum(self._rows[ref] for ref in group)
            if portion and held + rows > MOST_ROWS:
                yield portion
                portion, held = [], 0
            portion.append(group)
            held += rows
        if portion:
            yield portion


class _File:
    """One Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            schema = pq.read_schema(path)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path} cannot be read as Parquet: {_reason(error)}") from error
        missing = [name for name in _NEEDED if name not in schema.names]
        if missing:
            raise StoreError(f"{path} has no column {', '.join(missing)}; interval rows of the archive are needed")
        self._metrics = [name for name in _METRICS if name in schema.names]
        texts = [name for name in (*_NAMES, *_HASHES) if _is_text(schema.field(name).type)]
        # Texts come as numbers of a dictionary: they repeat by the thousand.
        self._file = pq.ParquetFile(path, read_dictionary=texts)

    def overview(self, bounds_us: tuple[int, int], resets: Resets) -> tuple[Longs, Mapping[DatabaseRef, int]]:
        """Ends of intervals within the bounds, each once, and how many rows each database has there; notes resets."""
        ends = [np.empty(0, np.int64)]
        rows: Counter[DatabaseRef] = Counter()
        flag = [RESET] if RESET in self._file.schema_arrow.names else []
        for table in self._read(["interval_end", *_NAMES, *flag], bounds_us, None):
            end = self._moments(table, "interval_end")
            within = (end > bounds_us[0]) & (end <= bounds_us[1])
            refs, number = self._databases(table)
            counts = np.bincount(number[within], minlength=len(refs)).tolist()
            for ref, count in zip(refs, counts, strict=True):
                rows[ref] += count
            ends.append(np.unique(end[within]))
            if flag:
                began_again = self._figures(table, RESET) > 0
                resets.note(end[within], [ref.instance for ref in refs], number[within], began_again[within])
        return np.unique(np.concatenate(ends)), +rows

    def rows(self, bounds_us: tuple[int, int], numbers: Mapping[DatabaseRef, int]) -> Iterator[Arrays]:
        """Rows of some databases within the bounds, part by part in the order of the file."""
        for table in self._read([*_TIMES, *_NAMES, *_HASHES, *self._metrics], bounds_us, numbers):
            refs, number = self._databases(table)
            database = np.array([numbers.get(ref, -1) for ref in refs], np.int64)[number]
            end = self._moments(table, "interval_end")
            wanted = (database >= 0) & (end > bounds_us[0]) & (end <= bounds_us[1])
            # Where all are, none is copied.
            chosen = slice(None) if wanted.all() else np.flatnonzero(wanted)
            arrays: Arrays = {"database_id": database[chosen]}
            arrays |= {name: self._hashes(table, name)[chosen] for name in _HASHES}
            arrays["interval_start_us"] = self._moments(table, "interval_start")[chosen]
            arrays["interval_end_us"] = end[chosen]
            yield arrays | {name: self._figures(table, name)[chosen] for name in self._metrics}

    def _read(
        self, columns: list[str], bounds_us: tuple[int, int], numbers: Mapping[DatabaseRef, int] | None
    ) -> Iterator[pa.Table]:
        """Row groups that may hold wanted rows, a few at a time."""
        file = self._file
        wanted = [n for n in range(file.num_row_groups) if _may_hold(file, n, bounds_us, numbers)]
        batch: list[int] = []
        held = 0
        for number in wanted:
            batch.append(number)
            held += file.metadata.row_group(number).num_rows
            if held >= _BATCH or number == wanted[-1]:
                try:
                    yield file.read_row_groups(batch, columns, use_threads=False)
                except (OSError, pa.ArrowException) as error:
                    raise StoreError(f"{self._path} cannot be read as Parquet: {_reason(error)}") from error
                batch, held = [], 0

    def _databases(self, table: pa.Table) -> tuple[list[DatabaseRef], Longs]:
        """Databases that occur, and the place of each row among them."""
        instance, instances = self._codes(table, "instance")
        database, databases = self._codes(table, "database")
        pair = instance * len(databases) + database
        present = np.flatnonzero(np.bincount(pair))
        place = np.zeros(len(instances) * len(databases), np.int64)
        place[present] = np.arange(len(present))
        names = [divmod(one, len(databases)) for one in present.tolist()]
        return [DatabaseRef(instances[one], databases[other]) for one, other in names], place[pair]

    def _hashes(self, table: pa.Table, name: str) -> Longs:
        code, texts = self._codes(table, name)
        try:
            return np.array([hash_int(text) for text in texts], np.int64)[code]
        except ValueError as error:
            raise StoreError(f"{self._path}: {name} must be 16 hexadecimal digits; {error}") from error

    def _codes(self, table: pa.Table, name: str) -> tuple[Longs, list[str]]:
        """Which text each row has, by its place among the texts; what is empty has the empty one."""
        column: Any = table.column(name)
        if not pa.types.is_dictionary(column.type):
            column = self._cast(table, name, pa.string()).dictionary_encode()
        whole: Any = column.unify_dictionaries().combine_chunks()
        texts = [text or "" for text in whole.dictionary.to_pylist()]
        codes = whole.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False).astype(np.int64)
        return codes, [*texts, ""]

    def _moments(self, table: pa.Table, name: str) -> Longs:
        column = self._cast(table, name, _UTC)
        if column.null_count:
            raise StoreError(
                f"{self._path}: {name} is empty in {column.null_count:,} rows; each interval needs its time"
            )
        found: Longs = column.cast(pa.int64()).to_numpy().astype(np.int64, copy=False)
        return found

    def _figures(self, table: pa.Table, name: str) -> Floats:
        found: Floats = self._cast(table, name, pa.float64()).to_numpy().astype(np.float64, copy=False)
        return found

    def _cast(self, table: pa.Table, name: str, kind: pa.DataType) -> "pa.ChunkedArray[Any]":
        column = table.column(name)
        try:
            return column.cast(kind, safe=False)
        except pa.ArrowException as error:
            raise StoreError(f"{self._path}: {name} is {column.type}; {kind} is needed") from error


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _may_hold(
    file: pq.ParquetFile, number: int, bounds_us: tuple[int, int], numbers: Mapping[DatabaseRef, int] | None
) -> bool:
    """Whether the least and greatest values of a row group leave room for wanted rows."""
    group = file.metadata.row_group(number)
    for index in range(group.num_columns):
        column = group.column(index)
        statistics = column.statistics
        if statistics is None or not statistics.has_min_max:
            continue
        least: Any = statistics.min
        greatest: Any = statistics.max
        if column.path_in_schema == "interval_end" and isinstance(least, datetime) and least.tzinfo:
            if epoch_us(greatest) <= bounds_us[0] or epoch_us(least) > bounds_us[1]:
                return False
        elif column.path_in_schema in _NAMES and numbers is not None and isinstance(least, str):
            names = {getattr(ref, column.path_in_schema) for ref in numbers}
            if not any(least <= name <= greatest for name in names):
                return False
    return True


def _sorted(parts: Sequence[Arrays], numbers: Mapping[DatabaseRef, int]) -> IntervalFrame:
    """All rows in the order that an interval frame states.

    Raises:
        StoreError: a row is there twice.
    """
    names = [name for name in DETECTOR_COLUMNS if any(name in part for part in parts)]
    bounds = np.cumsum([0, *(len(part["database_id"]) for part in parts)])
    keys = {name: np.concatenate([part[name] for part in parts]) for name in KEY_COLUMNS}
    refs = {number: ref for ref, number in numbers.items()}
    statement, key = _keys(keys)
    # Most records are written in order of time: then rows of a statement keep theirs.
    order = np.argsort(statement, kind="stable")
    if (key[order][1:] < key[order][:-1]).any():
        order = np.argsort(key, kind="stable")
    same = key[order][1:] == key[order][:-1]
    if same.any():
        order = np.lexsort((keys["interval_start_us"], keys["plan_hash"], key))
        _refuse_doubles(keys, key, order, refs)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    del statement, key, same
    # Column by column, and each row goes where it belongs at once: so little is in memory twice.
    arrays: Arrays = {}
    for name in names:
        whole = keys.pop(name, None)
        arrays[name] = whole[order] if whole is not None else np.empty(len(order))
        for part, first, end in zip(parts, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            own = part.pop(name, np.nan)
            if whole is None:
                arrays[name][place[first:end]] = own
    return IntervalFrame(pd.DataFrame(arrays, copy=False), refs)


def _keys(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, Longs]:
    """Rank of the statement of each row, and of its statement and end together.

    One number to sort by takes a quarter of the time that four columns take, and one of 16 bits hardly any.
    """
    query, end = (
        pd.factorize(arrays[name], sort=True)[0].astype(np.int64) for name in ("query_hash", "interval_end_us")
    )
    widths = [int(codes.max(initial=0)) + 1 for codes in (query, end)]
    statement = arrays["database_id"].astype(np.int64) * widths[0] + query
    narrow = statement.max(initial=0) <= np.iinfo(np.uint16).max
    return statement.astype(np.uint16) if narrow else statement, statement * widths[1] + end


def _refuse_doubles(
    arrays: Mapping[str, np.ndarray], key: Longs, order: Longs, refs: Mapping[int, DatabaseRef]
) -> None:
    parts = [column[order] for column in (key, arrays["plan_hash"], arrays["interval_start_us"])]
    double = np.flatnonzero(np.logical_and.reduce([part[1:] == part[:-1] for part in parts]))
    if len(double):
        at = int(order[double[0]])
        where = refs[int(arrays["database_id"][at])]
        raise StoreError(
            f"{len(double):,} rows are there twice, such as statement {hash_text(int(arrays['query_hash'][at]))} of "
            f"{where} at {from_epoch_us(int(arrays['interval_end_us'][at])):%Y-%m-%d %H:%M} UTC; "
            "take away the file that repeats another"
        )


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
