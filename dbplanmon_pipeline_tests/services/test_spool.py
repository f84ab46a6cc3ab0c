"""The store goes away and comes back: recorded work is the true work all the same, at the true times, once."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pytest

from dbplanmon_pipeline.composition import spooling
from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.errors import StoreUnavailable
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault
from dbplanmon_pipeline.store import engine
from dbplanmon_pipeline.store.collecting.collection import CollectionPart
from dbplanmon_pipeline_tests.services.fleets import START, STEP
from dbplanmon_pipeline_tests.services.spools import DATABASES, SOURCES, Disk, fleet_of, statuses
from dbplanmon_pipeline_tests.support.postgres import any_binaries


@pytest.fixture(params=SOURCES.values(), ids=SOURCES.keys())
def fleet(request, tmp_path, disk, clock):
    return fleet_of(tmp_path, disk.url, clock, **request.param)


@pytest.fixture
def cached(tmp_path, disk, clock):
    return fleet_of(tmp_path, disk.url, clock)


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
