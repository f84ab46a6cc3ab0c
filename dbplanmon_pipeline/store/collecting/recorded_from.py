"""Since when the live collection knows everything that ran in a database.

Work from before that moment only ever comes from an import of history, work since then never does, so that no work
counts twice.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.store.schema import monitored_database as table


def mark_recorded_from(connection: Connection, numbered: Sequence[tuple[int, CollectedDatabase]]) -> None:
    """Note it once per database, at its first reading."""
    first = [(number, item) for number, item in numbered if item.reading is not None and item.previous_read_at is None]
    if not first:
        return
    unmarked = (table.c.database_id == bindparam("number")) & table.c.recorded_from_us.is_(None)
    change = table.update().where(unmarked).values(recorded_from_us=bindparam("begin"))
    connection.execute(change, [{"number": number, "begin": _begin_us(item)} for number, item in first])


def read_recorded_from(connection: Connection) -> dict[DatabaseRef, datetime]:
    """Of every database that was read; aware UTC."""
    known = table.c.recorded_from_us.is_not(None)
    rows = connection.execute(select(table.c.instance, table.c.database, table.c.recorded_from_us).where(known))
    return {DatabaseRef(instance, database): from_epoch_us(begin) for instance, database, begin in rows}


def _begin_us(item: CollectedDatabase) -> int:
    """Beginning of the first interval where the engine keeps counters by interval, else the moment of the reading.

    Intervals are on our clock; `covers_from_us` is on that of the server, and only the second choice.
    """
    reading = item.reading
    assert reading is not None
    if not reading.by_interval:
        return epoch_us(reading.read_at)
    starts = [rows.interval_start_us for rows in (reading, item.rows) if rows is not None and len(rows)]
    return min((int(start.min()) for start in starts), default=reading.covers_from_us)
