"""Removing what is older than the retention allows: first marked, later removed a batch at a time.

A mark is one row: everything of one kind before a moment. So marking costs the same for ten rows and ten million, and a
removal that was killed goes on where it was. Which rows are meant is looked up outside of any writing transaction; each
batch looks again at its own rows only, and is made smaller when it took long, so that no writer waits long.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, text
from sqlalchemy.sql.elements import TextClause

from dbplanmon_pipeline.core.ports import ExpiryMark
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store.bulk import insert_records
from dbplanmon_pipeline.store.intervals.sealing import SealingPart
from dbplanmon_pipeline.store.retention.expiry import EXPIRING, Expiring
from dbplanmon_pipeline.store.schema import archive_segment, audit_log, expiry_mark, interval_day
from dbplanmon_pipeline.store.targets import id_list

HOT_DAYS, SEALED_DAYS = interval_day.name, archive_segment.name
SUBJECTS = (HOT_DAYS, SEALED_DAYS, *EXPIRING)
"""Kinds of what expires: whole days, and rows by their table; in the order of removal."""

BATCH = 5_000
_DAY = timedelta(days=1)
_FIRST_BATCH = 500
_LOOKED_UP = 100_000
_LONG_SECONDS, _SHORT_SECONDS = 0.1, 0.04
AUDIT_PURGE = "audit_purge"
"""Action of the entry without which the audit lets nothing go; its subject is the limit."""


class PurgingPart(SealingPart):
    """Marks, counts and removes what expired."""

    def expired(self, subject: str, before: datetime) -> int:
        """How many days or rows of a kind are superfluous for this limit (aware UTC); changes nothing.

        Raises:
            StoreError: nothing of this kind expires.
        """
        if subject in (HOT_DAYS, SEALED_DAYS):
            return len(self._old_days(subject, before.astimezone(UTC).date()))
        chosen = _chosen(subject)
        statement = select(func.count()).select_from(chosen.table).where(chosen.is_superfluous(before))
        with self._database.read() as connection:
            return connection.scalar(statement) or 0

    def expiry_marks(self) -> list[ExpiryMark]:
        """All marks, by kind, oldest limit first."""
        table = expiry_mark
        with self._database.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.subject, table.c.before)).mappings()
            return [ExpiryMark(**row) for row in rows]

    def mark_expired(self, marks: Sequence[ExpiryMark]) -> None:
        """Add marks; one that is there already stays as it is, so that its grace period goes on."""
        names = tuple(ExpiryMark.__dataclass_fields__)
        records = [{name: getattr(mark, name) for name in names} for mark in marks]
        with self._database.write() as connection:
            insert_records(connection, expiry_mark, records, "ON CONFLICT DO NOTHING")

    def unmark_expired(self, marks: Sequence[ExpiryMark]) -> None:
        """Take marks away, whether their rows are gone or shall stay."""
        table = expiry_mark
        with self._database.write() as connection:
            for mark in marks:
                connection.execute(table.delete().where(table.c.subject == mark.subject, table.c.before == mark.before))

    def removals(self, subject: str, before: datetime, batch: int = BATCH) -> Iterator[int]:
        """Remove what is superfluous, one transaction per step; each step tells how many days or rows went.

        The caller may wait between two steps, or stop asking: what is left goes next time. The audit gets an entry
        that names the limit before the first of its own rows goes.

        Raises:
            StoreError: nothing of this kind expires.
        """
        if subject == HOT_DAYS:
            yield from self._remove_hot_days(before.astimezone(UTC).date())
        elif subject == SEALED_DAYS:
            yield from self._remove_sealed_days(before.astimezone(UTC).date())
        else:
            yield from self._remove_rows(_chosen(subject), before, batch)

    def purge(self, table: str, before: datetime) -> int:
        """Remove superfluous rows of a table at once, 5,000 per transaction at most; returns how many.

        Raises:
            StoreError: the rows of this table do not expire.
        """
        _chosen(table)
        return sum(self.removals(table, before))

    def _old_days(self, subject: str, before: date) -> list[date]:
        days = self.hot_days() if subject == HOT_DAYS else [sealed.day for sealed in self.sealed_days()]
        return [day for day in days if day < before]

    def _remove_hot_days(self, before: date) -> Iterator[int]:
        for day in self._old_days(HOT_DAYS, before):
            yield len(self.drop_hot_days(day + _DAY))

    def _remove_sealed_days(self, before: date) -> Iterator[int]:
        for day in self._old_days(SEALED_DAYS, before):
            yield len(self.drop_sealed_days(day + _DAY))

    def _remove_rows(self, chosen: Expiring, before: datetime, batch: int) -> Iterator[int]:
        if chosen.table is audit_log and self.expired(audit_log.name, before):
            self._note_audit_purge(before)
        size = min(batch, _FIRST_BATCH)
        while found := self._look_up(chosen, before):
            went = 0
            while found:
                some, found = found[:size], found[size:]
                began = time.monotonic()
                with self._database.write() as connection:
                    removed = _remove_some(connection, chosen, some, before)
                size = _next_size(size, time.monotonic() - began, batch)
                went += removed
                yield removed
            if not went:
                return

    def _note_audit_purge(self, before: datetime) -> None:
        limit = f"{before.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"
        with self._database.write() as connection:
            self._note(connection, "retention", AUDIT_PURGE, limit, {"before": before.isoformat()})

    def _look_up(self, chosen: Expiring, before: datetime) -> list[Any]:
        with self._database.read() as connection:
            place = text("rowid" if connection.dialect.name == "sqlite" else "ctid::text")
            statement = select(place).select_from(chosen.table).where(chosen.is_superfluous(before)).limit(_LOOKED_UP)
            return list(connection.scalars(statement))


def _chosen(subject: str) -> Expiring:
    if subject not in EXPIRING:
        raise StoreError(f"rows of {subject} do not expire; choose one of {', '.join(sorted(EXPIRING))}")
    return EXPIRING[subject]


def _remove_some(connection: Connection, chosen: Expiring, places: Sequence[Any], before: datetime) -> int:
    """Remove those of the rows that are still superfluous, their parts first."""
    still = (_is_at(connection, places), chosen.is_superfluous(before))
    for part in chosen.parts:
        owners = select(chosen.table.c[chosen.key]).where(*still)
        connection.execute(part.delete().where(part.c[chosen.key].in_(owners)))
    return connection.execute(chosen.table.delete().where(*still)).rowcount


def _is_at(connection: Connection, places: Sequence[Any]) -> TextClause:
    if connection.dialect.name == "sqlite":
        return text(f"rowid IN ({id_list(places)})")
    return text("ctid = ANY(CAST(:places AS tid[]))").bindparams(bindparam("places", list(places)))


def _next_size(size: int, seconds: float, most: int) -> int:
    if seconds > _LONG_SECONDS:
        return max(size // 2, 1)
    return min(size * 2, most) if seconds < _SHORT_SECONDS else size
