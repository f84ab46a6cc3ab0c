"""Schema versions: what is there, what this program needs, and the way from one to the other.

Alembic moves the tables; the views are code, made anew by every upgrade. One transaction holds it all, under a lock
that makes a second process wait.
"""

from functools import cache
from pathlib import Path
from time import sleep

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect
from sqlalchemy.exc import OperationalError

from dbplanmon_pipeline.core.ports import SchemaStatus
from dbplanmon_pipeline.errors import StoreSchemaMismatch, StoreUnavailable
from dbplanmon_pipeline.store.engine import UPGRADE, Database
from dbplanmon_pipeline.store.schema import metadata
from dbplanmon_pipeline.store.views import create_views, drop_views

_UPGRADE_LOCK = 7_318_246_002
_PAGE_BYTES = 16_384
_WAL_ATTEMPTS = 300


def schema_status(database: Database) -> SchemaStatus:
    """Revision and missing tables; never changes anything, never makes a file."""
    expected = expected_revision()
    names = (*(table.name for table in metadata.sorted_tables), "interval_metric")
    if not database.file_exists():
        return SchemaStatus(str(database), "", expected, tuple(sorted(names)))
    with database.bare() as connection:
        inspector = inspect(connection)
        found = {*inspector.get_table_names(), *inspector.get_view_names()}
        missing = tuple(sorted(set(names) - found))
        return SchemaStatus(str(database), found_revision(connection), expected, missing)


def require_current(connection: Connection, shown: str) -> None:
    """Refuse a store of another schema version.

    Raises:
        StoreSchemaMismatch: the store is older, newer or empty; the message says what to do.
    """
    found = found_revision(connection)
    if found == expected_revision():
        return
    refuse_newer(found, shown)
    state = f"has schema {found}, this program needs {expected_revision()}" if found else "has no schema"
    raise StoreSchemaMismatch(f"the store at {shown} {state}; {UPGRADE}")


def upgrade(database: Database, revision: str = "head") -> SchemaStatus:
    """Bring the schema to a revision; makes the folder and file of a SQLite store.

    Raises:
        StoreSchemaMismatch: the store is newer than this program.
        StoreUnavailable: the folder cannot be made, or the lock cannot be had.
    """
    _prepare_file(database)
    with database.bare(creates=True, begin_with="EXCLUSIVE") as connection:
        lock_schema(database, connection)
        refuse_newer(found_revision(connection), str(database))
        drop_views(connection)
        command.upgrade(alembic_config(connection), revision)
        create_views(connection)
    database.forget_schema()
    return schema_status(database)


def lock_schema(database: Database, connection: Connection) -> None:
    """Wait for whoever changes the schema; on SQLite the transaction itself does."""
    if not database.is_sqlite:
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (_UPGRADE_LOCK,))


def _prepare_file(database: Database) -> None:
    if database.path is None:
        return
    try:
        database.path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"the folder {database.path.parent} cannot be made: {error.strerror}") from error
    use_write_ahead_log(database)


def use_write_ahead_log(database: Database) -> None:
    """Switch a SQLite store, made where need be, to the write-ahead log; waits for others."""
    # The switch to WAL does not wait for a lock by itself, and two first upgrades may meet here.
    for attempt in range(_WAL_ATTEMPTS):
        try:
            with database.autocommit(creates=True) as connection:
                # Only a new file takes the size. With pages of 4 kB the same tick costs a tenth more.
                connection.exec_driver_sql(f"PRAGMA page_size={_PAGE_BYTES}")
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        except StoreUnavailable as error:
            if "locked" not in str(error) or attempt == _WAL_ATTEMPTS - 1:
                raise
            sleep(0.1)
        else:
            return


def found_revision(connection: Connection) -> str:
    """Revision of the store, empty where there is none."""
    try:
        with connection.begin_nested():
            return MigrationContext.configure(connection).get_current_revision() or ""
    except OperationalError:
        return ""


@cache
def expected_revision() -> str:
    """Newest revision this program knows."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head() or ""


@cache
def _known_revisions() -> frozenset[str]:
    return frozenset(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())


def refuse_newer(found: str, shown: str) -> None:
    """Raises: StoreSchemaMismatch, the store is newer than this program."""
    if found and found not in _known_revisions():
        raise StoreSchemaMismatch(
            f"the store at {shown} was written by a newer program (schema {found}); install that version or newer"
        )


def alembic_config(connection: Connection | None = None) -> Config:
    """Where the migrations are, and the connection they run on."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    if connection is not None:
        config.attributes["connection"] = connection
    return config
