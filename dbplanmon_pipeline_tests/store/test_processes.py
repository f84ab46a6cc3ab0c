"""Several processes, threads and sudden deaths: nothing lost, nothing double, nothing half visible."""

import contextlib
import hashlib
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef, StatementText
from dbplanmon_pipeline.core.ports import ImportedDay, ImportStatus
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.errors import StoreError
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline_tests.store.samples import NOON, SALES, collected, late_rows, rows, ticks

CLEAN = multiprocessing.get_context("forkserver")
CLEAN.set_forkserver_preload([__name__])
HASHES = list(range(1, 21))
SECOND = timedelta(seconds=1)


def write_for_a_while(
    url: str, name: str, seconds: float, results: "multiprocessing.Queue[tuple[str, int, int]]"
) -> None:
    """Write ticks of an own and of the shared database; report own ticks and accepted shared ticks."""
    store = open_store(url)
    own, shared = DatabaseRef("own", name), DatabaseRef("shared", "Sales")
    end = time.monotonic() + seconds
    written = accepted = 0
    previous, moment = None, NOON
    while time.monotonic() < end or not accepted:
        assert store.record([collected(own, moment, HASHES, previous=previous)]) == frozenset()
        written += previous is not None
        previous, moment = moment, moment + SECOND
        state = store.capture_states([shared])[shared].previous
        at = state.read_at + SECOND if state else NOON
        refused = store.record([collected(shared, at, HASHES, previous=state.read_at if state else None)])
        accepted += not refused
    results.put((name, written, accepted))


def read_for_a_while(url: str, seconds: float, results: "multiprocessing.Queue[tuple[str, int, int]]") -> None:
    """Read everything again and again; report reads, and reads that saw a part of a tick."""
    store = open_store(url)
    end = time.monotonic() + seconds
    reads = torn = 0
    while time.monotonic() < end:
        frame = store.interval_frame(NOON - SECOND, NOON + timedelta(hours=1), columns=["execution_count"]).rows
        sizes = frame.groupby(["database_id", "interval_end_us"]).size()
        torn += int((sizes != len(HASHES)).any())
        reads += 1
    results.put(("reader", reads, torn))


def test_four_writers_and_a_reader_get_along(store: SqlStore, store_url: str) -> None:
    results = CLEAN.Queue()
    names = [f"w{number}" for number in range(4)]
    processes = [CLEAN.Process(target=write_for_a_while, args=(store_url, name, 2.0, results)) for name in names]
    processes.append(CLEAN.Process(target=read_for_a_while, args=(store_url, 2.0, results)))
    for process in processes:
        process.start()
    found = {name: counts for name, *counts in (results.get(timeout=60) for _ in processes)}
    for process in processes:
        process.join(30)
    assert [process.exitcode for process in processes] == [0] * 5
    reads, torn = found.pop("reader")
    assert reads > 0
    assert torn == 0
    frame = store.interval_frame(NOON - SECOND, NOON + timedelta(hours=1))
    counts = {frame.databases[number]: len(rows) for number, rows in frame.rows.groupby("database_id")}
    shared = counts.pop(DatabaseRef("shared", "Sales"))
    assert {ref.database: rows for ref, rows in counts.items()} == {
        name: written * len(HASHES) for name, (written, _accepted) in found.items() if written
    }
    assert shared == (sum(accepted for _written, accepted in found.values()) - 1) * len(HASHES)


def write_until_killed(url: str, acknowledge: Connection) -> None:
    """Continue the ticks of one database; acknowledge each commit by its moment."""
    store = open_store(url)
    ref = DatabaseRef("alpha", "Sales")
    while True:
        state = store.capture_states([ref])[ref].previous
        at = state.read_at + SECOND if state else NOON
        item = collected(ref, at, HASHES, previous=state.read_at if state else None, plan_hash=3)
        assert store.record([item]) == frozenset()
        acknowledge.send(at)


def kill_one_writer(url: str, delay: float) -> datetime:
    """Let a writer work and kill it; returns the newest moment it acknowledged."""
    inlet, outlet = CLEAN.Pipe(duplex=False)
    writer = CLEAN.Process(target=write_until_killed, args=(url, outlet))
    writer.start()
    outlet.close()
    newest = inlet.recv()
    time.sleep(delay)
    os.kill(writer.pid, signal.SIGKILL)
    with inlet, contextlib.suppress(EOFError):
        while True:
            newest = inlet.recv()
    writer.join(30)
    assert writer.exitcode == -signal.SIGKILL
    return newest


def test_killed_writers_lose_and_double_nothing(store: SqlStore, store_url: str) -> None:
    ref = DatabaseRef("alpha", "Sales")
    for number in range(8):
        acknowledged = kill_one_writer(store_url, 0.01 + 0.013 * number)
        state = store.capture_states([ref])[ref].previous
        frame = store.interval_frame(NOON - SECOND, NOON + timedelta(hours=1)).rows
        ticks_done = (state.read_at - NOON) // SECOND
        assert acknowledged <= state.read_at <= acknowledged + SECOND
        assert len(frame) == ticks_done * len(HASHES)
        assert not frame.duplicated(["query_hash", "plan_hash", "interval_start_us"]).any()
        assert frame["interval_end_us"].nunique() == ticks_done
        assert len(store.collection_log(NOON)) == ticks_done + 1


def seal_and_wait(url: str, archive: str, outlet: Connection) -> None:
    store = open_store(url, archive=archive, clock=lambda: NOON + timedelta(days=3))
    outlet.send("begins")
    store.seal_day(NOON.date())
    time.sleep(30)


