"""Faults of our own side that belong to no room alone: a disk without a free byte, a file cut short, a killed analysis.

docs/reliability.md lists all faults with the tests that inject them.
"""

import multiprocessing
import os
import random
import re
import signal
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dbplanmon_pipeline.cli.running.home import DagsterHome
from dbplanmon_pipeline.cli.up import _children_log
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef
from dbplanmon_pipeline.errors import StoreError, StoreUnavailable
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START, STEP, Fleet, assert_same_work, recorded
from dbplanmon_pipeline_tests.services.spools import SpooledFleet
from dbplanmon_pipeline_tests.services.stories import BROKEN_TICKS, continue_story, open_story, write_calm_past
from dbplanmon_pipeline_tests.soak.disk import Disk, small_disk
from dbplanmon_pipeline_tests.store.samples import NOON, ticks
from dbplanmon_pipeline_tests.support.requirements import absent

CLEAN = multiprocessing.get_context("forkserver")
CLEAN.set_forkserver_preload([__name__])
DISK_MB = 16
REF = DatabaseRef("alpha", "Sales")
REF_OF_FLEET = DatabaseRef("fleet", "sim0001")
HOUR = timedelta(hours=1)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", DISK_MB) as found:
        if not found.own:
            absent("mount", "no right to mount a small disk")
        yield found


def fleet_on(state: Path, store: Path, clock: FixedClock) -> SpooledFleet:
    provider = SimulatedProvider("fleet", 2, clock=clock, statements=12, seed=3, source="plan_cache")
    return SpooledFleet(state, provider, clock, f"sqlite:///{store}/store.db")


def test_readings_wait_elsewhere_while_the_disk_of_the_store_is_full(disk: Disk, tmp_path: Path) -> None:
    fleet = fleet_on(tmp_path / "state", disk.folder, FixedClock(START))
    fleet.collect()
    fleet.tick()
    disk.fill()
    away = fleet.tick(3)
    assert {outcome.status for outcome in away.outcomes} == {CollectionStatus.SPOOLED}
    disk.free()
    assert {outcome.status for outcome in fleet.tick().outcomes} == {CollectionStatus.OK}
    fleet.assert_recorded_is_true()


def test_one_full_disk_for_store_and_spool_costs_times_but_no_work(disk: Disk) -> None:
    fleet = fleet_on(disk.folder / "state", disk.folder, FixedClock(START))
    fleet.collect()
    fleet.tick()
    disk.fill()
    for _ in range(3):
        with pytest.raises(StoreError):
            fleet.tick()
    disk.free()
    back = fleet.tick()
    assert {outcome.gap_seconds for outcome in back.outcomes} == {4 * STEP.total_seconds()}
    fleet.assert_recorded_is_true()


def test_a_day_that_finds_no_room_in_the_archive_stays_where_it_was(disk: Disk, tmp_path: Path) -> None:
    store = open_store(
        f"sqlite:///{tmp_path}/store.db", archive=str(disk.folder / "archive"), clock=lambda: NOON + timedelta(days=3)
    )
    store.upgrade()
    for item in ticks(REF, NOON, 5, range(1, 200)):
        store.record([item])
    window = (NOON - timedelta(days=1), NOON + timedelta(days=1))
    before = store.interval_frame(*window).rows
    disk.fill()
    with pytest.raises(StoreError, match="No space left on device"):
        store.seal_day(NOON.date())
    assert store.interval_frame(*window).rows.equals(before)
    disk.free()
    assert store.seal_day(NOON.date()).rows == len(before)
    assert store.interval_frame(*window).rows.equals(before)
    store.close()


