"""The shop of the demo with a second application on it, and the ways in which it can be broken."""

import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from dbplanmon_pipeline.demo import faults as story
from dbplanmon_pipeline.demo.postgres_binaries import PostgresBinaries
from dbplanmon_pipeline.demo.postgres_source import PostgresSource
from dbplanmon_pipeline.demo.shop import DATABASE
from dbplanmon_pipeline.demo.statements import ShopStatement
from dbplanmon_pipeline_tests.bench.real.application import (
    CUSTOM,
    GENERIC,
    HOT_ROW,
    STATEMENTS,
    TABLES,
    SecondApplication,
)

Breaking = Callable[["LivingServer"], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Work:
    """What a statement did.

    Attributes:
        executions: how many.
        elapsed_ms: their time altogether.
    """

    executions: int
    elapsed_ms: float

    def __add__(self, other: "Work") -> "Work":
        return Work(self.executions + other.executions, self.elapsed_ms + other.elapsed_ms)

    def __sub__(self, other: "Work") -> "Work":
        return Work(self.executions - other.executions, self.elapsed_ms - other.elapsed_ms)

    @property
    def mean_ms(self) -> float:
        """Of one execution; NaN where there was none."""
        return self.elapsed_ms / self.executions if self.executions > 0 else math.nan


class LivingServer(PostgresSource):
    """The server of the demo, with the tables of the second application."""

    def __init__(self, binaries: PostgresBinaries, folder: Path, tick_seconds: int) -> None:
        super().__init__(binaries, folder, tick_seconds)
        self.second: SecondApplication | None = None

    @property
    def dsn(self) -> str:
        """Of the shop, as its owner."""
        return self._server.dsn(DATABASE)

    def prepare(self) -> Iterator[str]:
        yield from super().prepare()
        yield "loading 0.5 million jobs"
        story.apply(self.dsn, TABLES)

    def start(self) -> None:
        super().start()
        self.second = SecondApplication(self.dsn).__enter__()

    def names(self) -> dict[int, str]:
        with psycopg.connect(self.dsn, autocommit=True) as owner:
            rows = owner.execute("select queryid, query from pg_stat_statements where query like '%/* %'").fetchall()
        more = {
            number: statement.name for number, text in rows for statement in STATEMENTS if statement_in(statement, text)
        }
        return super().names() | more

    def work(self) -> dict[str, Work]:
        """Executions and time of each statement since the server counts, as it says itself."""
        names = self.names()
        with psycopg.connect(self.dsn, autocommit=True) as owner:
            rows = owner.execute("select queryid, calls, total_exec_time from pg_stat_statements").fetchall()
        found = dict.fromkeys(names.values(), Work(0, 0.0))
        for number, calls, elapsed_ms in rows:
            if number in names:
                found[names[number]] += Work(calls, elapsed_ms)
        return found

    def restart(self, *, evict: bool) -> None:
        """Stop and start the server; with `evict`, its files leave the memory of the machine in between."""
        self._server.stop()
        if evict:
            for path in (self._server.data_folder / "base").rglob("*"):
                if path.is_file():
                    _forget(path)
        self._server.start()

    def close(self) -> None:
        if self.second is not None:
            self.second.__exit__(None, None, None)
        super().close()


def statement_in(statement: ShopStatement, text: str) -> bool:
    """Whether a text of pg_stat_statements is that of a statement."""
    return f"/* {statement.name} */" in text


def owner_does(break_it: Sequence[str], mend_it: Sequence[str], *, reconnect: bool = False) -> Breaking:
    """A fault that is made and mended by statements of the owner."""

    @contextmanager
    def during(server: LivingServer) -> Iterator[None]:
        story.apply(server.dsn, tuple(break_it), reconnect=reconnect)
        try:
            yield
        finally:
            story.apply(server.dsn, tuple(mend_it), reconnect=reconnect)

    return during


def holds_row(table: str, held: float, free: float) -> Breaking:
    """Somebody holds the row that everybody wants, again and again [seconds].

    A row and not the table: what waits for a table waits before its execution begins, and `pg_stat_statements` does
    not count that.
    """

    @contextmanager
    def during(server: LivingServer) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=_hold, args=(server.dsn, table, (held, free), stop), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(timeout=10)

    return during


def other_plan_cache(statement: ShopStatement) -> Breaking:
    """The second application runs one of its statements with a generic plan."""

    @contextmanager
    def during(server: LivingServer) -> Iterator[None]:
        assert server.second is not None
        server.second.modes[statement.name] = GENERIC
        try:
            yield
        finally:
            server.second.modes[statement.name] = CUSTOM

    return during


def cold_restart(*, evict: bool) -> Breaking:
    """The server is restarted once; there is nothing to mend."""

    @contextmanager
    def during(server: LivingServer) -> Iterator[None]:
        server.restart(evict=evict)
        yield

    return during


def _hold(dsn: str, table: str, seconds: tuple[float, float], stop: threading.Event) -> None:
    statement = sql.SQL("select 1 from {} where id = %s for update").format(sql.Identifier(table))
    with psycopg.connect(dsn, application_name="batch") as session:
        while not stop.is_set():
            session.execute(statement, (HOT_ROW,))
            stop.wait(seconds[0])
            session.rollback()
            stop.wait(seconds[1])


def _forget(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(file)
