"""What waited on disk is recorded once: whoever replays it, however often, and whatever ends it in the middle."""

import multiprocessing
import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.errors import StoreError, StoreUnavailable
from dbplanmon_pipeline.store import DiskSpool
from dbplanmon_pipeline.store.collecting.collection import CollectionPart
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import STEP
from dbplanmon_pipeline_tests.services.spools import DATABASES, SOURCES, fleet_of, statuses

CLEAN = multiprocessing.get_context("forkserver")
CLEAN.set_forkserver_preload([__name__])


@pytest.fixture(params=SOURCES.values(), ids=SOURCES.keys())
def fleet(request, tmp_path, disk, clock):
    return fleet_of(tmp_path, disk.url, clock, **request.param)


@pytest.fixture
def cached(tmp_path, disk, clock):
    return fleet_of(tmp_path, disk.url, clock)


class TestReplay:
    def outage(self, fleet, disk, ticks=6):
        fleet.collect()
        disk.unplug()
        fleet.tick(ticks)
        disk.plug_in()

    def test_a_file_that_is_replayed_again_adds_nothing(self, fleet, disk, tmp_path):
        self.outage(fleet, disk)
        shutil.copytree(fleet.folder, tmp_path / "again")
        fleet.tick()
        shutil.copytree(tmp_path / "again", fleet.folder, dirs_exist_ok=True)
        report = fleet.tick()
        assert (report.replayed.readings, report.replayed.not_needed) == (0, 6 * DATABASES)
        assert fleet.files == []
        fleet.assert_recorded_is_true()

    def test_a_crash_between_commit_and_removal_adds_nothing(self, fleet, disk, monkeypatch):
        self.outage(fleet, disk)

        class Killed(BaseException):
            pass

        def die(*_):
            raise Killed

        for _ in range(2):
            with monkeypatch.context() as patch:
                patch.setattr(DiskSpool, "remove", die)
                with pytest.raises(Killed):
                    fleet.collect()
        assert len(fleet.files) == 6
        fleet.tick()
        assert fleet.files == []
        fleet.assert_recorded_is_true()

    def test_two_runs_that_replay_at_once_record_once(self, cached, disk):
        self.outage(cached, disk, ticks=12)
        cached.clock.advance(STEP)
        reports = []
        runs = [threading.Thread(target=lambda: reports.append(cached.collect())) for _ in range(2)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
        assert len(reports) == 2
        assert sum(report.replayed.readings for report in reports) == 12 * DATABASES
        cached.tick()
        cached.assert_recorded_is_true()

    def test_a_damaged_file_is_told_and_the_rest_is_recorded(self, cached, disk, caplog):
        self.outage(cached, disk, ticks=3)
        damaged = cached.files[1]
        content = bytearray(damaged.read_bytes())
        content[len(content) // 2] ^= 0xFF
        damaged.write_bytes(content)
        report = cached.tick()
        assert (report.replayed.readings, report.spool_lost.batches) == (2 * DATABASES, 1)
        assert "are damaged" in report.spool_lost.reason
        told = [r.event for r in caplog.records if r.levelname == "WARNING" and r.event != "target_not_read"]
        assert told == ["spool_readings_lost"]
        assert cached.files == []
        cached.assert_recorded_is_true()

    def test_a_store_that_goes_away_again_leaves_the_rest_for_later(self, cached, disk, monkeypatch):
        self.outage(cached, disk, ticks=4)
        record, answers = CollectionPart.record, iter([True, True])

        def twice(self, collected):
            if not next(answers, False):
                raise StoreUnavailable("gone again")
            return record(self, collected)

        with monkeypatch.context() as patch:
            patch.setattr(CollectionPart, "record", twice)
            assert statuses(cached.tick()) == {CollectionStatus.SPOOLED}
        assert len(cached.files) == 3
        assert cached.tick().replayed.ticks == 3
        cached.assert_recorded_is_true()

    def test_a_store_that_refuses_old_readings_takes_the_live_one_all_the_same(self, fleet, disk, monkeypatch):
        self.outage(fleet, disk, ticks=3)
        record = CollectionPart.record

        def only_live(self, collected):
            if collected[0].outcome.started_at < fleet.clock.moment:
                raise StoreError("the store failed: a check of the old rows")
            return record(self, collected)

        with monkeypatch.context() as patch:
            patch.setattr(CollectionPart, "record", only_live)
            report = fleet.tick()
        assert statuses(report) == {CollectionStatus.OK}
        assert report.replayed.problem == "the store failed: a check of the old rows"
        assert fleet.tick().replayed.not_needed == 3 * DATABASES
        assert fleet.files == []
        fleet.assert_recorded_is_true()

    def test_killed_processes_record_everything_once(self, tmp_path, disk, clock):
        fleet = fleet_of(tmp_path, disk.url, clock, databases=6, **SOURCES["query_store_of_an_hour"])
        self.outage(fleet, disk, ticks=30)
        waiting = len(fleet.files)
        clock.advance(STEP)
        kills = 0
        while waiting > 8:
            run = CLEAN.Process(target=collect_once, args=(tmp_path, disk.url, clock.moment), daemon=True)
            run.start()
            wait_until(lambda before=waiting, run=run: len(fleet.files) < before - 3 or not run.is_alive())
            os.kill(run.pid or 0, signal.SIGKILL)
            run.join(20)
            kills += run.exitcode == -signal.SIGKILL
            waiting = len(fleet.files)
        assert kills, "no process was in the middle of its work"
        fleet.tick()
        assert fleet.files == []
        fleet.assert_recorded_is_true()


def collect_once(folder: Path, url: str, moment) -> None:
    """One process: replay, then read."""
    fleet_of(folder, url, FixedClock(moment), databases=6, **SOURCES["query_store_of_an_hour"]).collect()


def wait_until(fulfilled) -> None:
    until = time.monotonic() + 60
    while not fulfilled():
        assert time.monotonic() < until
        time.sleep(0.002)