def test_a_sealed_day_that_was_cut_short_is_one_clear_error(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    store = open_store(f"sqlite:///{tmp_path}/store.db", archive=str(archive), clock=lambda: NOON + timedelta(days=3))
    store.upgrade()
    for item in ticks(REF, NOON, 2, [1, 2, 3]):
        store.record([item])
    store.seal_day(NOON.date())
    (sealed,) = (path for path in archive.rglob("*.parquet"))
    os.truncate(sealed, sealed.stat().st_size // 2)
    with pytest.raises(StoreError, match=re.escape(sealed.name)) as caught:
        store.interval_frame(NOON - timedelta(days=1), NOON + timedelta(days=1))
    assert "\n" not in str(caught.value)
    store.close()


def analyse_again_and_again(folder: Path, begun: "multiprocessing.connection.Connection", moment: float) -> None:
    story = open_story(folder, START + timedelta(seconds=moment))
    begun.send("begins")
    while True:
        story.analyse()


def test_a_killed_analysis_leaves_what_an_undisturbed_one_leaves(tmp_path: Path) -> None:
    write_calm_past(tmp_path / "past")
    results = []
    for name in ("undisturbed", "killed"):
        story = continue_story(tmp_path / "past", tmp_path / name)
        story.learn()
        dice = random.Random(3)
        for _ in range(BROKEN_TICKS):
            story.fleet.tick()
            if name == "killed":
                _kill_an_analysis(
                    tmp_path / name, (story.clock.moment - START).total_seconds(), dice.uniform(0.0, 0.15)
                )
            story.analyse()
        results.append(story.everything())
        story.store.close()
    undisturbed, killed = results
    assert undisturbed["incidents"]
    for kind in ("incidents", "alerts", "suggestions", "plan_changes"):
        assert len(killed[kind]) == len(undisturbed[kind]), kind


def _kill_an_analysis(folder: Path, moment: float, seconds: float) -> None:
    inlet, outlet = CLEAN.Pipe(duplex=False)
    process = CLEAN.Process(target=analyse_again_and_again, args=(folder, outlet, moment))
    process.start()
    assert inlet.recv() == "begins"
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


def test_a_spool_without_room_is_one_clear_error(disk: Disk, tmp_path: Path) -> None:
    fleet = fleet_on(disk.folder / "state", tmp_path / "store", FixedClock(START))
    fleet.collect()
    (tmp_path / "store").rename(tmp_path / "away")
    (tmp_path / "store").touch()
    disk.fill()
    with pytest.raises(StoreUnavailable) as caught:
        fleet.tick()
    assert "\n" not in str(caught.value)
    assert "No space left on device" in str(caught.value)


def test_a_full_disk_costs_lines_of_the_log_and_one_complaint(disk: Disk, capsys: pytest.CaptureFixture[str]) -> None:
    home = DagsterHome(disk.folder, disk.folder)
    with _children_log(home) as log:
        log.info("before")
        disk.fill()
        for _ in range(3):
            log.info("meanwhile %s", "x" * 5_000)
        disk.free()
        log.info("after")
    told = capsys.readouterr().err.splitlines()
    assert told == [f"{home.log_file} cannot be written: No space left on device; lines are lost until it can"]
    assert home.log_file.read_text("utf-8").splitlines()[-1].endswith("after")


@pytest.mark.parametrize("source", ["plan_cache", "query_store"])
def test_our_clock_jumps_an_hour_ahead_and_back(tmp_path: Path, source: str) -> None:
    server, ours = FixedClock(START), FixedClock(START)
    provider = SimulatedProvider("fleet", 1, clock=server, statements=12, seed=3, source=source, interval_minutes=5)
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=ours)
    store.upgrade()
    fleet = Fleet(store, ours, provider)

    def tick(ahead: timedelta = timedelta()) -> CollectionOutcome:
        ours.moment = server.advance(STEP) + ahead
        return fleet.collect().outcomes[0]

    fleet.collect()
    assert [tick().status, tick(HOUR).status] == [CollectionStatus.OK] * 2
    waiting = [tick().message for _ in range(11)]
    assert all(message.startswith("nothing counted: the clock went back") for message in waiting)
    assert [tick().message for _ in range(3)][-1] == ""
    assert_same_work(recorded(store, REF_OF_FLEET), provider.recordable("sim0001", [START, server.moment]))
    store.close()
