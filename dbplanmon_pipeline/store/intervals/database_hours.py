"""Work of each database by hour, added up with every row that is written, so that a fleet is read at a glance.

The hour is the one in which an interval ends, as in `hourly_rollup`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.store.bulk import insert_rows, plain_rows
from dbplanmon_pipeline.store.intervals.days import HOUR_US, STORED_COLUMNS, epoch_us
from dbplanmon_pipeline.store.schema import database_hour
from dbplanmon_pipeline.store.targets import database_ids

WORK = ("execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages")
COUNTED = (*WORK, "aborted_count", "exception_count")
WORK_SUMS = f"database_id, (interval_end_us - 1) / {HOUR_US} AS hour, {', '.join(f'SUM({name})' for name in COUNTED)}"

_FIRST_METRIC = 5
_ID_BITS = 32
_COLUMNS = [STORED_COLUMNS.index(name) - _FIRST_METRIC for name in COUNTED]
_KEY = ("hour_start_us", "database_id")


def hours_of_rows(keys: Longs, metrics: Floats) -> dict[str, list[Any]]:
    """Sums per database and hour, as columns of `database_hour`.

    Args:
        keys: int64 [n, 5] in the order of KEY_COLUMNS.
        metrics: float64 [n, m] in the order of the stored columns, NaN unknown.
    """
    hours = (keys[:, 4] - 1) // HOUR_US
    # One number for both: sorting pairs takes ten times as long.
    found, place = np.unique((hours << _ID_BITS) + keys[:, 0], return_inverse=True)
    columns: dict[str, list[Any]] = {
        "hour_start_us": ((found >> _ID_BITS) * HOUR_US).tolist(),
        "database_id": (found & ((1 << _ID_BITS) - 1)).tolist(),
    }
    for name, column in zip(COUNTED, _COLUMNS, strict=True):
        values = metrics[:, column]
        known = np.bincount(place, ~np.isnan(values), len(found))
        sums = np.bincount(place, np.nan_to_num(values), len(found))
        columns[name] = [value if there else None for value, there in zip(sums.tolist(), known.tolist(), strict=True)]
    return columns


def taken_back(sums: Iterable[Any]) -> dict[str, list[Any]]:
    """The opposite of rows of `WORK_SUMS`, for work that is removed."""
    rows = list(sums)
    columns = {"hour_start_us": [int(row[1]) * HOUR_US for row in rows], "database_id": [row[0] for row in rows]}
    for place, name in enumerate(COUNTED, 2):
        columns[name] = [None if row[place] is None else -row[place] for row in rows]
    return columns


def add_work(connection: Connection, columns: Mapping[str, list[Any]]) -> None:
    """Add sums to what is there of the same hours; unknown stays unknown until something is known."""
    if not columns["hour_start_us"]:
        return
    sums = ", ".join(
        f'"{name}" = CASE WHEN database_hour."{name}" IS NULL THEN excluded."{name}" '
        f'ELSE database_hour."{name}" + COALESCE(excluded."{name}", 0) END'
        for name in COUNTED
    )
    insert_rows(connection, database_hour, columns, f"ON CONFLICT ({', '.join(_KEY)}) DO UPDATE SET {sums}")


def read_hours(connection: Connection, start: datetime, end: datetime) -> dict[DatabaseRef, Floats]:
    """Float64 [hours, 4] of `WORK` per database with work, for the whole hours from `start` to `end`; NaN unknown."""
    first, last = epoch_us(start) // HOUR_US, epoch_us(end) // HOUR_US
    sql = (
        f"SELECT database_id, hour_start_us, {', '.join(WORK)} FROM database_hour "  # noqa: S608 - our own numbers
        f"WHERE hour_start_us >= {first * HOUR_US} AND hour_start_us < {last * HOUR_US}"
    )
    refs = {number: ref for ref, number in database_ids(connection).items()}
    rows = np.array(plain_rows(connection, sql), np.float64).reshape(-1, 2 + len(WORK))  # None becomes NaN
    numbers, place = np.unique(rows[:, 0].astype(np.int64), return_inverse=True)
    found = np.full((len(numbers), last - first, len(WORK)), np.nan)
    # Microseconds since 1970 are exact in a float until the year 2255.
    found[place, rows[:, 1].astype(np.int64) // HOUR_US - first] = rows[:, 2:]
    return {refs[number]: hours for number, hours in zip(numbers.tolist(), found, strict=True)}
