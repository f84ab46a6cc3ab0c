"""Weekly care of the store itself: figures for the planner, the write-ahead log, room that nobody uses.

SQLite rewrites its file only where that frees much and takes seconds, and never while somebody writes: freed room is
used again by itself, and a rewrite keeps every writer out for as long as it takes.
"""

import sqlite3
import time
from collections.abc import Callable

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from dbplanmon_pipeline.core.ports import UpkeepStep
from dbplanmon_pipeline.store.intervals.days import hot_days, table_name
from dbplanmon_pipeline.store.parts import StorePart

_MEGABYTE = 1_000_000
_WORTH_BYTES, _WORTH_SHARE = 64 * _MEGABYTE, 0.3
_QUICK_BYTES = 1_000 * _MEGABYTE
_BUSY_MS = 1_000
_LEFT = "others were at work; left for next time"


class UpkeepPart(StorePart):
    """Care of the database itself."""

    def maintain(self, *, may_rewrite: bool = True) -> list[UpkeepStep]:
        """Do what this kind of database needs; safe while others write, and safe to repeat.

        Args:
            may_rewrite: SQLite may rewrite its file where that pays.
        """
        steps = _sqlite_steps(may_rewrite) if self._database.is_sqlite else (_ANALYZE, _PARTITIONS)
        done = []
        with self._database.read() as connection:
            days = [table_name(day) for day in hot_days(connection)]
        with self._database.autocommit() as connection:
            for name, act in steps:
                began = time.monotonic()
                outcome = act(connection, days)
                done.append(UpkeepStep(name, time.monotonic() - began, outcome))
        return done


Step = tuple[str, Callable[[Connection, list[str]], str]]


def _sqlite_steps(may_rewrite: bool) -> tuple[Step, ...]:
    return _OPTIMIZE, ("free room", _rewrite if may_rewrite else _tell_room), _CHECKPOINT


def _optimize(connection: Connection, _days: list[str]) -> str:
    connection.exec_driver_sql("PRAGMA analysis_limit=1000")
    # Before 3.46 `optimize` looks only at what this very connection has asked for, which is nothing.
    knows_all_tables = sqlite3.sqlite_version_info >= (3, 46)
    connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")
    try:
        connection.exec_driver_sql("PRAGMA optimize(0x10002)" if knows_all_tables else "ANALYZE")
    except OperationalError:
        return _LEFT
    return "figures for the planner are fresh"


def _checkpoint(connection: Connection, _days: list[str]) -> str:
    connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")
    busy, _frames, _moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return _LEFT if busy else "write-ahead log emptied"


def _room(connection: Connection) -> tuple[int, int]:
    """Bytes of the file that are free, and that are used."""
    size, pages, free = (_pragma(connection, name) for name in ("page_size", "page_count", "freelist_count"))
    return free * size, (pages - free) * size


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)


def _tell_room(connection: Connection, _days: list[str]) -> str:
    free, used = _room(connection)
    return f"{free / _MEGABYTE:,.0f} MB free beside {used / _MEGABYTE:,.0f} MB used"


def _rewrite(connection: Connection, days: list[str]) -> str:
    free, used = _room(connection)
    told = _tell_room(connection, days)
    if free < _WORTH_BYTES or free < _WORTH_SHARE * (free + used):
        return told
    if used > _QUICK_BYTES:
        return f"{told}; too large to rewrite while others write, the room is used again"
    if _somebody_writes(connection):
        return f"{told}; others were at work, so it was left"
    connection.exec_driver_sql("VACUUM")
    return f"{free / _MEGABYTE:,.0f} MB given back"


def _somebody_writes(connection: Connection) -> bool:
    connection.exec_driver_sql("PRAGMA busy_timeout=0")
    try:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.exec_driver_sql("ROLLBACK")
    except OperationalError:
        return True
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout={_BUSY_MS}")
    return False


def _analyze(connection: Connection, _days: list[str]) -> str:
    # A table at a time: one ANALYZE of all holds its locks until the last.
    tables = connection.exec_driver_sql(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relkind = 'r' AND NOT c.relispartition "
        "AND c.relnamespace = current_schema()::regnamespace ORDER BY 1"
    ).scalars()
    names = list(tables)
    for name in names:
        connection.exec_driver_sql(f"ANALYZE {name}")
    return f"{len(names)} tables analysed"


def _partitions(connection: Connection, days: list[str]) -> str:
    # Autovacuum never analyses a partitioned table itself, and a day without writes keeps its last dead rows.
    for day in days:
        connection.exec_driver_sql(f"VACUUM (ANALYZE) {day}")
    connection.exec_driver_sql("ANALYZE interval_metric")
    return f"{len(days)} days cleaned and analysed"


_OPTIMIZE: Step = ("statistics", _optimize)
_CHECKPOINT: Step = ("write-ahead log", _checkpoint)
_ANALYZE: Step = ("statistics", _analyze)
_PARTITIONS: Step = ("days", _partitions)
