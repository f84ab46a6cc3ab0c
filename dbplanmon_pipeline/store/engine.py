"""The way to the database of the store: connections, transactions, and errors in our words.

SQLite rules, each measured: writing transactions begin with BEGIN IMMEDIATE (a plain BEGIN lost 1,618 transactions of
4 writers to "database is locked"), a lock is waited for 30 s, WAL, and synchronous=FULL. Opening never makes a file.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from dbplanmon_pipeline.errors import StoreError, StoreSchemaMismatch, StoreUnavailable

UPGRADE = "run: dbplanmon store upgrade"
BUSY_SECONDS = 30
_SQLITE_CACHE_KIB = 65_536
_THREADS = 32
_HINTS = {
    "disk is full": "free room on its disk",
    "database is locked": f"another process has been writing to it for {BUSY_SECONDS} s; try again",
}
_DAMAGED = ("file is not a database", "disk image is malformed")
_MISSING_TABLE = ("no such table", "no such column", "undefinedtable", "undefinedcolumn", "does not exist")
_SECRET_PARAMETERS = ("password", "passfile", "sslpassword", "sslkey")


class Database:
    """One store database, opened lazily; safe for threads, and for a process that forks after opening.

    Args:
        url: SQLAlchemy URL of a SQLite file or a PostgreSQL database.

    Raises:
        StoreError: the URL is none, or names another kind of database.
    """

    def __init__(self, url: str) -> None:
        self.url = _house_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._inherited: list[Engine] = []
        self._pid = 0
        self._schema_checked = False

    def __str__(self) -> str:
        return shown_url(self.url)

    @property
    def path(self) -> Path | None:
        """File of a SQLite store."""
        return Path(str(self.url.database)) if self.is_sqlite else None

    @property
    def engine(self) -> Engine:
        """Engine of this process; connections of a parent process are never touched."""
        with self._lock:
            if self._pid != os.getpid():
                # Closing an inherited SQLite connection would drop the locks of the parent's file: keep it unused.
                self._inherited += [self._engine] if self._engine else []
                self._engine, self._schema_checked = None, False
                self._pid = os.getpid()
            if self._engine is None:
                self._engine = self._new_engine(creates=False)
            return self._engine

    def _new_engine(self, *, creates: bool) -> Engine:
        if not self.is_sqlite:
            options = {"application_name": "dbplanmon store", "options": "-c timezone=UTC"}
            return create_engine(self.url, connect_args=options, pool_pre_ping=True, hide_parameters=True)
        file = f"{Path(str(self.url.database)).absolute().as_uri()}?mode={'rwc' if creates else 'rw'}"

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(file, BUSY_SECONDS, uri=True, check_same_thread=False, isolation_level=None)

        engine = create_engine(self.url, creator=connect, hide_parameters=True, max_overflow=_THREADS)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    @contextmanager
    def read(self, *, snapshot: bool = False) -> Iterator[Connection]:
        """A transaction that reads; all of it from one moment where `snapshot` is set (always so on SQLite)."""
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"} if snapshot and not self.is_sqlite else {}
        with self._transaction(options) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: all of the block or nothing."""
        with self._transaction({"begin_with": "IMMEDIATE"}) as connection:
            yield connection

    @contextmanager
    def _transaction(self, options: dict[str, Any]) -> Iterator[Connection]:
        with self.translated():
            self._check_file()
            with self.engine.connect().execution_options(**options) as connection, connection.begin():
                self._check_schema(connection)
                yield connection

    @contextmanager
    def bare(self, *, creates: bool = False, begin_with: str = "") -> Iterator[Connection]:
        """A transaction of its own connection without any check of the schema, for the upgrade and the status."""
        with self.translated():
            engine = self._new_engine(creates=creates)
            try:
                with engine.connect().execution_options(begin_with=begin_with) as connection, connection.begin():
                    yield connection
            finally:
                engine.dispose()

    @contextmanager
    def autocommit(self, *, creates: bool = False) -> Iterator[Connection]:
        """A connection of its own outside any transaction."""
        with self.translated():
            engine = self._new_engine(creates=creates)
            try:
                with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    yield connection
            finally:
                engine.dispose()

    def forget_schema(self) -> None:
        """Look at the schema again before the next transaction."""
        self._schema_checked = False

    def file_exists(self) -> bool:
        """False for a SQLite store whose file is not there yet."""
        return self.path is None or self.path.exists()

    def close(self) -> None:
        """Give back the connections of this process."""
        with self._lock:
            if self._engine is not None and self._pid == os.getpid():
                self._engine.dispose()
            self._engine, self._schema_checked = None, False

    def _check_file(self) -> None:
        if not self.file_exists():
            raise StoreSchemaMismatch(f"there is no store at {self}; {UPGRADE}")

    def _check_schema(self, connection: Connection) -> None:
        if self._schema_checked:
            return
        from dbplanmon_pipeline.store.upgrade import require_current  # noqa: PLC0415 - alembic takes 0.3 s to import

        require_current(connection, str(self))
        self._schema_checked = True

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn errors of SQLAlchemy and its drivers into ours, without statements or values."""
        try:
            yield
        except StatementError as error:
            raise self._house_error(error) from error
        except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
            raise StoreError(f"the store at {self} failed: {_first_line(error)}") from error

    def _house_error(self, error: StatementError) -> Exception:
        if not isinstance(error, DBAPIError):
            return error.orig if isinstance(error.orig, ValueError) else StoreError(_first_line(error))
        reason = _first_line(error.orig or error)
        kind = type(error.orig).__name__.lower()
        if isinstance(error, OperationalError | ProgrammingError):
            if any(mark in f"{kind} {reason.lower()}" for mark in _MISSING_TABLE) and 'database "' not in reason:
                return StoreSchemaMismatch(f"the store at {self} lacks a part ({reason}); {UPGRADE}")
            if isinstance(error, OperationalError):
                hint = next((told for mark, told in _HINTS.items() if mark in reason), "check the URL and the server")
                return StoreUnavailable(f"the store at {self} cannot be used: {reason}; {hint}")
        hint = "; restore it from a backup" if self.is_sqlite and any(mark in reason for mark in _DAMAGED) else ""
        return StoreError(f"the store at {self} failed: {reason}{hint}")


def shown_url(url: URL) -> str:
    """The URL without anything secret."""
    query = {name: value for name, value in url.query.items() if name.lower() not in _SECRET_PARAMETERS}
    return url.set(query=query).render_as_string(hide_password=True)


def _house_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise StoreError(
            "the store URL is none; use sqlite:////folder/store.db or postgresql://user@host/name"
        ) from error
    backend = "postgresql" if url.get_backend_name() == "postgres" else url.get_backend_name()
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise StoreError(f"the store cannot be kept in {backend}; use a sqlite or postgresql URL")
    if url.database in (None, "", ":memory:"):
        raise StoreError("a SQLite store needs a file; use sqlite:////folder/store.db")
    return url


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    # Debian has SQLite overwrite what is deleted: dropping a day of 2.9 million rows took 8 s instead of 0.3 s.
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute(f"PRAGMA cache_size=-{_SQLITE_CACHE_KIB}")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT":
        connection.exec_driver_sql(f"BEGIN {options.get('begin_with', '')}".strip())
