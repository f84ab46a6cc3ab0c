"""Measures the store; run with `python -m dbplanmon_pipeline_tests.bench.bench_store [--url URL] [--ticks N]`.

CPU seconds are those of this process; a PostgreSQL server spends its own. The yardstick is `pandas.to_sql` of the same
interval rows into a plain SQLite table.
"""

import argparse
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from dbplanmon_pipeline.core.counters import COUNTERS, EXTREMA, CounterReading, IntervalRows
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine, hash_text
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.store import SqlStore, open_store

START = datetime(2026, 3, 10, tzinfo=UTC)
TICK = timedelta(minutes=5)
QUERIES = 50


class Report:
    """Collects one line per measurement."""

    def __init__(self) -> None:
        self.table = Table("what", "rows", "CPU s", "wall s", "rows per CPU s", "note")

    def measure(self, what: str, rows: int, act: Callable[[], Any], note: str = "", times: int = 1) -> float:
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(times):
            act()
        cpu, wall = (time.process_time() - cpu) / times, (time.perf_counter() - wall) / times
        self.table.add_row(what, f"{rows:,}", f"{cpu:.4f}", f"{wall:.4f}", f"{rows / max(cpu, 1e-9):,.0f}", note)
        return cpu


def fleet(databases: int) -> list[DatabaseRef]:
    return [DatabaseRef(f"server-{number // 20:03d}", f"db-{number:04d}") for number in range(databases)]


def tick(refs: Sequence[DatabaseRef], number: int, random: np.random.Generator) -> list[CollectedDatabase]:
    """Reading `number` of every database, staggered within the tick; the first has no rows."""
    return [_one(ref, position, number, random) for position, ref in enumerate(refs)]


def _one(ref: DatabaseRef, position: int, number: int, random: np.random.Generator) -> CollectedDatabase:
    lag = timedelta(milliseconds=position * 7)
    read_at, previous = START + TICK * number + lag, START + TICK * (number - 1) + lag
    hashes = np.random.default_rng(position).integers(-(2**63), 2**63, QUERIES)
    plans = hashes ^ 0x5555
    values = np.round(random.lognormal(8, 1, (QUERIES, len(COUNTERS))))
    values[:, -4:] = np.nan
    extrema = np.round(random.lognormal(8, 1, (QUERIES, len(EXTREMA))))
    extrema[:, -2:] = np.nan
    zeros = np.zeros(QUERIES, np.int64)
    keys = tuple(f"10:16384:{value}:t" for value in hashes)
    reading = CounterReading(
        read_at, keys, ("2026-03-01 00:00:00+00",) * QUERIES, hashes, plans, values, extrema, zeros, zeros, zeros
    )
    ends = [np.full(QUERIES, _us(moment), np.int64) for moment in (previous, read_at)]
    rows = IntervalRows(hashes, plans, *ends, values, extrema, np.zeros(QUERIES, bool)) if number else None
    status = CollectionStatus.OK if number else CollectionStatus.FIRST_READING
    outcome = CollectionOutcome(ref, read_at, status, rows=QUERIES if number else 0)
    return CollectedDatabase(outcome, Engine.POSTGRES, reading, previous if number else None, rows)


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def yardstick(report: Report, folder: Path, collected: Sequence[CollectedDatabase]) -> float:
    """Rows per CPU second of `pandas.to_sql`: names, hexadecimal hashes and timestamps, as the archive shows them."""
    frames = [_frame(item.outcome.ref, item.rows) for item in collected if item.rows is not None]
    frame = pd.concat(frames, ignore_index=True)
    connection = sqlite3.connect(folder / "yardstick.db")
    cpu = report.measure("pandas.to_sql, SQLite", len(frame), partial(_append, frame, connection), "yardstick")
    numbers = frame.select_dtypes("number")
    report.measure("pandas.to_sql, numbers only", len(frame), partial(_append, numbers, connection, "numbers"))
    connection.close()
    return len(frame) / cpu


def _append(frame: pd.DataFrame, connection: sqlite3.Connection, name: str = "metric") -> None:
    frame.to_sql(name, connection, if_exists="append", index=False)


def _frame(ref: DatabaseRef, rows: IntervalRows) -> pd.DataFrame:
    hashes = {
        name: [hash_text(value) for value in getattr(rows, name).tolist()] for name in ("query_hash", "plan_hash")
    }
    starts, ends = (pd.to_datetime(us, unit="us", utc=True) for us in (rows.interval_start_us, rows.interval_end_us))
    front = {
        "interval_start": starts,
        "interval_end": ends,
        "instance": ref.instance,
        "database": ref.database,
        **hashes,
    }
    metrics = dict(zip((*COUNTERS, *EXTREMA), np.hstack([rows.values, rows.extrema]).T, strict=True))
    return pd.DataFrame({**front, **metrics, "counter_reset": rows.counter_reset})


