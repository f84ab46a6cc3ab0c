"""Work of chosen statements and of whole databases in chosen hours, so that one time is compared with another."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, select, tuple_

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports.workload import RecordedHours
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.store.bulk import plain_rows
from dbplanmon_pipeline.store.intervals.days import (
    DAY_US,
    HOUR_EXPRESSION,
    HOUR_US,
    day_of,
    hot_days,
    hours_between,
    longest_us,
    table_name,
)
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import archive_segment, query
from dbplanmon_pipeline.store.targets import database_ids, id_list

_KEYS_AT_ONCE = 500
_SUMS = "SUM(execution_count), SUM(elapsed_time_us)"

Pair = tuple[int, int]


class WorkloadPart(StorePart):
    """Reads along the keys, statement by statement and hour by hour."""

    def statement_hours(self, statements: Sequence[tuple[DatabaseRef, int]], hours_us: Sequence[int]) -> Floats:
        """Float64 [statements, hours, 2]: executions and elapsed time [us] that ended within; 0 without any.

        Sealed days come from the hourly totals, others from their rows. Windows may overlap: an hour may be asked for
        more than once.
        """
        asked, which = np.unique(np.array(hours_us, np.int64), return_inverse=True)
        found = np.zeros((len(statements), len(asked), 2))
        hours = {hour: place for place, hour in enumerate(asked.tolist())}
        with self._database.read(snapshot=True) as connection:
            ids = database_ids(connection)
            rows = {(ids[ref], value): row for row, (ref, value) in enumerate(statements) if ref in ids}
            pairs = list(rows)
            for first in range(0, len(pairs), _KEYS_AT_ONCE):
                for number, value, hour, count, elapsed in _read(
                    connection, pairs[first : first + _KEYS_AT_ONCE], hours
                ):
                    found[rows[number, value], hours[int(hour)]] += (count or 0.0, elapsed or 0.0)
        return found[:, which]

    def hours_of_databases(self, hours_us: Sequence[int]) -> dict[DatabaseRef, RecordedHours]:
        """Of every database with recorded work; an hour may be asked for more than once."""
        asked, which = np.unique(np.array(hours_us, np.int64), return_inverse=True)
        places = {hour: place for place, hour in enumerate(asked.tolist())}
        first = "SELECT MIN(hour_start_us) FROM database_hour h WHERE h.database_id = m.database_id"
        with self._database.read(snapshot=True) as connection:
            refs = {number: ref for ref, number in database_ids(connection).items()}
            begun = plain_rows(connection, f"SELECT m.database_id, ({first}) FROM monitored_database m")  # noqa: S608
            rows = plain_rows(
                connection,
                "SELECT database_id, hour_start_us, elapsed_time_us FROM database_hour "  # noqa: S608 - our own numbers
                f"WHERE hour_start_us IN ({id_list(hours_us)})",
            )
        elapsed = {number: np.full(len(asked), np.nan) for number, since in begun if since is not None}
        for number, hour, value in rows:
            elapsed[number][places[int(hour)]] = value or 0.0
        return {
            refs[number]: RecordedHours(elapsed[number][which], int(since))
            for number, since in begun
            if since is not None
        }

    def statements_first_seen(
        self, statements: Sequence[tuple[DatabaseRef, int]]
    ) -> dict[tuple[DatabaseRef, int], datetime]:
        """When each known statement was first recorded."""
        found: dict[tuple[DatabaseRef, int], datetime] = {}
        columns = (query.c.database_id, query.c.query_hash)
        with self._database.read() as connection:
            ids = database_ids(connection)
            wanted = {(ids[ref], value): (ref, value) for ref, value in statements if ref in ids}
            pairs = list(wanted)
            for first in range(0, len(pairs), _KEYS_AT_ONCE):
                some = tuple_(*columns).in_(pairs[first : first + _KEYS_AT_ONCE])
                for number, value, seen in connection.execute(select(*columns, query.c.first_seen).where(some)):
                    found[wanted[number, value]] = seen
        return found


def _read(connection: Connection, pairs: Sequence[Pair], hours_us: Iterable[int]) -> list[tuple[Any, ...]]:
    """Rows of database, statement, hour, executions and elapsed time."""
    hot = set(hot_days(connection)) - set(connection.scalars(select(archive_segment.c.day)))
    by_day: dict[int, list[int]] = {}
    for hour in hours_us:
        by_day.setdefault(hour // DAY_US, []).append(hour)
    found: list[tuple[Any, ...]] = []
    added_up: list[int] = []
    for number, hours in by_day.items():
        day = day_of(number)
        if day in hot:
            touched = hours_between(min(hours) - longest_us(connection, [day]), max(hours) + HOUR_US)
            within = f"{HOUR_EXPRESSION} IN ({id_list(touched)})"
            ends = "(interval_end_us - 1)"
            begin = f"{ends} - {ends} % {HOUR_US}"
            found += _sums(connection, table_name(day), pairs, f"{within} AND {begin} IN ({id_list(hours)})", begin)
        else:
            added_up += hours
    if added_up:
        found += _sums(connection, "hourly_rollup", pairs, f"hour_start_us IN ({id_list(added_up)})", "hour_start_us")
    return found


def _sums(connection: Connection, table: str, pairs: Sequence[Pair], where: str, hour: str) -> list[tuple[Any, ...]]:
    """Looked up statement by statement, whatever else the table holds."""
    values = ", ".join(f"({int(number)}, {int(value)})" for number, value in pairs)
    sql = (
        f"WITH c(chosen_id, chosen_hash) AS (VALUES {values}) "  # noqa: S608 - our own names and numbers
        f"SELECT database_id, query_hash, {hour} AS hour, {_SUMS} FROM c CROSS JOIN {table} "
        f"WHERE database_id = chosen_id AND query_hash = chosen_hash AND {where} GROUP BY 1, 2, 3"
    )
    return plain_rows(connection, sql)
