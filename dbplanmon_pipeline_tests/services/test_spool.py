"""The store goes away and comes back: recorded work is the true work all the same, at the true times, once."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from dbplanmon_pipeline.composition import spooling
from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.errors import StoreError, StoreUnavailable
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.store import DiskSpool, engine
from dbplanmon_pipeline.store.collection import CollectionPart
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START, STEP
from dbplanmon_pipeline_tests.services.spools import SpooledFleet
from dbplanmon_pipeline_tests.support.postgres import any_binaries

CLEAN = multiprocessing.get_context("forkserver")
CLEAN.set_forkserver_preload([__name__])
SOURCES = {
    "plan_cache": {"source": "plan_cache"},
    "query_store_of_an_hour": {"source": "query_store", "interval_minutes": 60},
    "query_store_of_five_minutes": {"source": "query_store", "interval_minutes": 5, "flush_seconds": 300},
}
DATABASES = 3


class Disk:
    """The disk of a SQLite store, which can be unplugged: a file is then where its folder was."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "disk"
        self.url = f"sqlite:///{self.folder}/store.db"

    def unplug(self) -> None:
        self.folder.rename(self.folder.with_name("unplugged"))
        self.folder.touch()

    def plug_in(self) -> None:
        self.folder.unlink()
        self.folder.with_name("unplugged").rename(self.folder)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture(params=SOURCES.values(), ids=SOURCES.keys())
def fleet(request, tmp_path, disk, clock):
    return fleet_of(tmp_path, disk.url, clock, **request.param)


@pytest.fixture
def cached(tmp_path, disk, clock):
    return fleet_of(tmp_path, disk.url, clock)


def fleet_of(folder, url, clock, spool=None, databases=DATABASES, **options):
    provider = SimulatedProvider(
        "fleet", databases, clock=clock, **{"statements": 12, "seed": 3, "source": "plan_cache", **options}
    )
    return SpooledFleet(folder / "state", provider, clock, url, **(spool or {}))


def statuses(report):
    return {outcome.status for outcome in report.outcomes}


def ends_of(fleet):
    frame = fleet.asked(lambda store: store.interval_frame(START, fleet.clock.moment + STEP)).rows
    return {int(end) for end in frame["interval_end_us"].unique()}


def us(moment):
    return int(moment.timestamp() * 1e6)


