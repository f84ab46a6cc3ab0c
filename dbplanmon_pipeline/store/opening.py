"""Open our own store."""

from datetime import UTC, datetime

from dbplanmon_pipeline.core.ports import Clock
from dbplanmon_pipeline.store.sql_store import SqlStore


def _now() -> datetime:
    return datetime.now(UTC)


def open_store(url: str, *, archive: str | None = None, clock: Clock = _now) -> SqlStore:
    """Open a store lazily: no file, folder, table or connection is made before the first use.

    Args:
        url: `sqlite:////folder/store.db` or `postgresql://user:password@host/name`.
        archive: folder or fsspec URL of sealed days; by default `archive` beside a SQLite file, and none on PostgreSQL.
        clock: the present moment, aware UTC.

    Raises:
        StoreError: the URL is none, or names another kind of database.
    """
    return SqlStore(url, archive, clock)
