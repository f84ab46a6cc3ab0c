"""The state of each database between two readings: one row, locked while it moves on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.store.bulk import insert_records, insert_rows, replace_on
from dbplanmon_pipeline.store.collecting.reading_codec import ReadingBody, decode_reading
from dbplanmon_pipeline.store.schema import counter_state

StoredReading = tuple[datetime, CounterReading | None]
"""Moment of a stored reading, and what it says where this program can still use it."""


def read_readings(connection: Connection, wanted: Mapping[int, DatabaseRef]) -> dict[int, StoredReading]:
    """The last reading of each of these databases that has one."""
    table = counter_state
    columns = (table.c.database_id, table.c.body_zstd, table.c.read_at, table.c.covers_from_us, table.c.next_from_us)
    known = table.c.body_zstd.is_not(None) & table.c.database_id.in_(list(wanted))
    rows = connection.execute(select(*columns).where(known))
    return {row[0]: (row[2], decode_reading(bytes(row[1]), row[2], row[3] or 0, row[4] or 0)) for row in rows}


@dataclass(frozen=True, slots=True)
class LockedStates:
    """Counter states of the databases of one `record`, locked until its end."""

    read_at: dict[int, datetime | None]
    body_digests: dict[int, bytes | None]
    sightings: dict[int, bytes | None]
    facts_digests: dict[int, bytes | None]


def lock_states(
    connection: Connection, collected: Sequence[CollectedDatabase], ids: Mapping[DatabaseRef, int]
) -> LockedStates:
    """Make and lock a row for every database that has something to store.

    Raises:
        ValueError: a database is named twice.
    """
    refs = [item.outcome.ref for item in collected]
    if len(set(refs)) != len(refs):
        raise ValueError("a database is named twice in one record()")
    numbers = sorted(ids[item.outcome.ref] for item in collected if item.reading is not None or item.rows is not None)
    columns = {"database_id": numbers, "counters": [0] * len(numbers)}
    insert_rows(connection, counter_state, columns, "ON CONFLICT DO NOTHING")
    table = counter_state
    kept = (table.c.read_at, table.c.body_digest, table.c.sightings, table.c.facts_digest)
    states = select(table.c.database_id, *kept).where(table.c.database_id.in_(numbers))
    rows = connection.execute(states.order_by(table.c.database_id).with_for_update()).all()
    return LockedStates(*({row[0]: row[place] for row in rows} for place in range(1, len(kept) + 1)))


def hold_state(connection: Connection, number: int) -> None:
    """Keep collections of one database waiting, as `lock_states` does.

    Whoever writes statements, texts and plans of a database begins here: their orders differ, and PostgreSQL ended one
    of two that met with "deadlock detected".
    """
    table = counter_state
    connection.execute(select(table.c.database_id).where(table.c.database_id == number).with_for_update())


def moved_on(
    collected: Sequence[CollectedDatabase], ids: Mapping[DatabaseRef, int], locked: LockedStates
) -> frozenset[DatabaseRef]:
    """Databases whose state is not the one their rows were differenced against."""
    return frozenset(
        item.outcome.ref
        for item in collected
        if item.reading is not None and locked.read_at[ids[item.outcome.ref]] != item.previous_read_at
    )


def keep_sightings(connection: Connection, bodies: Mapping[int, bytes]) -> None:
    """What was written down of statements and plans in this hour, by database."""
    numbers = sorted(bodies)
    columns: dict[str, list[Any]] = {
        "database_id": numbers,
        "counters": [0] * len(numbers),
        "sightings": [bodies[number] for number in numbers],
    }
    keep = "ON CONFLICT (database_id) DO UPDATE SET sightings = excluded.sightings"
    insert_rows(connection, counter_state, columns, keep)


def move_states(
    connection: Connection,
    numbered: Sequence[tuple[int, CollectedDatabase]],
    bodies: Mapping[DatabaseRef, ReadingBody],
    locked: LockedStates,
) -> None:
    """A reading that says what the one before said only moves its moment."""
    moved: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    for number, item in sorted(numbered, key=lambda pair: pair[0]):
        if item.reading is None:
            continue
        state = _state(number, item.reading)
        body = bodies[item.outcome.ref]
        if body.digest == locked.body_digests.get(number):
            moved.append(state)
        else:
            changed.append(state | {"body_zstd": body.compressed, "body_digest": body.digest})
    for records in (moved, changed):
        columns = list(records[0]) if records else []
        insert_records(connection, counter_state, records, replace_on(["database_id"], columns))


def _state(number: int, reading: CounterReading) -> dict[str, Any]:
    return {
        "database_id": number,
        "read_at": reading.read_at,
        "counters": len(reading),
        "covers_from_us": reading.covers_from_us or None,
        "next_from_us": reading.next_from_us or None,
    }


def move_newest_ends(connection: Connection, newest: Mapping[int, int]) -> None:
    """Ends of the newest intervals [epoch microseconds], by database; an older one changes nothing."""
    numbers = sorted(newest)
    columns = {
        "database_id": numbers,
        "counters": [0] * len(numbers),
        "newest_end_us": [newest[number] for number in numbers],
    }
    later = "WHERE coalesce(counter_state.newest_end_us, 0) < excluded.newest_end_us"
    keep = f"ON CONFLICT (database_id) DO UPDATE SET newest_end_us = excluded.newest_end_us {later}"
    insert_rows(connection, counter_state, columns, keep)