class TestAnOutage:
    def test_recorded_work_is_the_true_work_after_it(self, fleet, disk):
        fleet.collect()
        fleet.tick(2)
        disk.unplug()
        away = fleet.tick(5)
        assert statuses(away) == {CollectionStatus.SPOOLED}
        assert "cannot be made" in away.store_failure
        disk.plug_in()
        back = fleet.tick()
        assert (back.replayed.ticks, back.replayed.readings) == (5, 5 * DATABASES)
        assert statuses(back) == {CollectionStatus.OK}
        assert {outcome.gap_seconds for outcome in back.outcomes} == {None}
        assert fleet.files == []
        fleet.assert_recorded_is_true()

    def test_every_tick_of_it_has_its_own_interval_and_its_own_line_in_the_log(self, cached, disk):
        cached.collect()
        disk.unplug()
        cached.tick(3)
        disk.plug_in()
        cached.tick()
        assert ends_of(cached) == {us(START + STEP * tick) for tick in range(1, 5)}
        log = cached.asked(lambda store: store.collection_log(START))
        assert {o.started_at for o in log} == {START + STEP * tick for tick in range(5)}
        later = [o for o in log if START < o.started_at < cached.clock.moment]
        assert {(o.status, o.message) for o in later} == {
            (CollectionStatus.OK, "read while the store was away, recorded later")
        }
        assert all(o.rows and o.statements_read for o in later)

    def test_what_changed_in_it_is_recorded_where_it_changed(self, tmp_path, disk, clock):
        flip = SimulatedFault("flip", "", 4, FaultKind.PLAN_REGRESSION, START + STEP * 2.5, factor=4.0)
        fleet = fleet_of(tmp_path, disk.url, clock, faults=[flip], **SOURCES["query_store_of_an_hour"])
        fleet.collect()
        disk.unplug()
        fleet.tick(4)
        disk.plug_in()
        fleet.tick()
        fleet.assert_recorded_is_true()
        new_plan = fleet.asked(lambda store: store.interval_frame(START, clock.moment + STEP)).rows
        first = new_plan[~new_plan["plan_hash"].isin(profiles(fleet))]["interval_start_us"].min()
        assert first == us(START + STEP * 2)

    def test_the_next_reading_learns_the_texts_that_are_missing(self, cached, disk):
        cached.collect()
        disk.unplug()
        cached.tick(2)
        disk.plug_in()
        cached.tick(2)
        keys = [(ref, p.query_hash) for ref in refs(cached) for p in cached.provider.profiles(ref.database)]
        texts = cached.asked(lambda store: store.statement_texts(keys))
        rows = cached.asked(lambda store: store.interval_frame(START, cached.clock.moment + STEP)).rows
        assert {query for _, query in texts} == set(rows["query_hash"].tolist())

    def test_a_store_that_never_was_there_gets_the_readings_from_before(self, fleet, disk):
        disk.folder.mkdir()
        disk.unplug()
        fleet.collect()
        fleet.tick(3)
        disk.plug_in()
        fleet.tick()
        log = fleet.asked(lambda store: store.collection_log(START))
        assert {o.status for o in log if o.started_at == START} == {CollectionStatus.FIRST_READING}
        if fleet.provider.has_query_store:
            for ref in refs(fleet):
                begins = fleet.asked(lambda store: store.recorded_from())[ref]
                assert START - timedelta(hours=3) <= begins < START
        else:
            fleet.assert_recorded_is_true()

    def test_a_database_that_was_down_within_it_loses_nothing(self, tmp_path, disk, clock):
        provider_down = SimulatedFault("off", "sim0001", 0, FaultKind.RESTART, START + STEP * 2.5, START + STEP * 3.5)
        fleet = fleet_of(tmp_path, disk.url, clock, faults=[provider_down], **SOURCES["query_store_of_an_hour"])
        fleet.collect()
        disk.unplug()
        failed = fleet.tick(3)
        assert [o.status for o in failed.outcomes].count(CollectionStatus.FAILED) == 1
        fleet.tick(2)
        disk.plug_in()
        fleet.tick(2)
        fleet.assert_recorded_is_true()


class TestInTheMiddleOfARun:
    """Readings are there, the states are known, and the store takes nothing any more."""

    def test_what_cannot_be_stored_is_kept(self, fleet, disk, monkeypatch):
        monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
        fleet.collect()
        fleet.tick()
        with locked(disk):
            report = fleet.tick(2)
        assert "locked" in report.store_failure
        assert statuses(report) == {CollectionStatus.SPOOLED}
        assert report.rows == 0
        fleet.tick()
        assert fleet.files == []
        fleet.assert_recorded_is_true()

    def test_a_commit_whose_answer_was_lost_does_not_count_twice(self, cached, monkeypatch):
        cached.collect()
        record = CollectionPart.record

        def stored_but_not_told(self, collected):
            record(self, collected)
            raise StoreUnavailable("the answer was lost")

        with monkeypatch.context() as patch:
            patch.setattr(CollectionPart, "record", stored_but_not_told)
            assert statuses(cached.tick()) == {CollectionStatus.SPOOLED}
        report = cached.tick()
        assert (report.replayed.readings, report.replayed.not_needed) == (0, DATABASES)
        cached.assert_recorded_is_true()


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


