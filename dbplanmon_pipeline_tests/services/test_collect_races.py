"""Several collections of the same databases at once, and processes that die in the middle of one."""

import multiprocessing
import os
import random
import signal
import threading
import time
from datetime import datetime, timedelta
from multiprocessing.connection import Connection

import pytest

from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services.collect import CollectionReport
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START, STEP, Fleet

CLEAN = multiprocessing.get_context("forkserver")
CLEAN.set_forkserver_preload([__name__])
DATABASES = 6


def fleet_at(store: SqlStore, moment: datetime, latency_ms: float = 0) -> Fleet:
    clock = FixedClock(moment)
    provider = SimulatedProvider(
        "fleet", DATABASES, clock=clock, statements=15, latency_ms=latency_ms, source="plan_cache"
    )
    return Fleet(store, clock, provider)


def collect_on_and_on(url: str, begins: datetime, ticks: int, step: timedelta, started: Connection) -> None:
    """One process: so many collections, from `begins` on; says when the first one is about to start."""
    fleet = fleet_at(open_store(url), begins, latency_ms=4)
    started.send("ready")
    for _ in range(ticks):
        fleet.tick(by=step)


def start(url: str, begins: datetime, ticks: int, step: timedelta = STEP) -> multiprocessing.Process:
    ready, started = CLEAN.Pipe(duplex=False)
    process = CLEAN.Process(target=collect_on_and_on, args=(url, begins, ticks, step, started), daemon=True)
    process.start()
    assert ready.poll(60)
    assert ready.recv() == "ready"
    return process


def finish(store: SqlStore, moment: datetime) -> None:
    """One more collection long after; all work since START must then be in the store once."""
    fleet = fleet_at(store, moment)
    assert not fleet.collect().failed
    fleet.assert_recorded_is_true(START, moment)


@pytest.mark.parametrize("apart", [timedelta(), timedelta(seconds=1)], ids=["same_tick", "ticks_a_second_apart"])
def test_two_racing_threads_never_double(store: SqlStore, store_url: str, apart: timedelta) -> None:
    fleet_at(store, START).collect()
    reports: list[CollectionReport] = []

    def run(moment: datetime) -> None:
        own = open_store(store_url)
        reports.append(fleet_at(own, moment, latency_ms=15).collect())
        own.close()

    for tick in range(1, 4):
        moment = START + STEP * tick
        racers = [threading.Thread(target=run, args=(at,)) for at in (moment, moment + apart)]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
    refused = [o for r in reports for o in r.outcomes if o.message == "another collection stored this database first"]
    assert len(reports) == 6
    assert refused, "the runs never met"
    assert not any(report.failed for report in reports)
    finish(store, START + STEP * 5)


def test_two_racing_processes_never_double(store: SqlStore, store_url: str) -> None:
    fleet_at(store, START).collect()
    runs = [start(store_url, START + timedelta(seconds=second), ticks=8) for second in (0, 1)]
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0, 0]
    finish(store, START + STEP * 20)


def await_collection(store: SqlStore, since: datetime) -> None:
    """Wait until a process that was just started has stored something after `since`."""
    until = time.monotonic() + 30
    while not any(outcome.started_at > since for outcome in store.collection_log(since)):
        assert time.monotonic() < until, "the process collected nothing"
        time.sleep(0.01)


def test_killed_processes_leave_no_half_interval(store: SqlStore, store_url: str) -> None:
    fleet_at(store, START).collect()
    dice = random.Random(5)
    for attempt in range(6):
        run = start(store_url, START + timedelta(hours=attempt), ticks=100_000, step=timedelta(seconds=1))
        await_collection(store, START + timedelta(hours=attempt))
        time.sleep(dice.uniform(0.0, 0.2))
        os.kill(run.pid or 0, signal.SIGKILL)
        run.join(20)
        assert run.exitcode == -signal.SIGKILL
    finish(store, START + timedelta(hours=12))
