"""Days of interval metrics: which UTC day a row belongs to, and the table that holds it.

A row belongs to the day in which its interval ends, the last microsecond of the interval deciding, so an interval that
ends at midnight belongs to the day before. Dropping a day is dropping a table.

The unique index begins with the hour of `interval_start_us`: the entries of one hour lie together, so a tick writes
into a small region however many rows the day already has, and the history of one statement is one seek per hour.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import Connection, func, select

from dbplanmon_pipeline.core import moments
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, Longs
from dbplanmon_pipeline.core.readings.intervals import KEY_COLUMNS
from dbplanmon_pipeline.store.schema import interval_day

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
_EPOCH = date(1970, 1, 1)

STORED_COLUMNS = (*KEY_COLUMNS, *COUNTERS, *EXTREMA, "counter_reset")
HOUR_EXPRESSION = f"(interval_start_us / {HOUR_US})"


def epoch_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment.

    Raises:
        ValueError: the moment is naive.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; the store takes aware times only")
    return moments.epoch_us(moment)


def day_number(end_us: Longs) -> Longs:
    """Days since 1970 in which intervals end."""
    return (end_us - 1) // DAY_US


def day_of(number: int) -> date:
    """The UTC day with this number since 1970."""
    return _EPOCH + timedelta(days=number)


def day_bounds_us(day: date) -> tuple[int, int]:
    """A row of this day has `bounds[0] < interval_end_us <= bounds[1]`."""
    first = (day - _EPOCH).days * DAY_US
    return first, first + DAY_US


def table_name(day: date) -> str:
    """Name of the hot table of a day."""
    return f"interval_metric_{day:%Y%m%d}"


def hot_days(connection: Connection, start_us: int | None = None, end_us: int | None = None) -> list[date]:
    """Days with a hot table, oldest first; those that may hold ends in (start_us, end_us] when both are given."""
    statement = select(interval_day.c.day).order_by(interval_day.c.day)
    days = list(connection.scalars(statement))
    if start_us is None or end_us is None:
        return days
    return [day for day in days if overlaps(day, start_us, end_us)]


def overlaps(day: date, start_us: int, end_us: int) -> bool:
    """True when the day may hold intervals that end in (start_us, end_us]."""
    first, last = day_bounds_us(day)
    return first < end_us and start_us < last


def longest_us(connection: Connection, days: Sequence[date]) -> int:
    """Length of the longest interval of these days, 0 without days."""
    statement = select(func.max(interval_day.c.longest_us)).where(interval_day.c.day.in_(days))
    return int(connection.scalar(statement) or 0)


def allow_new_days(connection: Connection, days: Sequence[date]) -> None:
    """Called before a row of any of these days is locked; all lock days in order, and only one makes new ones.

    Whoever made a day while holding a later one, or waited for another maker while holding any, met somebody on the way
    back: on PostgreSQL one of the two ended with "deadlock detected".
    """
    if connection.dialect.name == "postgresql" and not set(days) <= set(hot_days(connection)):
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_DAY_LOCK,))


def ensure_day(connection: Connection, day: date, longest: int, now: datetime) -> None:
    """Make the hot table of a day unless it exists, and remember its longest interval [microseconds].

    Writing into a day that is over, or is about to be, is counted: a row that was added to another leaves no other
    trace, and the day may be on its way into the archive.
    """
    table = interval_day
    # The row stays locked against removal, so that nobody drops the table under the rows on their way into it.
    held = select(table.c.longest_us).where(table.c.day == day).with_for_update(read=True, key_share=True)
    known = connection.execute(held).scalar()
    if known is None and connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_DAY_LOCK,))
        known = connection.execute(held).scalar()
    if known is None:
        _create_day(connection, day)
        connection.execute(table.insert().values(day=day, created_at=now, longest_us=longest, late_writes=0))
        refresh_day_view(connection)
        return
    if known < longest:
        where = (table.c.day == day) & (table.c.longest_us < longest)
        connection.execute(table.update().where(where).values(longest_us=longest))
    if epoch_us(now) >= day_bounds_us(day)[1] - HOUR_US:
        count_late_write(connection, day)


def count_late_write(connection: Connection, day: date) -> None:
    """Let a sealing of this day that is under way see that its rows changed."""
    table = interval_day
    connection.execute(table.update().where(table.c.day == day).values(late_writes=table.c.late_writes + 1))


def late_writes(connection: Connection, day: date) -> int:
    """How often rows of a hot day were written after it was over; 0 without a table."""
    return connection.scalar(select(interval_day.c.late_writes).where(interval_day.c.day == day)) or 0


def hold_day(connection: Connection, day: date) -> bool:
    """Keep all writers out of a hot day until the end of the transaction; False when there is no such day."""
    held = select(interval_day.c.day).where(interval_day.c.day == day).with_for_update()
    if connection.execute(held).scalar() is None:
        return False
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"LOCK TABLE {table_name(day)} IN ACCESS EXCLUSIVE MODE")
    return True


def drop_day(connection: Connection, day: date) -> bool:
    """Drop the hot table of a day; False when there is none."""
    gone = connection.execute(interval_day.delete().where(interval_day.c.day == day)).rowcount
    if not gone:
        return False
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DROP VIEW IF EXISTS interval_metric")
    connection.exec_driver_sql(f"DROP TABLE {table_name(day)}")
    refresh_day_view(connection)
    return True


def refresh_day_view(connection: Connection) -> None:
    """SQLite: make the view `interval_metric` show exactly the day tables; PostgreSQL has partitions instead."""
    if connection.dialect.name != "sqlite":
        return
    connection.exec_driver_sql("DROP VIEW IF EXISTS interval_metric")
    names = [table_name(day) for day in hot_days(connection)]
    columns = quoted(STORED_COLUMNS)
    parts = [f"SELECT {columns} FROM {name}" for name in names]  # noqa: S608 - names of our own tables
    empty = ", ".join(f'NULL AS "{name}"' for name in STORED_COLUMNS)
    body = " UNION ALL ".join(parts) if parts else f"SELECT {empty} WHERE 0"
    connection.exec_driver_sql(f"CREATE VIEW interval_metric AS {body}")


def quoted(names: Iterable[str]) -> str:
    """Column names for SQL text."""
    return ", ".join(f'"{name}"' for name in names)


def column_ddl(dialect: "Dialect") -> str:
    """Column definitions of a day table."""
    real, flag = ("REAL", "INTEGER") if dialect.name == "sqlite" else ("DOUBLE PRECISION", "BOOLEAN")
    keys = [f'"{name}" {"INTEGER" if name == "database_id" else "BIGINT"} NOT NULL' for name in KEY_COLUMNS]
    metrics = [f'"{name}" {real}' for name in (*COUNTERS, *EXTREMA)]
    return ", ".join([*keys, *metrics, f'"counter_reset" {flag} NOT NULL'])


_DAY_LOCK = 7_318_246_001


def _create_day(connection: Connection, day: date) -> None:
    name = table_name(day)
    first, last = day_bounds_us(day)
    connection.exec_driver_sql(f"CREATE TABLE {name} ({column_ddl(connection.dialect)})")
    unique = f"{HOUR_EXPRESSION}, database_id, query_hash, plan_hash, interval_start_us"
    connection.exec_driver_sql(f"CREATE UNIQUE INDEX {name}_key ON {name} ({unique})")
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"CREATE INDEX {name}_end ON {name} (interval_end_us)")
        return
    connection.exec_driver_sql(f"CREATE INDEX {name}_end ON {name} USING brin (interval_end_us)")
    # Attaching takes a lock that lets readers and writers of other days go on, unlike CREATE ... PARTITION OF.
    connection.exec_driver_sql(
        f"ALTER TABLE interval_metric ATTACH PARTITION {name} FOR VALUES FROM ({first + 1}) TO ({last + 1})"
    )


def hours_between(first_us: int, last_us: int) -> list[int]:
    """Numbers of the hours since 1970 that touch [first_us, last_us]."""
    return np.arange(first_us // HOUR_US, last_us // HOUR_US + 1).tolist()
