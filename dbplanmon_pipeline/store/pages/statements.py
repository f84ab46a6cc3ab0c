"""What the pages of statements and databases read: a statement, its plans, and its work by hour."""

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, func, select

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.ports.page_lists import PlanUse, StatementSeen
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.store.bulk import plain_rows
from dbplanmon_pipeline.store.intervals.database_hours import WORK
from dbplanmon_pipeline.store.intervals.days import DAY_US, HOUR_US, epoch_us
from dbplanmon_pipeline.store.intervals.whole import IntervalPart
from dbplanmon_pipeline.store.schema import (
    database_hour,
    hourly_rollup,
    monitored_database,
    plan,
    plan_observation,
    query,
)
from dbplanmon_pipeline.store.targets import database_ids, id_list

_KEYS = ("query_hash", "plan_hash", "interval_start_us", "interval_end_us")
_HOURS_AT_ONCE = 4_000


class StatementPagePart(IntervalPart):
    """Reads of one statement or one database that people wait for."""

    def statement_seen(self, ref: DatabaseRef, query_hash: int) -> StatementSeen | None:
        """What is known of one statement; None where it was never seen."""
        names = ("first_seen", "last_seen", "current_plan_hash", "plan_checked_at", "plan_origin", "plan_reason")
        wanted = _of(ref, select(*(query.c[name] for name in names)), query).where(query.c.query_hash == query_hash)
        with self._database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        return None if row is None else StatementSeen(ref, query_hash, **row)

    def plan_uses(self, ref: DatabaseRef, query_hash: int) -> list[PlanUse]:
        """Plans of one statement, the one seen last first."""
        seen = plan_observation
        wanted = (
            _of(ref, select(seen.c.plan_hash, seen.c.first_seen, seen.c.last_seen, plan.c.origin, plan.c.reason), seen)
            .outerjoin(plan, plan.c.plan_hash == seen.c.plan_hash)
            .where(seen.c.query_hash == query_hash)
            .order_by(seen.c.last_seen.desc(), seen.c.first_seen.desc())
        )
        with self._database.read() as connection:
            return [
                PlanUse(plan_hash, first, last, origin or "", reason or "", origin is not None and not reason)
                for plan_hash, first, last, origin, reason in connection.execute(wanted)
            ]

    def hourly_work(
        self, ref: DatabaseRef, start: datetime, end: datetime, query_hash: int | None = None, *, by_day: bool = False
    ) -> pd.DataFrame:
        """Work by hour, statement and plan that ended in (start, end]: whole hours from the totals of finished days.

        What is not added up yet comes by interval, so the last day is finer than an hour.

        Args:
            ref: which database.
            start: aware UTC, taken down to its hour.
            end: aware UTC.
            query_hash: one statement; None for all.
            by_day: hours of a UTC day are added up.

        Returns:
            `query_hash`, `plan_hash`, `interval_start_us`, `interval_end_us` (int64), `execution_count` [count],
            `elapsed_time_us`, `worker_time_us` [us], `logical_reads_pages` (float64, NaN unknown); RangeIndex.
        """
        first = epoch_us(start) // HOUR_US * HOUR_US
        with self._database.read(snapshot=True) as connection:
            number = database_ids(connection).get(ref)
            if number is None:
                return _frame([])
            until = _added_up_until(connection, number, first, epoch_us(self._clock()))
            totals = _frame(_totals(connection, number, (first, min(until, epoch_us(end))), query_hash, by_day=by_day))
        if until >= epoch_us(end):
            return totals
        rest = self.interval_frame(
            from_epoch_us(max(first, until)), end, columns=WORK, databases=[ref], query_hash=query_hash
        )
        return pd.concat([totals, rest.rows[[*_KEYS, *WORK]]], ignore_index=True)

    def hours_of(self, ref: DatabaseRef, start: datetime, end: datetime) -> Floats:
        """Float64 [hours, 4] of one database for the whole hours from `start` to `end`: `WORK`, NaN unknown."""
        table = database_hour
        first, last = epoch_us(start) // HOUR_US, epoch_us(end) // HOUR_US
        wanted = _of(ref, select(table.c.hour_start_us, *(table.c[name] for name in WORK)), table).where(
            table.c.hour_start_us >= first * HOUR_US, table.c.hour_start_us < last * HOUR_US
        )
        found = np.full((max(last - first, 0), len(WORK)), np.nan)
        with self._database.read() as connection:
            for hour_us, *values in connection.execute(wanted):
                found[hour_us // HOUR_US - first] = values
        return found


def _of(ref: DatabaseRef, statement: Any, table: Any) -> Any:
    target = monitored_database
    joined = statement.join_from(table, target, target.c.database_id == table.c.database_id)
    return joined.where(target.c.instance == ref.instance, target.c.database == ref.database)


def _added_up_until(connection: Connection, number: int, first: int, now: int) -> int:
    """Moment up to which the totals hold everything: the end of their last day, never beyond the last midnight."""
    hours = hourly_rollup.c
    newest = connection.scalar(
        select(func.max(hours.hour_start_us)).where(hours.database_id == number, hours.hour_start_us >= first)
    )
    if newest is None:
        return first
    return min((int(newest) // DAY_US + 1) * DAY_US, now // DAY_US * DAY_US)


def _totals(
    connection: Connection, number: int, span_us: tuple[int, int], query_hash: int | None, *, by_day: bool
) -> list[tuple[Any, ...]]:
    """Of one statement with one look into the key per hour; of all with one walk along the hours."""
    first, last = span_us
    columns = f"query_hash, plan_hash, hour_start_us, hour_start_us + {HOUR_US}, {', '.join(WORK)}"
    together = ""
    if by_day:
        sums = ", ".join(f"SUM({name})" for name in WORK)
        columns = f"query_hash, plan_hash, MIN(hour_start_us), MAX(hour_start_us) + {HOUR_US}, {sums}"
        together = f" GROUP BY query_hash, plan_hash, hour_start_us / {DAY_US}"
    source = f"SELECT {columns} FROM hourly_rollup WHERE database_id = {int(number)}"  # noqa: S608 - our own names
    if query_hash is None:
        return plain_rows(connection, f"{source} AND hour_start_us >= {first} AND hour_start_us < {last}{together}")
    hours = range(first, last, HOUR_US)
    found: list[tuple[Any, ...]] = []
    for begin in range(0, len(hours), _HOURS_AT_ONCE):
        some = id_list(hours[begin : begin + _HOURS_AT_ONCE])
        one = f" AND hour_start_us IN ({some}) AND query_hash = {int(query_hash)}"
        found += plain_rows(connection, f"{source}{one}{together}")
    return found


def _frame(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    columns = list(zip(*rows, strict=True)) or [()] * (len(_KEYS) + len(WORK))
    arrays = {name: np.array(column, np.int64) for name, column in zip(_KEYS, columns, strict=False)}
    arrays |= {
        name: np.array(column, np.float64) for name, column in zip(WORK, columns[len(_KEYS) :], strict=True)
    }  # None becomes NaN
    return pd.DataFrame(arrays)
