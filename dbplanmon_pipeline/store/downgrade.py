"""The way back to an older schema: what would be lost, and nobody else in the store meanwhile.

What an older schema has no place for is found by doing it: both kinds of database can undo changes of tables with the
transaction they were made in.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Inspector, inspect
from sqlalchemy.exc import OperationalError

from dbplanmon_pipeline.core.ports.upkeep import SchemaDowngrade
from dbplanmon_pipeline.errors import StoreError, StoreSchemaMismatch, StoreUnavailable
from dbplanmon_pipeline.store.engine import Database
from dbplanmon_pipeline.store.upgrade import (
    alembic_config,
    found_revision,
    lock_schema,
    refuse_newer,
    use_write_ahead_log,
)
from dbplanmon_pipeline.store.views import create_views, drop_views

BASE = "base"
_DAY = re.compile(r"interval_metric_\d{8}")
_OURS_ELSEWHERE = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND application_name = current_setting('application_name')"
)
_NOT_COUNTED = {"alembic_version"}


def downgrade(database: Database, revision: str, *, dry_run: bool = False) -> SchemaDowngrade:
    """Take the schema back to a revision; `base` removes every table and all data.

    Args:
        database: of which nobody else has a connection open.
        revision: older than that of the store.
        dry_run: undo everything again. Holds its lock as long as the downgrade would.

    Raises:
        StoreSchemaMismatch: the store is newer than this program, there is none, or the revision is not an older one.
        StoreUnavailable: somebody else uses the store.
    """
    database.close()
    if not database.file_exists():
        raise StoreSchemaMismatch(f"there is no store at {database}")
    with _alone(database), database.bare(begin_with="EXCLUSIVE") as connection:
        lock_schema(database, connection)
        done = _step(database, connection, revision)
        if dry_run:
            connection.get_transaction().rollback()  # type: ignore[union-attr]  # `bare` has begun one
    database.forget_schema()
    return done


def _step(database: Database, connection: Connection, revision: str) -> SchemaDowngrade:
    found = found_revision(connection)
    refuse_newer(found, str(database))
    _refuse_other_way(found, revision, str(database))
    before = _columns(inspect(connection))
    rows = {name: _count(connection, name) for name in before if name not in _NOT_COUNTED}
    drop_views(connection)
    command.downgrade(alembic_config(connection), revision)
    after = _columns(inspect(connection))
    if found_revision(connection):
        create_views(connection, after)
    lost: dict[str, int] = {}
    for name in sorted(before.keys() - after.keys() - _NOT_COUNTED):
        family = "interval_metric" if _DAY.fullmatch(name) else name
        # On PostgreSQL the days are parts of the table of that name, which counts them already.
        if family == name or family not in before:
            lost[family] = lost.get(family, 0) + rows[name]
    columns = [f"{name}.{column}" for name in before if name in after for column in before[name] - after[name]]
    return SchemaDowngrade(str(database), found, "" if revision == BASE else revision, lost, tuple(sorted(columns)))


def _refuse_other_way(found: str, revision: str, shown: str) -> None:
    if not found:
        raise StoreSchemaMismatch(f"the store at {shown} has no schema; there is nothing to take back")
    older = [script.revision for script in ScriptDirectory.from_config(alembic_config()).iterate_revisions(found, BASE)]
    known = [*older[1:], BASE]
    if revision not in known:
        raise StoreSchemaMismatch(
            f"the store at {shown} has schema {found}; it can be taken back to {', '.join(known)}, "
            f"not to {revision[:40]!r}"
        )


@contextmanager
def _alone(database: Database) -> Iterator[None]:
    """While nobody else has the store open, and, on SQLite, nobody can open it."""
    if not database.is_sqlite:
        with database.bare() as connection:
            others = connection.exec_driver_sql(_OURS_ELSEWHERE).scalar_one()
        if others:
            raise _in_use(database, f"{others} connections of dbplanmon are open")
        yield
        return
    with database.autocommit() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=0")
        try:
            # Only the last connection may leave the write-ahead log; others keep it while they are open.
            mode = connection.exec_driver_sql("PRAGMA journal_mode=DELETE").scalar_one()
        except OperationalError as error:
            if "locked" not in str(error):
                raise
            mode = "wal"
    if mode != "delete":
        raise _in_use(database, "another process has it open")
    try:
        yield
    finally:
        use_write_ahead_log(database)


def _in_use(database: Database, how: str) -> StoreError:
    return StoreUnavailable(
        f"the store at {database} is in use ({how}); stop dbplanmon up, serve and all jobs on every host first"
    )


def _columns(inspector: Inspector) -> Mapping[str, frozenset[str]]:
    """Names of columns by table."""
    return {
        name: frozenset(column["name"] for column in inspector.get_columns(name))
        for name in inspector.get_table_names()
    }


def _count(connection: Connection, name: str) -> int:
    quoted = connection.dialect.identifier_preparer.quote(name)
    return int(connection.exec_driver_sql(f"SELECT count(*) FROM {quoted}").scalar_one())  # noqa: S608 - a table of ours
