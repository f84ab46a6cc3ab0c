"""Removing ten million expired rows while a collector of another process writes every second.

What counts is how long the collector waits: a record that takes longer than beside an idle store has waited.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.connection import Connection

import numpy as np

from dbplanmon_pipeline.composition.retention import retention_policy
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.services.apply_retention import RetentionReport, apply_retention
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.bench.bench_store import START, TICK, fleet, tick
from dbplanmon_pipeline_tests.bench.figures import Row

NAME = "Retention (SQLite)"
DATABASES = 20
LATER = START + timedelta(days=500)
CALM_SECONDS = 10.0
CLEAN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Expired:
    """Rows that have expired: hourly totals, log of collections, and intervals of one hot day."""

    totals: int
    logs: int
    intervals: int

    @property
    def rows(self) -> int:
        """All of them."""
        return self.totals + self.logs + self.intervals


@dataclass(frozen=True, slots=True)
class Collected:
    """How a collector fared: seconds each record took, and how many failed."""

    seconds: tuple[float, ...]
    errors: int


TEN_MILLION = Expired(totals=6_000_000, logs=1_120_000, intervals=2_880_000)


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        calm, beside, report, wall = purge_while_collecting(f"sqlite:///{name}/store.db", TEN_MILLION, CALM_SECONDS)
    removed = sum(one.removed for one in report.subjects)
    return [
        Row(f"remove {TEN_MILLION.rows:,} expired rows, wall", wall, "s"),
        Row("rows and days removed", removed, ""),
        Row(
            f"longest record of {len(beside.seconds)} while rows go, a record every second",
            max(beside.seconds),
            "s",
            "<= 1 s",
        ),
        Row("median record while rows go", float(np.median(beside.seconds)), "s"),
        Row(f"longest record of {len(calm.seconds)} beside an idle store", max(calm.seconds), "s"),
        Row("errors of the collector", beside.errors, "", "0"),
    ]


def purge_while_collecting(
    url: str, expired: Expired, calm_seconds: float, every: float = 1.0
) -> tuple[Collected, Collected, RetentionReport, float]:
    """Fill a store, let a collector write into it, purge; returns its two reports, ours, and seconds."""
    store = open_store(url, clock=lambda: LATER)
    store.upgrade()
    fill(store, expired)
    store.maintain()
    inlet, outlet = CLEAN.Pipe()
    collector = CLEAN.Process(target=collect_until_told, args=(url, every, outlet))
    collector.start()
    assert inlet.recv() == "ready"
    time.sleep(calm_seconds)
    inlet.send("tell")
    calm = inlet.recv()
    began = time.monotonic()
    policy = replace(retention_policy(Settings()), grace=timedelta())
    report = apply_retention(store, policy, now=LATER, at_once=True)
    wall = time.monotonic() - began
    inlet.send("end")
    beside = inlet.recv()
    collector.join(60)
    store.close()
    return calm, beside, report, wall


def fill(store: SqlStore, expired: Expired) -> None:
    """Rows of long ago, spread as a fleet leaves them: many statements in every hour."""
    refs = fleet(DATABASES)
    store.record(tick(refs, 0, np.random.default_rng(0)))
    store.record(tick(refs, 1, np.random.default_rng(0)))
    hour = 3_600_000_000
    first = int(START.timestamp()) * 1_000_000
    spread = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n LIMIT {rows}) "
    hashes = "(i * 7919) % 10000 * 917674310199 + 12345"
    with store._database.write() as connection:
        connection.exec_driver_sql(
            "INSERT INTO hourly_rollup (database_id, hour_start_us, query_hash, plan_hash, intervals, execution_count, "
            "elapsed_time_us, worker_time_us, logical_reads_pages) "
            + spread.format(rows=expired.totals)
            + f"SELECT i % 10 + 1, {first} + i / 10000 * {hour}, {hashes}, i % 7, 12, i, i * 3, i * 2, i FROM n"
        )
        connection.exec_driver_sql(
            "INSERT INTO collection_log (database_id, started_at, status, error_class, message, rows, statements_read, "
            "new_statements, new_plans, plan_changes, resets, duration_ms, recorded_at) "
            + spread.format(rows=expired.logs)
            + "SELECT i % 2000 + 1, strftime('%Y-%m-%d %H:%M:%S.000000', '2026-03-11', '+' || ((i / 2000) * 5) || "
            "' minutes'), 'ok', '', '', 50, 60, 0, 0, 0, 0, 12.5, '2026-03-11 00:00:00.000000' FROM n"
        )
        day = f"interval_metric_{START:%Y%m%d}"
        connection.exec_driver_sql(
            f"INSERT INTO {day} (database_id, query_hash, plan_hash, interval_start_us, interval_end_us, "
            "execution_count, elapsed_time_us, worker_time_us, logical_reads_pages, counter_reset) "
            + spread.format(rows=expired.intervals)
            + f"SELECT i % 200 + 100, {hashes}, i % 7, {first} + i / 10000 * 300000000, "
            f"{first} + i / 10000 * 300000000 + 299000000, i, i * 3, i * 2, i, 0 FROM n"
        )


def collect_until_told(url: str, every: float, pipe: Connection) -> None:
    """Record a tick of the fleet every second; tell how that went whenever asked."""
    offset = int((LATER - START) / TICK)
    store, refs, random = open_store(url, clock=lambda: LATER), fleet(DATABASES), np.random.default_rng(1)
    states = store.capture_states(refs)
    number, told = offset, ""
    batch = [
        replace(item, previous_read_at=states[item.outcome.ref].previous.read_at)  # type: ignore[union-attr]
        for item in tick(refs, number, random)
    ]
    pipe.send("ready")
    while told != "end":
        seconds, errors = [], 0
        while not pipe.poll():
            began = time.monotonic()
            try:
                refused: Sequence[object] = tuple(store.record(batch))
            except StoreError:
                refused, errors = (), errors + 1
            took = time.monotonic() - began
            errors += bool(refused)
            seconds.append(took)
            number += 1
            batch = tick(refs, number, random)
            time.sleep(max(0.0, every - took))
        told = pipe.recv()
        pipe.send(Collected(tuple(seconds), errors))
    store.close()
