"""One ODBC connection and the one thread that touches it, so that a call which hangs never holds its caller.

A driver waits in C for the network and cannot be interrupted from Python. The thread is then left behind: it closes its
connection as soon as the driver comes back, and only then stops counting as a connection.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from dbplanmon_pipeline.providers.sqlserver.conversion import Row, row_conversion

FETCH_ROWS = 1_000

Connection = Any
"""A `pyodbc.Connection`; pyodbc is imported when the first one is made."""

_Job = tuple[Callable[[Connection], Any], "Future[Any]"]


class OdbcThread:
    """Opens a connection in a thread of its own and runs jobs on it, one after the other.

    Args:
        open_connection: makes the connection; its error is raised by `opened`.
        when_closed: called once, after the connection is gone or could not be made.

    Attributes:
        opened: done when there is a connection, or the error instead.
        closed: set when the thread has let go of everything.
    """

    def __init__(self, open_connection: Callable[[], Connection], when_closed: Callable[[], None]) -> None:
        self.opened: Future[None] = Future()
        self.closed = threading.Event()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._open_connection = open_connection
        self._when_closed = when_closed
        threading.Thread(target=self._live, name="dbplanmon-sqlserver", daemon=True).start()

    def submit(self, work: Callable[[Connection], Any]) -> "Future[Any]":
        """Have `work` done with the connection; not after `end`."""
        future: Future[Any] = Future()
        self._jobs.put((work, future))
        return future

    def end(self) -> None:
        """Close the connection when the jobs so far are done; returns at once."""
        self._jobs.put(None)

    def _live(self) -> None:
        try:
            connection = self._opening()
            if connection is not None:
                self._serve(connection)
        finally:
            self._when_closed()
            self.closed.set()

    def _opening(self) -> Connection | None:
        try:
            connection = self._open_connection()
        except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
            self.opened.set_exception(error)
            return None
        self.opened.set_result(None)
        return connection

    def _serve(self, connection: Connection) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                work, future = job
                try:
                    future.set_result(work(connection))
                except BaseException as error:  # noqa: BLE001 - handed to the waiting thread
                    future.set_exception(error)
                del work, future, job
        finally:
            # A connection that is cut already refuses to be closed; it is gone all the same.
            with contextlib.suppress(Exception):
                connection.close()


class Running:
    """One statement on its way: runs in the thread of the connection and may be stopped from any other.

    Args:
        sql, parameters: as `Cursor.execute` takes them.
        limit: most rows to fetch.

    Attributes:
        stopped: somebody asked to end it.
        columns: names of the columns, once it has run; an unnamed one is empty.
    """

    def __init__(self, sql: str, parameters: Sequence[object], limit: int | None) -> None:
        self._sql = sql
        self._parameters = parameters
        self._limit = limit
        self._guard = threading.Lock()
        self._cursor: Any = None
        self.stopped = False
        self.columns: tuple[str, ...] = ()

    def __call__(self, connection: Connection) -> list[Row]:
        """Execute and fetch; stopped in between, it returns what it has, which nobody shall use."""
        with self._guard:
            if self.stopped:
                return []
            self._cursor = connection.cursor()
        try:
            self._cursor.execute(self._sql, *self._parameters)
            return self._fetched()
        finally:
            # The guard keeps the cursor alive while another thread is cancelling it.
            with self._guard:
                self._cursor.close()
                self._cursor = None

    def stop(self) -> None:
        """Ask the server to end the statement; the asking happens in the background, since it may hang as well."""
        if not self.stopped:
            self.stopped = True
            threading.Thread(target=self._cancel, name="dbplanmon-sqlserver-cancel", daemon=True).start()

    def _cancel(self) -> None:
        with self._guard, contextlib.suppress(Exception):
            if self._cursor is not None:
                self._cursor.cancel()

    def _fetched(self) -> list[Row]:
        rows: list[Row] = []
        if self._cursor.description is not None:
            self.columns = tuple(column[0] or "" for column in self._cursor.description)
            convert = row_conversion([column[1] for column in self._cursor.description])
            while not self.stopped and (wanted := self._next_batch(len(rows))):
                batch = self._cursor.fetchmany(wanted)
                rows.extend(map(convert, batch))
                if len(batch) < wanted:
                    break
        self._meet_late_errors(len(rows))
        return rows

    def _meet_late_errors(self, fetched: int) -> None:
        """An error behind the last row shows only when one asks for what comes next; half a result is none."""
        if not self.stopped and self._limit != fetched:
            self._cursor.nextset()

    def _next_batch(self, fetched: int) -> int:
        return FETCH_ROWS if self._limit is None else min(FETCH_ROWS, self._limit - fetched)
