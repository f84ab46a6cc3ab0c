"""The store: what a tick, a question and a finished day cost. Run with `... .bench --only bench_store`.

CPU seconds are those of this process. The yardstick is `pandas.to_sql` of the same interval rows into a plain SQLite
table.
"""

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.hotspots import HOTSPOT_COLUMNS, hotspots
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine, hash_text
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading, IntervalRows
from dbplanmon_pipeline.services.summarise import summarise
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.bench.figures import Row, spend

NAME = "Store (SQLite)"
START = datetime(2026, 3, 10, tzinfo=UTC)
TICK = timedelta(minutes=5)
QUERIES = 50
FLEET, HOUR_TICKS = 200, 12
DAY_DATABASES, DAYS = 5, 4
SUMMARY_FLEET = 500


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        per_second = _rows_per_second_of_pandas(folder)
        ticks = _empty_store(folder / "ticks")
        rows = list(_ticks(ticks, per_second))
        ticks.close()
        days = _empty_store(folder / "days")
        rows += _days(days)
        days.close()
        large = _empty_store(folder / "summary")
        rows += _summary(large)
        large.close()
    return rows


def _empty_store(folder: Path) -> SqlStore:
    folder.mkdir()
    store = open_store(f"sqlite:///{folder}/store.db", archive=str(folder / "archive"))
    store.upgrade()
    return store


def _ticks(store: SqlStore, per_second: float) -> Iterator[Row]:
    """An hour of a fleet, then the questions that are asked about the last hour."""
    random, refs = np.random.default_rng(1), fleet(FLEET)
    store.record(tick(refs, 0, random))
    batches = [tick(refs, number, random) for number in range(1, HOUR_TICKS + 1)]
    spent = [spend(lambda batch=batch: store.record(batch)) for batch in batches]
    cpu = min(one.cpu for one in spent[1:])
    stored = FLEET * QUERIES
    yield Row(f"record {stored:,} rows of {FLEET} databases, CPU", cpu, "s", ">= 2.5 x", stored / cpu / per_second)
    read = spend(lambda: store.capture_states(refs), times=3)
    yield Row(f"read the states of {FLEET} databases back, CPU", read.cpu, "s")
    end = START + TICK * (HOUR_TICKS + 1)
    hour = end - timedelta(hours=1, minutes=5)

    def rank() -> None:
        hotspots(store.work_by_statement(hour, end, HOTSPOT_COLUMNS), top_n=20)

    ranked = spend(rank, times=2)
    yield Row(
        f"hotspots of 1 h of {FLEET} databases ({stored * HOUR_TICKS:,} rows), CPU",
        ranked.cpu * 1000,
        "ms",
        "<= 150 ms",
    )


def _days(store: SqlStore) -> Iterator[Row]:
    """Whole days of a few databases: flat ingest, the history of one statement, sealing."""
    random, refs = np.random.default_rng(2), fleet(DAY_DATABASES)
    per_day = int(timedelta(days=1) / TICK)
    stored = DAY_DATABASES * QUERIES * per_day
    store.record(tick(refs, 0, random))
    cpu = [
        sum(_record(store, refs, day * per_day + number, random) for number in range(1, per_day + 1))
        for day in range(DAYS)
    ]
    yield Row(f"record a day of {stored:,} rows in {per_day} ticks, first day, CPU", cpu[0], "s")
    yield Row(f"the same, day {DAYS}: times the first day", cpu[-1] / cpu[0], "", "flat")
    query_hash = int(np.random.default_rng(0).integers(-(2**63), 2**63, QUERIES)[7])
    end = START + timedelta(days=DAYS) + TICK
    three_days = end - timedelta(days=3)
    history = spend(lambda: store.query_history(refs[0], query_hash, three_days, end), times=5)
    yield Row("history of one statement, 3 hot days, CPU", history.cpu * 1000, "ms", "<= 25 ms")
    rolled = spend(lambda: store.roll_up_day(START.date()))
    yield Row(f"roll up a day of {stored:,} rows, CPU", rolled.cpu, "s")
    sealed = spend(lambda: store.seal_day(START.date()))
    yield Row(f"seal a day of {stored:,} rows, CPU", sealed.cpu, "s")
    (day,) = store.sealed_days()
    yield Row("size of the sealed day, per million rows", day.bytes / day.rows, "MB", "<= 40 MB")
    early = spend(lambda: store.query_history(refs[0], query_hash, START, START + timedelta(days=3)), times=5)
    yield Row("history of one statement, 1 sealed and 2 hot days, CPU", early.cpu * 1000, "ms", "<= 25 ms")


def _summary(store: SqlStore) -> Iterator[Row]:
    """A whole day of a large fleet: one hour is recorded, the other ones are copies of it."""
    random, refs = np.random.default_rng(3), fleet(SUMMARY_FLEET)
    for number in range(HOUR_TICKS + 1):
        store.record(tick(refs, number, random))
    table, hour_us = f"interval_metric_{START:%Y%m%d}", 3_600_000_000
    with store._database.write() as connection:
        names = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
        shifted = ", ".join(f"{name} + {{0}}" if name.startswith("interval_") else name for name in names)
        last = connection.exec_driver_sql(f"SELECT max(rowid) FROM {table}").scalar()
        for hour in range(1, 23):
            copied = f"SELECT {shifted.format(hour * hour_us)} FROM {table} WHERE rowid <= {last}"
            connection.exec_driver_sql(f"INSERT INTO {table} {copied}")
        stored = connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar()
    spent = spend(lambda: summarise(store, START.date(), top_n=20))
    what = f"summary of a day of {SUMMARY_FLEET} databases ({stored:,} rows)"
    yield Row(f"{what}, CPU", spent.cpu, "s")
    yield Row(f"{what}, wall", spent.wall, "s", "<= 10")


def _record(store: SqlStore, refs: Sequence[DatabaseRef], number: int, random: np.random.Generator) -> float:
    batch = tick(refs, number, random)
    return spend(lambda: store.record(batch)).cpu


def _rows_per_second_of_pandas(folder: Path) -> float:
    """Rows per CPU second of `pandas.to_sql`: names, hexadecimal hashes and timestamps, as the archive shows them."""
    collected = tick(fleet(FLEET), 1, np.random.default_rng(0))
    frame = pd.concat([_frame(item.outcome.ref, item.rows) for item in collected if item.rows], ignore_index=True)
    connection = sqlite3.connect(folder / "yardstick.db")
    cpu = min(spend(lambda: frame.to_sql("metric", connection, if_exists="append", index=False)).cpu for _ in range(3))
    connection.close()
    return len(frame) / cpu


def fleet(databases: int) -> list[DatabaseRef]:
    return [DatabaseRef(f"server-{number // 20:03d}", f"db-{number:04d}") for number in range(databases)]


def tick(
    refs: Sequence[DatabaseRef], number: int, random: np.random.Generator, start: datetime = START
) -> list[CollectedDatabase]:
    """Reading `number` of every database, staggered within the tick; the first has no rows."""
    return [_one(ref, position, start + TICK * number, number, random) for position, ref in enumerate(refs)]


def _one(
    ref: DatabaseRef, position: int, moment: datetime, number: int, random: np.random.Generator
) -> CollectedDatabase:
    lag = timedelta(milliseconds=position * 7)
    read_at, previous = moment + lag, moment - TICK + lag
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