def measure_ticks(report: Report, store: SqlStore, databases: int, count: int, per_second: float) -> None:
    random = np.random.default_rng(1)
    refs = fleet(databases)
    store.record(tick(refs, 0, random))
    for number in range(1, count + 1):
        collected = tick(refs, number, random)
        rows = databases * QUERIES
        cpu = report.measure(f"record, tick {number}", rows, partial(store.record, collected))
        if number == count:
            report.table.add_row("", "", "", "", f"{rows / cpu / per_second:.1f} x", "against pandas.to_sql")
    report.measure("capture_states", rows, lambda: store.capture_states(refs), f"{databases} databases")


def measure_reads(report: Report, store: SqlStore, databases: int, ticks: int) -> None:
    end = START + TICK * ticks + TICK
    rows = databases * QUERIES * min(ticks, 12)
    some = ["execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages", "elapsed_time_us_sumsq"]
    hour = end - timedelta(hours=1)
    report.measure("interval_frame, 1 h, all columns", rows, lambda: store.interval_frame(hour, end))
    report.measure("interval_frame, 1 h, 5 metrics", rows, lambda: store.interval_frame(hour, end, columns=some))


def measure_days(report: Report, store: SqlStore, databases: int, days: int) -> None:
    """Fill whole days, read the history of one statement, seal, roll up."""
    random = np.random.default_rng(2)
    refs = fleet(databases)
    per_day = int(timedelta(days=1) / TICK)
    rows = databases * QUERIES
    store.record(tick(refs, 0, random))
    for day in range(days):
        batches = [tick(refs, day * per_day + number, random) for number in range(1, per_day + 1)]
        cpu = wall = 0.0
        for batch in batches:
            before, began = time.process_time(), time.perf_counter()
            store.record(batch)
            cpu, wall = cpu + time.process_time() - before, wall + time.perf_counter() - began
        total = rows * per_day
        report.table.add_row(
            f"day {day + 1} of record", f"{total:,}", f"{cpu:.2f}", f"{wall:.2f}", f"{total / cpu:,.0f}", ""
        )
    query_hash = int(np.random.default_rng(0).integers(-(2**63), 2**63, QUERIES)[7])
    end = START + timedelta(days=days) + TICK
    history = partial(store.query_history, refs[0], query_hash, START, end)
    report.measure("query_history, hot", per_day * days, history, f"{days} days", times=5)
    day = START.date()
    report.measure("roll_up_day", rows * per_day, lambda: store.roll_up_day(day))
    report.measure("seal_day", rows * per_day, lambda: store.seal_day(day))
    sealed = store.sealed_days()[0]
    report.table.add_row(
        "sealed day", f"{sealed.rows:,}", "", "", f"{sealed.bytes / sealed.rows:.1f} bytes per row", ""
    )
    report.measure("query_history, one day sealed", per_day * days, history, f"{days} days", times=5)
    last = timedelta(days=1)
    whole = partial(store.interval_frame, START, START + last, columns=["execution_count", "worker_time_us"])
    report.measure("interval_frame, sealed day", rows * per_day, whole, "2 metrics")
    report.measure("drop_hot_days", rows * per_day, lambda: store.drop_hot_days(day + 2 * last), "1 day")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="store to measure; must be empty (default: a SQLite file)")
    parser.add_argument("--databases", type=int, default=500)
    parser.add_argument("--ticks", type=int, default=4)
    parser.add_argument("--day-databases", type=int, default=10, help="databases of the part that fills whole days")
    parser.add_argument("--days", type=int, default=0, help="whole days to fill; needs at least 2")
    wanted = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = wanted.url or f"sqlite:///{folder}/store.db"
        store = open_store(url, archive=str(folder / "archive"))
        store.upgrade()
        if wanted.days:
            measure_days(report, store, wanted.day_databases, wanted.days)
        else:
            sample = tick(fleet(wanted.databases), 1, np.random.default_rng(0))
            per_second = yardstick(report, folder, sample)
            measure_ticks(report, store, wanted.databases, wanted.ticks, per_second)
            measure_reads(report, store, wanted.databases, wanted.ticks)
        store.close()
    Console(width=120).print(report.table)


if __name__ == "__main__":
    main()
