"""One bounded, read-only connection: nothing on it outlives its budget, and any thread can break it."""

import contextlib
import math
import os
import socket
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

import psycopg
from psycopg import sql

from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.errors import CannotConnect, FeatureUnavailable, ProviderError, QueryTimedOut
from dbplanmon_pipeline.providers.postgres.failures import translate
from dbplanmon_pipeline.providers.postgres.sqltext import statement

Query = str | bytes | sql.Composed
Connection = psycopg.Connection[tuple[Any, ...]]

OLDEST_VERSION = 150000
LOCK_TIMEOUT_SECONDS = 0.2
CANCELLED = "the run was cancelled"
_OUT_OF_TIME = "the time budget is spent"
_WATCH_SECONDS = 0.1
_CANCEL_SECONDS = 0.5


class Session:
    """An open connection in autocommit: each statement is its own read-only transaction, no lock is kept.

    A watching thread breaks the running statement when the budget is spent or cancelled: first by a cancel request,
    and when the server does not react within half a second, by shutting the socket.

    Args:
        connection: open, in autocommit, with nothing running.
        target: `instance/database`, for messages.
        budget: time there is.
        secrets: never to appear in a message.
    """

    def __init__(self, connection: Connection, target: str, budget: Budget, secrets: tuple[str, ...] = ()) -> None:
        self.target = target
        self.budget = budget
        self.cost_ms = 0.0
        self._connection = connection
        self._secrets = secrets
        self._guard = threading.Lock()
        self._closed = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._broken_by = ""
        self._watcher = threading.Thread(target=self._watch, name="dbplanmon-postgres-watch", daemon=True)
        self._watcher.start()

    def prepare(self) -> None:
        """Make the session read only and bound by the budget."""
        self.rows(
            statement("session"),
            {
                "statement_timeout_ms": _milliseconds(self.budget.remaining()),
                "lock_timeout_ms": _milliseconds(LOCK_TIMEOUT_SECONDS),
            },
        )

    def limit_statements(self, seconds: float) -> None:
        """Let each of the following statements take at most this long, and never longer than the budget."""
        wanted = min(seconds, self.budget.remaining())
        self.rows(statement("statement_timeout"), {"statement_timeout_ms": _milliseconds(wanted)})

    def rows(self, query: Query, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Run one of our own statements.

        Raises:
            ProviderError: translated; QueryTimedOut where the budget or somebody else broke it.
        """
        try:
            return self.attempt(query, parameters)
        except psycopg.Error as error:
            raise self.translated(error) from None

    def table(self, query: Query, *, single: bool = False) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """Names of the columns and rows; where `single` is set the server refuses more than one statement.

        Raises:
            psycopg.Error: the server refused.
            QueryTimedOut: the budget is spent or somebody cancelled.
        """
        # A text without parameters goes out in the simple protocol, which takes several statements; asking for binary
        # results makes it the extended one, which takes one.
        cursor = self._execute(query, None, binary=single)
        columns = tuple(column.name for column in cursor.description or ())
        return columns, cursor.fetchall() if cursor.description else []

    def attempt(self, query: Query, parameters: Mapping[str, object] | None = None) -> list[tuple[Any, ...]]:
        """As `rows`, but an error of the server is left as it is; for statements that are expected to fail.

        Raises:
            psycopg.Error: the server refused.
            QueryTimedOut: the budget is spent or somebody cancelled.
        """
        cursor = self._execute(query, parameters)
        return cursor.fetchall() if cursor.description else []

    def _execute(
        self, query: Query, parameters: Mapping[str, object] | None, *, binary: bool = False
    ) -> "psycopg.Cursor[tuple[Any, ...]]":
        if self._broken_by or self.budget.remaining() <= 0:
            raise self._interrupted()
        self._idle.clear()
        began = time.perf_counter()
        try:
            return self._connection.execute(query, parameters, prepare=False, binary=binary)
        except psycopg.Error:
            if self._broken_by:
                raise self._interrupted() from None
            raise
        finally:
            self.cost_ms += (time.perf_counter() - began) * 1000
            self._idle.set()

    def translated(self, error: psycopg.Error) -> ProviderError:
        """The expected error for one of psycopg on this session."""
        return translate(error, self.target, self._secrets)

    @property
    def alive(self) -> bool:
        """True while more statements can be sent."""
        return not (self._broken_by or self._connection.closed or self._connection.broken)

    @property
    def cancelled(self) -> bool:
        """True where somebody asked to stop, rather than the time having run out."""
        return self._broken_by == CANCELLED or self.budget.cancelled()

    def interrupt(self, cause: str) -> None:
        """Break the running statement, from any thread; the session takes no further one. Returns within a second."""
        self._broken_by = self._broken_by or cause
        if self._idle.is_set():
            return
        asking = threading.Thread(target=self._ask_to_cancel, name="dbplanmon-postgres-cancel", daemon=True)
        asking.start()
        if not self._idle.wait(_CANCEL_SECONDS):
            self._cut()

    def close(self) -> None:
        """End the session; the socket is gone when this returns."""
        self._closed.set()
        with self._guard:
            self._connection.close()
        if threading.current_thread() is not self._watcher:
            self._watcher.join(timeout=1.0)

    def _watch(self) -> None:
        while not self._closed.wait(min(_WATCH_SECONDS, max(self.budget.remaining(), 0.001))):
            if self.budget.remaining() <= 0:
                self.interrupt(CANCELLED if self.budget.cancelled() else _OUT_OF_TIME)
                return

    def _ask_to_cancel(self) -> None:
        with contextlib.suppress(psycopg.Error, OSError):
            self._connection.cancel_safe(timeout=_CANCEL_SECONDS)

    def _cut(self) -> None:
        """Shut the socket under a server that does not react: the waiting thread then reads its end."""
        with self._guard, contextlib.suppress(psycopg.Error, OSError):
            if not self._connection.closed:
                with socket.socket(fileno=os.dup(self._connection.fileno())) as line:
                    line.shutdown(socket.SHUT_RDWR)

    def _interrupted(self) -> QueryTimedOut:
        cause = self._broken_by or (CANCELLED if self.budget.cancelled() else _OUT_OF_TIME)
        return QueryTimedOut(f"reading stopped: {cause}", target=self.target)


def connect(
    arguments: Mapping[str, Any], target: str, budget: Budget, timeout: float, secrets: tuple[str, ...]
) -> Session:
    """Connect within `timeout` seconds and the budget, name resolution and every address included.

    libpq counts its own timeout per address and waits for the resolver without one, so the connecting happens in a
    thread that is left behind when it takes too long; it then closes what it still gets.

    Raises:
        ProviderError: CannotConnect, LoginFailed, FeatureUnavailable for an old server, or QueryTimedOut where the run
            was cancelled meanwhile.
    """
    attempt: Future[Connection] = Future()
    whole_seconds = max(2, math.ceil(timeout))

    def work() -> None:
        try:
            attempt.set_result(psycopg.connect(**arguments, autocommit=True, connect_timeout=whole_seconds))
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            attempt.set_exception(error)

    threading.Thread(target=work, name="dbplanmon-postgres-connect", daemon=True).start()
    try:
        connection = _await(attempt, time.monotonic() + timeout, budget)
    except psycopg.Error as error:
        raise translate(error, target, secrets) from None
    if connection is None:
        attempt.add_done_callback(_close_late)
        raise _not_connected(target, budget, timeout)
    connection.prepare_threshold = None
    session = Session(connection, target, budget, secrets)
    try:
        refuse_old_version(connection.info.server_version, target)
        session.prepare()
    except BaseException:
        session.close()
        raise
    return session


def refuse_old_version(version_number: int, target: str) -> None:
    """Let only servers pass that we know how to read.

    Args:
        version_number: as the server counts, 150004 for 15.4.
        target: for the message.

    Raises:
        FeatureUnavailable: older than PostgreSQL 15.
    """
    if version_number < OLDEST_VERSION:
        raise FeatureUnavailable(
            f"PostgreSQL {version_number // 10000} is too old",
            target=target,
            remedy="PostgreSQL 15 or newer is needed.",
        )


def _await(attempt: "Future[Connection]", until: float, budget: Budget) -> Connection | None:
    while (left := min(until - time.monotonic(), budget.remaining())) > 0:
        with contextlib.suppress(TimeoutError):
            return attempt.result(timeout=min(left, _WATCH_SECONDS))
    return None


def _close_late(attempt: "Future[Connection]") -> None:
    if attempt.exception() is None:
        attempt.result().close()


def _not_connected(target: str, budget: Budget, timeout: float) -> ProviderError:
    if budget.cancelled():
        return QueryTimedOut(f"connecting stopped: {CANCELLED}", target=target)
    error = CannotConnect(
        f"cannot connect: no answer in time (limit {timeout:g} s)",
        target=target,
        remedy="Check host, port, firewall and the load of the server.",
    )
    error.passes_soon = True
    return error


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
