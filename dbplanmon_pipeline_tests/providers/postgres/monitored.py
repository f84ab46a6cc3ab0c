"""What the tests of the PostgreSQL provider share: providers, budgets, known work."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.ports import Budget, StatementKey
from dbplanmon_pipeline.core.readings.counters import COUNTERS, CounterReading
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.providers.postgres import PostgresProvider
from dbplanmon_pipeline_tests.support.postgres import connect

PASSWORD = "a-test-only-secret"


def budget(seconds: float = 10.0, cancelled=lambda: False) -> Budget:
    return Budget(time.monotonic() + seconds, time.monotonic, cancelled)


def provider_of(server: PostgresServer, user: str = "mon", **more) -> PostgresProvider:
    arguments = {"instance": "pg", "host": "127.0.0.1", "port": server.port, "user": user}
    return PostgresProvider(**{**arguments, "password": lambda: PASSWORD, "sslmode": "disable", **more})


def run(server: PostgresServer, database: str, *statements: str, times: int = 1) -> None:
    """Execute statements as the superuser, so that they are counted under another role than ours."""
    with connect(server, database) as session:
        for _ in range(times):
            for statement in statements:
                session.execute(statement.encode())


def query_hash_of(server: PostgresServer, database: str, pattern: str) -> int:
    """The queryid of the one counted statement whose text is like `pattern`."""
    with connect(server, database) as session:
        rows = session.execute(
            "SELECT DISTINCT queryid FROM public.pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
            " WHERE datname = current_database() AND query LIKE %s AND query NOT LIKE '%%queryid%%'",
            (pattern,),
        ).fetchall()
    (row,) = rows
    return row[0]


def read_counters(server: PostgresServer, database: str, user: str = "mon") -> CounterReading:
    with provider_of(server, user).open(database, budget()) as reader:
        return reader.read_counters()


def value_of(reading: CounterReading, query_hash: int, counter: str = "execution_count") -> float:
    rows = [index for index, found in enumerate(reading.query_hash) if found == query_hash]
    (row,) = rows
    return float(reading.values[row, COUNTERS.index(counter)])


def plan_of(
    server: PostgresServer, database: str, statement: str, pattern: str, user: str = "mon_reader"
) -> CapturedPlan:
    """Run a statement once, then ask for its plan."""
    run(server, database, statement)
    key = StatementKey(query_hash_of(server, database, pattern), 0, "")
    with provider_of(server, user).open(database, budget()) as reader:
        (plan,) = reader.read_plans([key])
    return plan


@contextmanager
def silent_listener() -> Iterator[int]:
    """A port that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@contextmanager
def after(seconds: float, act) -> Iterator[None]:
    """Call `act` from another thread once the time has passed."""
    timer = threading.Timer(seconds, act)
    timer.start()
    try:
        yield
    finally:
        timer.join()
