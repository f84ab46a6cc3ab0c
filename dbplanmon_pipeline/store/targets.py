"""Numbers of monitored databases: the store keeps a small integer instead of two names in every row."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.store.bulk import insert_records, plain_rows
from dbplanmon_pipeline.store.schema import monitored_database as table


def database_ids(connection: Connection) -> dict[DatabaseRef, int]:
    """Number of every known database."""
    rows = plain_rows(connection, 'SELECT instance, "database", database_id FROM monitored_database')
    return {DatabaseRef(instance, database): number for instance, database, number in rows}


def ensure_databases(
    connection: Connection, engines: Mapping[DatabaseRef, str], now: datetime
) -> dict[DatabaseRef, int]:
    """Number of every known database, those of `engines` made known with their engine (empty: not told)."""
    known = database_ids(connection)
    missing = sorted(ref for ref in engines if ref not in known)
    if not missing:
        return known
    records = [
        {"instance": ref.instance, "database": ref.database, "engine": engines[ref], "first_seen": now}
        for ref in missing
    ]
    conflict = (
        "ON CONFLICT (instance, database) DO UPDATE SET engine = excluded.engine WHERE monitored_database.engine = ''"
    )
    insert_records(connection, table, records, conflict)
    return database_ids(connection)


def id_list(numbers: Iterable[int]) -> str:
    """Numbers for an IN list; they are integers of ours, so they may stand in the text."""
    return ", ".join(str(int(number)) for number in numbers) or "NULL"


def known_ids(ids: Mapping[DatabaseRef, int], refs: Sequence[DatabaseRef] | None) -> list[int] | None:
    """Numbers of those of `refs` that are known; None for all."""
    return None if refs is None else sorted({ids[ref] for ref in refs if ref in ids})
