"""What reading one PostgreSQL database costs its server, plans included.

The server is a private one with the shop of the demo. Between two readings every kind of statement of the shop runs a
few times; then one whole collection reads counters and plans. CPU is that of the server processes that served us, from
the start of the connection on: the kernel adds the time of a finished process to its parent, here the postmaster, and
no other server process ends meanwhile.
"""

import os
import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import psycopg

from dbplanmon_pipeline.composition import Monitor, Session
from dbplanmon_pipeline.demo.postgres_binaries import find_postgres
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.demo.shop import DATABASE, MONITOR, create_shop, load_shop
from dbplanmon_pipeline.demo.statements import STATEMENTS
from dbplanmon_pipeline.demo.workload import _typed
from dbplanmon_pipeline.settings import Settings, load_settings
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.bench.figures import Row, spend

NAME = "Cost on a PostgreSQL server"
TICKS = 20
TICK = timedelta(minutes=5)
EXECUTIONS = 2
REAPED_SECONDS = 5.0
CHILDREN_USER, CHILDREN_SYSTEM = 15, 16
"""Places in /proc/<pid>/stat, counted from 0."""

SETTINGS = """\
environment: test
state_dir: {folder}
instances:
  - name: shop
    engine: postgres
    server: 127.0.0.1
    port: {port}
    login: {{user: {user}}}
    sslmode: disable
    databases: [{database}]
"""


def run() -> list[Row]:
    binaries = find_postgres()
    if binaries is None:
        return [Row("no PostgreSQL programs on this machine", 0, "")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server_settings = {"autovacuum": "off", "max_parallel_workers_per_gather": "0"}
        with PostgresServer(binaries, folder / "server", settings=server_settings) as server:
            create_shop(server.dsn())
            for _step in load_shop(server.dsn(DATABASE)):
                pass
            return _measure(server, _settings(folder, server.port))


def _measure(server: PostgresServer, settings: Settings) -> list[Row]:
    clock = FixedClock(datetime.now(UTC))
    chance = random.Random(1)
    with (
        psycopg.connect(server.dsn(DATABASE), autocommit=True) as shop,
        Monitor(settings, clock).session() as session,
    ):
        _use_the_shop(shop, chance)
        session.collect()
        served, walls = [_served_cpu_after(server, 0.0)], []
        for _ in range(TICKS + 1):
            _use_the_shop(shop, chance)
            clock.advance(TICK)
            walls.append(spend(lambda: _collect(session)).wall)
            served.append(_served_cpu_after(server, served[-1]))
        plans = _plans_looked_at(session, clock())
    return _rows(served, walls, plans)


def _rows(served: Sequence[float], walls: Sequence[float], plans: int) -> list[Row]:
    """From the CPU used so far after each reading [seconds]; the first of them also read texts and new plans."""
    costs_ms = [1000 * (after - before) for before, after in pairwise(served)]
    mean_ms = sum(costs_ms[1:]) / TICKS
    share = 100 * mean_ms / 1000 / TICK.total_seconds()
    return [
        Row(f"one reading that plans {plans} statements anew, mean of {TICKS}, server CPU", mean_ms, "ms", "< 300 ms"),
        Row("the dearest of them, server CPU", max(costs_ms[1:]), "ms"),
        Row("the first reading of texts and plans, server CPU", costs_ms[0], "ms"),
        Row("share of one core at a reading every 5 minutes", share, "%", "<= 1 %"),
        Row("one collection, mean, wall", 1000 * sum(walls[1:]) / TICKS, "ms"),
    ]


def _use_the_shop(shop: psycopg.Connection, chance: random.Random) -> None:
    for statement in STATEMENTS:
        for _ in range(EXECUTIONS):
            shop.execute(statement.tagged.encode(), _typed(statement.parameters(chance))).close()


def _collect(session: Session) -> None:
    report = session.collect()
    for outcome in report.outcomes:
        if outcome.status.value != "ok" or outcome.message:
            raise RuntimeError(f"{outcome.ref}: {outcome.status.value} {outcome.message}")


def _plans_looked_at(session: Session, at: datetime) -> int:
    """Statements with a plan that the reading of that moment looked at."""
    (target,) = session.targets().targets
    known = session.store.capture_states([target.ref])[target.ref].statements
    return sum(state.plan_hash != 0 and state.plan_checked_at == at for state in known.values())


def _served_cpu(server: PostgresServer) -> float:
    """CPU of all finished children of the postmaster [seconds]."""
    pid = int((server.data_folder / "postmaster.pid").read_text("utf-8").split()[0])
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    ticks = int(fields[CHILDREN_USER - 2]) + int(fields[CHILDREN_SYSTEM - 2])
    return ticks / os.sysconf("SC_CLK_TCK")


def _served_cpu_after(server: PostgresServer, before: float) -> float:
    """The same once the process that served the last reading has ended; it takes a moment."""
    until = time.monotonic() + REAPED_SECONDS
    while time.monotonic() < until:
        time.sleep(0.05)
        if (now := _served_cpu(server)) > before:
            return now
    return before


def _settings(folder: Path, port: int) -> Settings:
    file = folder / "dbplanmon.yaml"
    text = SETTINGS.format(folder=folder / "state", port=port, user=MONITOR, database=DATABASE)
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ={})
