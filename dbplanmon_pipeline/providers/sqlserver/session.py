"""One bounded, read-only connection: no call on it outlives its budget, and any thread can break it."""

import math
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait

from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.errors import CannotConnect, ProviderError, QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings, connection_string
from dbplanmon_pipeline.providers.sqlserver.conversion import DATETIMEOFFSET, Row, bound, from_datetimeoffset
from dbplanmon_pipeline.providers.sqlserver.drivers import find_driver, load_pyodbc
from dbplanmon_pipeline.providers.sqlserver.failures import is_lost, translate
from dbplanmon_pipeline.providers.sqlserver.gate import ConnectionGate
from dbplanmon_pipeline.providers.sqlserver.odbc_thread import Connection, OdbcThread, Running
from dbplanmon_pipeline.providers.sqlserver.sqltext import MARKER

LOCK_TIMEOUT_SECONDS = 1.0
CANCELLED = "the run was cancelled"
OUT_OF_TIME = "the time budget is spent"

PREPARE = f"""SET {MARKER} NOCOUNT ON; SET LOCK_TIMEOUT {round(LOCK_TIMEOUT_SECONDS * 1000)};
SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED; SET DEADLOCK_PRIORITY LOW; SET ARITHABORT ON;
SET TEXTSIZE {2**31 - 1};"""
"""Once per connection. We read catalogue and Query Store views only, never tables of the users, so reading without
locks can show a row of a catalogue in the making, but no wrong data, and nobody ever waits for us."""

_CHECK = "Check the server and the network."
_LOOK_SECONDS = 0.1
_ANSWER_SECONDS = 0.5
_CLOSE_SECONDS = 1.0


class Session:
    """An open connection in autocommit, used by one thread at a time; `interrupt` and `close` may come from any.

    A statement that runs beyond its limit, the budget or an interruption is cancelled at the server. When that is not
    answered within half a second, the session is given up and the connection left to close itself.

    Args:
        line: the connection, opened.
        target: `instance/database`, for messages.
        budget: time there is.
        secrets: never to appear in a message.

    Attributes:
        cost_ms: time between sending statements and holding their rows, an upper bound of what the server spent.
    """

    def __init__(self, line: OdbcThread, target: str, budget: Budget, secrets: tuple[str, ...] = ()) -> None:
        self.target = target
        self.budget = budget
        self.cost_ms = 0.0
        self._line = line
        self._secrets = secrets
        self._running: Running | None = None
        self._idle = threading.Event()
        self._idle.set()
        self._statement_seconds = math.inf
        self._broken_by = ""
        self._lost = False
        self._closed = False

    def rows(self, sql: str, parameters: Sequence[object] = (), *, limit: int | None = None) -> list[Row]:
        """Run one of our own statements.

        Args:
            sql: one statement with a `?` for each parameter.
            parameters: aware datetimes become UTC; None, int, float, str, bytes and Decimal go as they are.
            limit: most rows to return; what is beyond is not fetched.

        Returns:
            Plain tuples; every `datetime` is aware and UTC, binary values are bytes, a uniqueidentifier is text.

        Raises:
            ProviderError: translated, with the server's number as `native`; QueryTimedOut where the budget, the limit
                of `limit_statements` or somebody else stopped it.
        """
        return self._run(Running(sql, bound(parameters), limit))

    def table(self, sql: str, *, limit: int) -> tuple[tuple[str, ...], list[Row]]:
        """As `rows`, without parameters; with the names of the columns."""
        running = Running(sql, (), limit)
        rows = self._run(running)
        return running.columns, rows

    def _run(self, running: Running) -> list[Row]:
        if not self.alive or self.budget.remaining() <= 0:
            raise self._refused()
        began = time.perf_counter()
        self._idle.clear()
        self._running = running
        try:
            return self._outcome(running, self._line.submit(running))
        finally:
            self.cost_ms += (time.perf_counter() - began) * 1000
            self._running = None
            self._idle.set()

    def limit_statements(self, seconds: float) -> None:
        """Let each of the following statements take at most this long, and never longer than the budget."""
        self._statement_seconds = seconds

    @property
    def alive(self) -> bool:
        """True while more statements can be sent."""
        return not (self._broken_by or self._lost or self._closed)

    @property
    def cancelled(self) -> bool:
        """True where somebody asked to stop, rather than the time having run out."""
        return self._broken_by == CANCELLED or self.budget.cancelled()

    def interrupt(self, cause: str) -> None:
        """Stop the running statement, from any thread; the session takes no further one. Returns within a second."""
        self._broken_by = self._broken_by or cause
        running = self._running
        if running is not None:
            running.stop()
            self._idle.wait(_ANSWER_SECONDS + 2 * _LOOK_SECONDS)

    def close(self) -> None:
        """End the session; the connection is gone when this returns, unless the driver hangs."""
        self._closed = True
        self._line.end()
        self._line.closed.wait(0.0 if self._lost else _CLOSE_SECONDS)

    def _outcome(self, running: Running, answer: "Future[list[Row]]") -> list[Row]:
        try:
            rows = self._wait(answer, time.monotonic() + self._statement_seconds)
        except (load_pyodbc().Error, ValueError, OverflowError) as error:
            if running.stopped or self._broken_by:
                raise self._timed_out() from None
            raise self._translated(error) from None
        if rows is None:
            self._give_up(running, answer)
        # Microsoft's driver reports a cancelled statement as one that succeeded without rows.
        if rows is None or running.stopped:
            raise self._timed_out()
        return rows

    def _wait(self, answer: "Future[list[Row]]", until: float) -> list[Row] | None:
        """The rows, or None when it is time to stop."""
        while not (self._broken_by or self._closed):
            left = min(until - time.monotonic(), self.budget.remaining())
            if left <= 0:
                break
            if wait([answer], timeout=min(left, _LOOK_SECONDS)).done:
                return answer.result()
        return None

    def _give_up(self, running: Running, answer: "Future[list[Row]]") -> None:
        """Cancel at the server; the connection is left behind when that is not answered soon."""
        if self.budget.remaining() <= 0:
            self._broken_by = self._broken_by or self._end_of_budget()
        running.stop()
        if not wait([answer], timeout=_ANSWER_SECONDS).done:
            self._lost = True
            self._line.end()

    def _translated(self, error: Exception) -> ProviderError:
        translated = translate(error, self.target, self._secrets)
        self._lost = self._lost or is_lost(translated)
        return translated

    def _refused(self) -> ProviderError:
        """Why no statement can be sent any more."""
        if self._broken_by or self.budget.remaining() <= 0:
            return self._timed_out()
        return CannotConnect("the connection was lost", target=self.target, remedy=_CHECK)

    def _timed_out(self) -> ProviderError:
        cause = self._broken_by or (self._end_of_budget() if self.budget.remaining() <= 0 else "")
        message = f"reading stopped: {cause}" if cause else f"a statement ran longer than {self._statement_seconds:g} s"
        return QueryTimedOut(message, target=self.target)

    def _end_of_budget(self) -> str:
        return CANCELLED if self.budget.cancelled() else OUT_OF_TIME