@pytest.mark.parametrize("delay", [0.0, 0.006, 0.03])
def test_killed_sealing_leaves_the_day_whole(store: SqlStore, store_url: str, tmp_path: Path, delay: float) -> None:
    for item in ticks(DatabaseRef("alpha", "Sales"), NOON, 5, HASHES):
        store.record([item])
    window = (NOON - timedelta(days=1), NOON + timedelta(days=1))
    before = store.interval_frame(*window).rows
    inlet, outlet = CLEAN.Pipe(duplex=False)
    sealer = CLEAN.Process(target=seal_and_wait, args=(store_url, str(tmp_path / "archive"), outlet))
    sealer.start()
    with inlet, outlet:
        assert inlet.recv() == "begins"
        time.sleep(delay)
        os.kill(sealer.pid, signal.SIGKILL)
    sealer.join(30)
    assert store.interval_frame(*window).rows.equals(before)
    assert store.seal_day(NOON.date()).rows == len(before)
    assert store.interval_frame(*window).rows.equals(before)


def test_threads_share_one_store(store: SqlStore) -> None:
    refs = [DatabaseRef("alpha", f"d{number}") for number in range(6)]

    def write(ref: DatabaseRef) -> int:
        refused = [store.record([item]) for item in ticks(ref, NOON, 5, HASHES)]
        return sum(map(len, refused))

    with ThreadPoolExecutor(len(refs)) as pool:
        assert sum(pool.map(write, refs)) == 0
    assert len(store.interval_frame(NOON, NOON + timedelta(hours=1)).rows) == 6 * 5 * len(HASHES)


def read_in_child(store: SqlStore) -> None:
    sys.exit(len(store.interval_frame(NOON, NOON + timedelta(hours=1)).rows))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_uses_its_own_connections(store: SqlStore) -> None:
    for item in ticks(DatabaseRef("alpha", "Sales"), NOON, 2, HASHES):
        store.record([item])
    child = multiprocessing.get_context("fork").Process(target=read_in_child, args=(store,))
    child.start()
    child.join(30)
    assert child.exitcode == 2 * len(HASHES)
    assert len(store.interval_frame(NOON, NOON + timedelta(hours=1)).rows) == 2 * len(HASHES)


def test_late_rows_and_sealing_meet_without_loss(store: SqlStore) -> None:
    ref = DatabaseRef("alpha", "Sales")
    starts = [NOON + number * SECOND for number in range(40)]

    def write() -> None:
        for start in starts:
            store.record([late_rows(ref, start, rows(start, start + SECOND, HASHES))])

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        while not writing.done():
            with contextlib.suppress(StoreError):
                store.seal_day(NOON.date())
        writing.result()
    assert store.seal_day(NOON.date()).rows == len(starts) * len(HASHES)
    assert len(store.interval_frame(NOON, NOON + timedelta(hours=1)).rows) == len(starts) * len(HASHES)


def wait_for_blocked(watcher: "psycopg.Connection[Any]") -> None:
    end = time.monotonic() + 30
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while not watcher.execute(blocked.encode()).fetchone()[0]:
        assert time.monotonic() < end, "the import waited for nobody"
        time.sleep(0.01)


def test_import_of_history_waits_for_a_collection_that_has_locked_the_database(
    postgres_server: PostgresServer, postgres_database: str
) -> None:
    """Both write statements, texts and plans of one database, in orders of their own: one has to wait at the door."""
    store = open_store(postgres_server.url(postgres_database))
    store.upgrade()
    for item in ticks(SALES, NOON, 1, HASHES):
        store.record([item])
    text = StatementText(HASHES[0], "SELECT 1")
    work = rows(NOON - timedelta(days=1), NOON - timedelta(hours=23), HASHES)
    day = ImportedDay(SALES, (NOON - timedelta(days=1)).date(), ImportStatus.IMPORTED, work, texts=(text,))
    digest = hashlib.sha256(f"{text.kind}\n{text.text}".encode()).hexdigest()
    dsn = postgres_server.dsn(postgres_database)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(dsn) as live, psycopg.connect(dsn, autocommit=True) as watcher:
        live.execute("SELECT 1 FROM counter_state FOR UPDATE")
        live.execute("INSERT INTO query_text (text_sha256, text, kind) VALUES (%s, 'SELECT 1', '')", [digest])
        importing = pool.submit(store.record_history, day)
        wait_for_blocked(watcher)
        live.execute("UPDATE query SET text_sha256 = %s", [digest])
        live.commit()
        assert importing.result(30)
    store.close()


def test_imports_of_many_databases_into_new_days_get_along(store: SqlStore) -> None:
    refs = [DatabaseRef("alpha", f"d{number}") for number in range(8)]
    for ref in refs:
        store.record([collected(ref, NOON, HASHES)])

    def us_of(hours: int) -> int:
        return hours * 3_600_000_000

    def bring(ref: DatabaseRef) -> None:
        for back in range(1, 6):
            start = NOON - timedelta(days=back)
            work = rows(start, start + timedelta(hours=1), HASHES)
            work.interval_start_us[::2] += us_of(11)
            work.interval_end_us[::2] += us_of(12)
            assert store.record_history(ImportedDay(ref, start.date(), ImportStatus.IMPORTED, work))

    with ThreadPoolExecutor(len(refs)) as pool:
        list(pool.map(bring, refs))
    found = store.interval_frame(NOON - timedelta(days=9), NOON).rows
    assert len(found) == len(refs) * 5 * len(HASHES)