class TestBounds:
    def test_the_oldest_go_when_it_is_full_and_totals_stay_true(self, tmp_path, disk, clock, monkeypatch):
        monkeypatch.setattr(spooling, "_MEGABYTE", 1_000)
        fleet = fleet_of(tmp_path, disk.url, clock, {"max_mb": 30})
        fleet.collect()
        disk.unplug()
        losses = [fleet.tick().spool_lost for _ in range(12)]
        assert sum(path.stat().st_size for path in fleet.files) <= 30_000
        assert sum(loss.readings for loss in losses) == (12 - len(fleet.files)) * DATABASES > 0
        assert {loss.reason for loss in losses if loss.batches} == {"more than 30000 bytes"}
        kept = len(fleet.files)
        disk.plug_in()
        report = fleet.tick()
        assert report.replayed.ticks == kept
        fleet.assert_recorded_is_true()
        log = fleet.asked(lambda store: store.collection_log(START))
        first = [o for o in log if o.started_at == START + STEP * (13 - kept)]
        assert {o.gap_seconds for o in first} == {STEP.total_seconds() * (13 - kept)}

    @pytest.mark.parametrize(
        ("source", "kilobytes"), [("query_store_of_an_hour", 40), ("query_store_of_five_minutes", 250)]
    )
    def test_query_store_itself_fills_the_gap(self, source, kilobytes, tmp_path, disk, clock, monkeypatch):
        monkeypatch.setattr(spooling, "_MEGABYTE", 1_000)
        fleet = fleet_of(tmp_path, disk.url, clock, {"max_mb": kilobytes}, **SOURCES[source])
        fleet.collect()
        disk.unplug()
        assert sum(fleet.tick().spool_lost.readings for _ in range(60)) > 0
        kept = len(fleet.files)
        disk.plug_in()
        back = fleet.tick()
        assert (back.replayed.readings, back.replayed.not_needed) == (0, kept * DATABASES)
        assert {outcome.gap_seconds for outcome in back.outcomes} == {61 * STEP.total_seconds()}
        fleet.assert_recorded_is_true()

    def test_what_is_too_old_is_let_go_of(self, tmp_path, disk, clock):
        fleet = fleet_of(tmp_path, disk.url, clock, {"max_age": "20m"})
        fleet.collect()
        disk.unplug()
        fleet.tick(7)
        assert len(fleet.files) == 5
        disk.plug_in()
        report = fleet.tick(by=STEP * 2)
        assert (report.replayed.ticks, report.spool_lost.batches) == (3, 2)
        fleet.assert_recorded_is_true()

    def test_without_a_spool_a_store_that_is_away_fails_the_run(self, tmp_path, disk, clock):
        fleet = fleet_of(tmp_path, disk.url, clock, {"max_mb": 0})
        fleet.collect()
        disk.unplug()
        with pytest.raises(StoreUnavailable, match="cannot be made"):
            fleet.tick()
        assert not fleet.folder.exists()

    def test_a_spool_that_cannot_be_written_is_one_clear_error(self, cached, disk):
        cached.collect()
        disk.unplug()
        cached.folder.parent.mkdir(exist_ok=True)
        cached.folder.touch()
        with pytest.raises(StoreUnavailable, match=r"^the spool at .* cannot be written: "):
            cached.tick()


def test_a_postgres_store_that_is_stopped_and_started_again(tmp_path, clock, spare_server):
    fleet = fleet_of(tmp_path, spare_server.url(), clock, **SOURCES["query_store_of_an_hour"])
    fleet.collect()
    fleet.tick()
    spare_server.stop()
    away = fleet.tick(3)
    assert statuses(away) == {CollectionStatus.SPOOLED}
    spare_server.start()
    back = fleet.tick()
    assert back.replayed.ticks == 3
    assert statuses(back) == {CollectionStatus.OK}
    fleet.assert_recorded_is_true()


@pytest.fixture
def spare_server(tmp_path_factory):
    with PostgresServer(any_binaries(), tmp_path_factory.mktemp("spare")) as server:
        yield server


def refs(fleet):
    return fleet.asked(lambda store: store.known_databases())


def profiles(fleet):
    return {p.plan_hash for database in fleet.provider.databases() for p in fleet.provider.profiles(database)}


@contextmanager
def locked(disk: Disk) -> Iterator[None]:
    """Another process writes to the store and does not end."""
    with closing(sqlite3.connect(disk.folder / "store.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
