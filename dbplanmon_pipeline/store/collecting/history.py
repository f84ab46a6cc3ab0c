"""History that an engine kept from before we watched it, day by day, so that any day can be imported again."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select, text

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.ports import ImportedDay, ImportStatus
from dbplanmon_pipeline.core.readings.history_days import limit_us, window_us
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.bulk import insert_records, insert_rows, replace_on
from dbplanmon_pipeline.store.collecting.counter_states import hold_state
from dbplanmon_pipeline.store.collecting.recorded_from import read_recorded_from
from dbplanmon_pipeline.store.collecting.statements import save_plan_bodies, save_texts
from dbplanmon_pipeline.store.intervals.database_hours import WORK_SUMS, add_work, taken_back
from dbplanmon_pipeline.store.intervals.days import (
    HOUR_EXPRESSION,
    allow_new_days,
    count_late_write,
    day_number,
    day_of,
    ensure_day,
    hot_days,
    hours_between,
    table_name,
)
from dbplanmon_pipeline.store.intervals.write import IntervalBatch, write_intervals
from dbplanmon_pipeline.store.parts import StorePart
from dbplanmon_pipeline.store.schema import (
    archive_segment,
    history_import,
    monitored_database,
    plan_observation,
    query,
)
from dbplanmon_pipeline.store.targets import database_ids, id_list

_WITH_ROWS = (history_import.c.status == str(ImportStatus.IMPORTED)) & (history_import.c.rows > 0)


class HistoryPart(StorePart):
    """Imports of history and what became of them."""

    def recorded_from(self) -> dict[DatabaseRef, datetime]:
        """Since when the live collection knows everything, for every database it has read; aware UTC."""
        with self._database.read() as connection:
            return read_recorded_from(connection)

    def record_history(self, imported: ImportedDay) -> bool:
        """Store one day in one transaction, in place of what an earlier import of it brought.

        Returns:
            False, with nothing changed, where the day was sealed since its earlier import.

        Raises:
            StoreError: the database was never read.
        """
        with self._database.write() as connection:
            number, recorded_from = _known(connection, imported.ref)
            hold_state(connection, number)
            if imported.rows is not None:
                batch = IntervalBatch.of([(number, imported.rows)])
                days = _hold_days(connection, imported.day, batch, self._clock())
                if _is_sealed_since(connection, number, imported.day, days):
                    return False
                _remove(connection, number, imported.day, recorded_from)
                write_intervals(connection, batch, self._clock())
                _save_statements(connection, number, imported, batch)
            _note(connection, number, imported, self._clock())
        return True

    def history_attempts(self) -> dict[DatabaseRef, datetime]:
        """When an import was last tried, for every database it was tried for; aware UTC."""
        table, target = history_import, monitored_database
        last = (
            select(target.c.instance, target.c.database, func.max(table.c.attempted_at))
            .join(target, target.c.database_id == table.c.database_id)
            .group_by(target.c.instance, target.c.database)
        )
        with self._database.read() as connection:
            return {DatabaseRef(instance, name): at for instance, name, at in connection.execute(last)}

    def last_history_import(self) -> datetime | None:
        """When an import last brought rows; None when none ever did."""
        with self._database.read() as connection:
            last: datetime | None = connection.scalar(select(func.max(history_import.c.attempted_at)).where(_WITH_ROWS))
        return last


def _known(connection: Connection, ref: DatabaseRef) -> tuple[int, datetime]:
    recorded_from = read_recorded_from(connection).get(ref)
    if recorded_from is None:
        raise StoreError(f"{ref} was never read, so where its history ends is not known; collect it once first")
    return database_ids(connection)[ref], recorded_from


def _hold_days(connection: Connection, day: date, batch: IntervalBatch, now: datetime) -> list[date]:
    """Make and lock, in order, the hot days that may hold rows of one day of an import; returns them.

    Intervals belong to the day in which they end.
    """
    written = {day_of(number) for number in np.unique(day_number(batch.keys[:, 4])).tolist()}
    days = sorted({day, day + timedelta(days=1)} | written)
    allow_new_days(connection, sorted(written))
    for one in days:
        if one in written:
            ensure_day(connection, one, 0, now)
        count_late_write(connection, one)
    return days


def _is_sealed_since(connection: Connection, number: int, day: date, days: Sequence[date]) -> bool:
    table, sealed = history_import, archive_segment
    earlier = select(table.c.attempted_at).where(table.c.database_id == number, table.c.day == day, _WITH_ROWS)
    imported_at = connection.scalar(earlier)
    if imported_at is None:
        return False
    since = select(func.count()).where(sealed.c.day.in_(days), sealed.c.sealed_at >= imported_at)
    return bool(connection.scalar(since.select_from(sealed)))


def _remove(connection: Connection, number: int, day: date, recorded_from: datetime) -> None:
    """Delete what an earlier import of the day brought; rows of the live collection all begin later."""
    first, last = window_us(day)
    last = min(last, limit_us(recorded_from))
    hours = id_list(hours_between(first, last))
    there = set(hot_days(connection))
    for hot in (day, day + timedelta(days=1)):
        if hot in there:
            where = f"{HOUR_EXPRESSION} IN ({hours}) AND database_id = :number AND interval_start_us >= :first"
            source = f"FROM {table_name(hot)} WHERE {where} AND interval_start_us < :last"
            bound = {"number": number, "first": first, "last": last}
            counted = connection.execute(text(f"SELECT {WORK_SUMS} {source} GROUP BY 1, 2"), bound)
            add_work(connection, taken_back(counted.all()))
            connection.execute(text(f"DELETE {source}"), bound)


def _save_statements(connection: Connection, number: int, imported: ImportedDay, batch: IntervalBatch) -> None:
    """Statements and plans were there earlier than we knew; what they run with now stays what it is."""
    if not len(batch):
        return
    _save_queries(connection, number, batch)
    _save_observations(connection, number, batch)
    last = from_epoch_us(int(batch.keys[:, 4].max()))
    save_texts(connection, [(number, imported.texts)], {number: last})
    save_plan_bodies(connection, [(last, found) for found in imported.plans])


def _save_queries(connection: Connection, number: int, batch: IntervalBatch) -> None:
    current = {key: plan for _, key, plan in batch.plans_in_use().tolist()}
    hashes, first, last = _seen(batch.keys[:, 1:2], batch)
    keys = [key for (key,) in hashes]
    columns: dict[str, list[Any]] = {
        "database_id": [number] * len(keys),
        "query_hash": keys,
        "current_plan_hash": [current[key] for key in keys],
        "plan_origin": [""] * len(keys),
        "plan_reason": [""] * len(keys),
        "first_seen": first,
        "last_seen": last,
    }
    newer = (
        "current_plan_hash = CASE WHEN excluded.last_seen > query.last_seen AND excluded.current_plan_hash <> 0 "
        "THEN excluded.current_plan_hash ELSE query.current_plan_hash END, "
    )
    clause = f"ON CONFLICT (database_id, query_hash) DO UPDATE SET {newer}{_widened('query')}"
    insert_rows(connection, query, columns, clause)


def _save_observations(connection: Connection, number: int, batch: IntervalBatch) -> None:
    known = batch.take(batch.keys[:, 2] != 0)
    pairs, first, last = _seen(known.keys[:, 1:3], known)
    columns: dict[str, list[Any]] = {
        "database_id": [number] * len(pairs),
        "query_hash": [query_hash for query_hash, _plan in pairs],
        "plan_hash": [plan_hash for _query, plan_hash in pairs],
        "first_seen": first,
        "last_seen": last,
    }
    clause = f"ON CONFLICT (database_id, query_hash, plan_hash) DO UPDATE SET {_widened('plan_observation')}"
    insert_rows(connection, plan_observation, columns, clause)


def _seen(keys: Any, batch: IntervalBatch) -> tuple[list[list[int]], list[datetime], list[datetime]]:
    """Distinct keys, sorted, with beginning of their first and end of their last interval."""
    found, member = np.unique(keys, axis=0, return_inverse=True)
    first = np.full(len(found), np.iinfo(np.int64).max)
    last = np.full(len(found), np.iinfo(np.int64).min)
    np.minimum.at(first, member.reshape(-1), batch.keys[:, 3])
    np.maximum.at(last, member.reshape(-1), batch.keys[:, 4])
    return found.tolist(), [from_epoch_us(us) for us in first.tolist()], [from_epoch_us(us) for us in last.tolist()]


def _widened(table: str) -> str:
    """First and last sight, each moved outwards only."""
    first, last = f"{table}.first_seen", f"{table}.last_seen"
    return (
        f"first_seen = CASE WHEN excluded.first_seen < {first} THEN excluded.first_seen ELSE {first} END, "
        f"last_seen = CASE WHEN excluded.last_seen > {last} THEN excluded.last_seen ELSE {last} END "
        f"WHERE excluded.first_seen < {first} OR excluded.last_seen > {last}"
    )


def _note(connection: Connection, number: int, imported: ImportedDay, now: datetime) -> None:
    """A failed attempt leaves an earlier import standing, rows and all."""
    record = {
        "database_id": number,
        "day": imported.day,
        "attempted_at": now,
        "status": str(imported.status),
        "rows": 0 if imported.rows is None else len(imported.rows),
        "message": imported.message,
    }
    replace = replace_on(["database_id", "day"], list(record))
    insert_records(connection, history_import, [record], "ON CONFLICT DO NOTHING" if imported.rows is None else replace)
