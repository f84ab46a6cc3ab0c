"""What reading a SQL Server costs, over a real wire with each ODBC driver.

The server is the simulated one that tests use. It runs in this process and answers from DuckDB, so wall times hold its
work, which is most of them; the numbers of statements, bytes and connections are those of any server.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.readings.deltas import retained
from dbplanmon_pipeline.core.readings.query_store import ReadingSpan, RuntimeStats, query_store_reading
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.providers.sqlserver import SqlServerProvider
from dbplanmon_pipeline.providers.sqlserver.columns import columns_of, hash_column, long_column, number_table
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings, Encrypt
from dbplanmon_pipeline.services.collect import CollectionReport
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.bench.counting_server import CountingServer
from dbplanmon_pipeline_tests.bench.figures import Row, spend
from dbplanmon_pipeline_tests.services.fleets import Fleet
from dbplanmon_pipeline_tests.support.simulated_sqlserver import SimulatedSqlServer
from dbplanmon_pipeline_tests.support.tds.drivers import DRIVERS, driver_path, odbc

NAME = "Reading SQL Server"
START = datetime(2026, 3, 10, 12, tzinfo=UTC)
TICK = timedelta(minutes=5)
STATEMENTS = (50, 500)
READINGS = 5
LOGINS = 50
FLEET, CONNECTIONS = 300, 16
BUDGET_SECONDS = 120.0
REMEMBERED = timedelta(hours=2)
"""The server holds no figures that are older; a reading does not ask for them."""

PLAN_COUNTS = 200_000


def run() -> list[Row]:
    rows: list[Row] = []
    for driver in DRIVERS:
        try:
            odbc()
            path = driver_path(driver)
        except pytest.skip.Exception as missing:
            rows.append(Row(f"{driver}: {missing}", 0, ""))
            continue
        rows += _logins(driver, path)
        for statements in STATEMENTS:
            rows += _one_database(driver, path, statements)
        rows += _fleet(driver, path)
    return [*rows, _conversion()]


@dataclass
class Served:
    """A pretended server and the provider that watches it."""

    server: CountingServer
    pretended: SimulatedSqlServer
    provider: SqlServerProvider
    clock: FixedClock

    def read(self, previous: CounterReading | None) -> tuple[CounterReading, float, float]:
        """A reading, its time [s], and how long of that we waited for the server [s]."""
        began = time.perf_counter()
        with self.provider.open("sim0001", Budget(time.monotonic() + BUDGET_SECONDS, time.monotonic)) as reader:
            reading = reader.read_counters(previous)
            waited = (reader.cost_ms or 0.0) / 1000
        return reading, time.perf_counter() - began, waited


@contextmanager
def _served(path: Path, databases: int, statements: int, connections: int = CONNECTIONS) -> Iterator[Served]:
    clock = FixedClock(START)
    fleet = SimulatedProvider("fleet", databases, clock=clock, statements=statements, seed=7)
    pretended = SimulatedSqlServer(fleet, clock, remembers=REMEMBERED)
    with CountingServer(pretended.handler, auth=pretended.auth) as server:
        settings = ConnectionSettings(
            "127.0.0.1",
            server.port,
            user="monitor",
            password=lambda: "not-a-secret",
            encrypt=Encrypt.OPTIONAL,
            driver=str(path),
        )
        provider = SqlServerProvider(
            instance="fleet",
            connection=settings,
            databases=fleet.databases(),
            max_connections=connections,
            clock=clock,
        )
        try:
            yield Served(server, pretended, provider, clock)
        finally:
            provider.close()


def _logins(driver: str, path: Path) -> list[Row]:
    with _served(path, 1, 1) as served:

        def connect() -> None:
            with served.provider.open("sim0001", Budget(time.monotonic() + 10, time.monotonic)):
                pass

        connect()
        spent = spend(connect, LOGINS)
    return [Row(f"{driver}: connect and close, mean of {LOGINS}, wall", 1000 * spent.wall, "ms")]


def _one_database(driver: str, path: Path, statements: int) -> list[Row]:
    with _served(path, 1, statements) as served:
        reading, _, _ = served.read(None)
        walls, ours = [], []
        for _ in range(READINGS):
            served.clock.advance(TICK)
            reading, wall, waited = served.read(retained(reading))
            walls.append(wall)
            ours.append(wall - waited)
    what = f"{driver}: a reading of {statements} statements, {len(reading):,} counters"
    return [
        Row(f"{what}, mean of {READINGS}, wall", 1000 * float(np.mean(walls)), "ms"),
        Row(f"{what}: of it not waiting for the server", 1000 * float(np.mean(ours)), "ms"),
    ]


def _fleet(driver: str, path: Path) -> list[Row]:
    """A whole fleet through the service that the job runs, twice: with every plan, and without a new one."""
    with TemporaryDirectory() as folder, _served(path, FLEET, 20) as served:
        store = open_store(f"sqlite:///{folder}/store.db", clock=served.clock)
        store.upgrade()
        fleet = Fleet(store, served.clock, served.provider, budget_seconds=BUDGET_SECONDS, max_workers=24)  # type: ignore[arg-type]
        first = _watched(served, fleet)
        served.clock.advance(TICK)
        second = _watched(served, fleet)
        store.close()
    what = f"{driver}: {FLEET} databases x 20 statements"
    return [
        Row(f"{what}, first tick, wall", first["wall"], "s"),
        Row(f"{what}, second tick, wall", second["wall"], "s"),
        Row(f"{what}: most connections at once, 24 workers", served.server.peak_held, "", f"<= {CONNECTIONS}"),
        Row(f"{what}, first tick: plans, per database", first["plan_bytes"] / FLEET / 1000, "kB"),
        Row(f"{what}, second tick: plans", second["plan_bytes"], "B", "0"),
        Row(f"{what}, second tick: statements per database", second["statements"] / FLEET, ""),
        Row(f"{what}, second tick: on the wire per database", second["moved_bytes"] / FLEET / 1000, "kB"),
    ]


def _watched(served: Served, fleet: Fleet) -> dict[str, float]:
    """One collection: seconds, and what it asked of the server."""
    duck, server = served.pretended.duck, served.server
    plan_bytes, moved, asked = duck.plan_bytes_sent, server.moved_bytes, len(server.log)
    reports: list[CollectionReport] = []
    wall = spend(lambda: reports.append(fleet.collect())).wall
    bad = [outcome for outcome in reports[0].outcomes if outcome.status is CollectionStatus.FAILED or outcome.message]
    if bad:
        raise RuntimeError(f"{bad[0].ref}: {bad[0].status.value} {bad[0].message}")
    return {
        "wall": wall,
        "plan_bytes": duck.plan_bytes_sent - plan_bytes,
        "moved_bytes": server.moved_bytes - moved,
        "statements": len(server.log) - asked,
    }


def _conversion() -> Row:
    """Rows as the driver gives them, made into a reading."""
    interval_us = 3_600_000_000
    begin_us = int(START.timestamp()) * 1_000_000
    figures = tuple(float(number) for number in range(1, 16))
    rows: list[tuple[Any, ...]] = [(plan, 1, 0, plan % 24, 100, *figures) for plan in range(PLAN_COUNTS)]
    hashes = [(plan % 50_000).to_bytes(8, "big") for plan in range(PLAN_COUNTS)]

    def convert() -> CounterReading:
        columns = columns_of(rows, 20)
        plan, replica, kind, interval = (long_column(column) for column in columns[:4])
        table = number_table(columns[4:])
        start = begin_us + interval * interval_us
        parts = np.split(table, np.cumsum([1, 7, 2, 2]), axis=1)
        query_hash = hash_column(hashes)
        stats = RuntimeStats(
            plan, replica, kind, query_hash, query_hash, start, start + interval_us, parts[0][:, 0], *parts[1:]
        )
        return query_store_reading(stats, None, read_at=START, span=ReadingSpan(begin_us, begin_us))

    return Row(f"{PLAN_COUNTS:,} rows of Query Store made into a reading, CPU", spend(convert).cpu, "s")