def connect(
    settings: ConnectionSettings, database: str, target: str, budget: Budget, gate: ConnectionGate | None = None
) -> Session:
    """Connect within `settings.connect_timeout` and the budget, name resolution and the wait at the gate included.

    Args:
        settings: how to reach the instance.
        database: which database of it.
        target: `instance/database`, for messages.
        budget: time there is for everything on this session.
        gate: counts the connections of the provider.

    Raises:
        ProviderError: CannotConnect, LoginFailed, FeatureUnavailable (no driver, or one that cannot do what the
            settings ask), or QueryTimedOut where the run was cancelled or no connection became free.
        SettingsError: values that no connection string can carry.
    """
    secret = settings.password()
    text = connection_string(settings, find_driver(settings.driver, target), database, secret, target)
    if budget.remaining() <= 0:
        raise QueryTimedOut(f"connecting stopped: {CANCELLED if budget.cancelled() else OUT_OF_TIME}", target=target)
    if gate is not None:
        gate.enter(budget, target)
    timeout = min(settings.connect_timeout, budget.remaining())
    line = OdbcThread(lambda: _opened(text, timeout, budget), gate.leave if gate is not None else _nobody_waits)
    secrets = (secret,) if secret else ()
    try:
        _await_line(line, settings.connect_timeout, target, budget, secrets)
        session = Session(line, target, budget, secrets)
        session.rows(PREPARE)
    except BaseException:
        line.end()
        raise
    return session


def _nobody_waits() -> None:
    """Without a gate nobody counts the connections."""


def _opened(text: str, timeout: float, budget: Budget) -> Connection:
    """Runs in the thread of the connection. Both timeouts are whole seconds and only a second net behind ours."""
    pyodbc = load_pyodbc()
    connection = pyodbc.connect(text, autocommit=True, timeout=max(1, math.ceil(timeout)))
    connection.timeout = max(1, math.ceil(budget.remaining()) + 1)
    connection.add_output_converter(DATETIMEOFFSET, from_datetimeoffset)
    # Text of every code page as UTF-16: the locale of this process must not garble it.
    connection.setdecoding(pyodbc.SQL_CHAR, encoding="utf-16le", ctype=pyodbc.SQL_WCHAR)
    return connection


def _await_line(line: OdbcThread, timeout: float, target: str, budget: Budget, secrets: tuple[str, ...]) -> None:
    """Wait until the connection stands; a driver that takes longer is left behind."""
    timeout = min(timeout, budget.remaining())
    until = time.monotonic() + timeout
    while (left := min(until - time.monotonic(), budget.remaining())) > 0:
        if not wait([line.opened], timeout=min(left, _LOOK_SECONDS)).done:
            continue
        try:
            return line.opened.result()
        except load_pyodbc().Error as error:
            raise translate(error, target, secrets, connecting=True) from None
    if budget.cancelled():
        raise QueryTimedOut(f"connecting stopped: {CANCELLED}", target=target)
    raise _late(target, timeout)


def _late(target: str, timeout: float) -> CannotConnect:
    error = CannotConnect(
        f"cannot connect: no answer in time (limit {timeout:.3g} s)",
        target=target,
        remedy="Check host, port, firewall and the load of the server.",
    )
    error.passes_soon = True
    return error
