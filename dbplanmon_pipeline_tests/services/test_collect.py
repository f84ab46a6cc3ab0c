"""Collection from a simulated fleet with a known truth into a real store."""

import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.readings.capture import OTHER_STATEMENTS
from dbplanmon_pipeline.errors import QueryTimedOut, SettingsError
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.services.collect import CollectionStopped
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline_tests.services.fleets import (
    START,
    STEP,
    AlteredProvider,
    Fleet,
    Interrupted,
    Wrapped,
    by_database,
    interrupted_after,
    recorded,
    total,
)

ONE, TWO = DatabaseRef("fleet", "sim0001"), DatabaseRef("fleet", "sim0002")


def simulated(clock, databases=3, **options):
    return SimulatedProvider(
        "fleet", databases, clock=clock, **{"statements": 20, "seed": 3, "source": "plan_cache", **options}
    )


class TestTruth:
    def test_recorded_work_is_the_true_work_over_many_ticks(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock))
        fleet.collect()
        fleet.tick(6)
        fleet.assert_recorded_is_true(START, clock.moment)

    def test_first_reading_records_nothing(self, store, clock):
        report = Fleet(store, clock, simulated(clock)).collect()
        assert {o.status for o in report.outcomes} == {CollectionStatus.FIRST_READING}
        assert report.rows == 0
        assert store.latest_interval_end() is None
        assert all(o.statements_read == 20 for o in report.outcomes)

    def test_uneven_ticks_and_a_plan_flip_lose_nothing(self, store, clock):
        flip = SimulatedFault("flip", "sim0001", 4, FaultKind.PLAN_REGRESSION, START + STEP * 2.5, factor=4.0)
        fleet = Fleet(store, clock, simulated(clock, faults=[flip]))
        fleet.collect()
        for seconds in (7, 300, 1, 3_000, 299, 301):
            fleet.tick(by=timedelta(seconds=seconds))
        fleet.assert_recorded_is_true(START, clock.moment)

    def test_limits_keep_the_totals_true(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock), limits=CaptureLimits(top_n=2, min_executions=2))
        fleet.collect()
        fleet.tick(3)
        for ref in fleet.refs:
            kept = recorded(store, ref)
            assert (OTHER_STATEMENTS, 0) in kept
            assert len(kept) < 20
            truth = total(fleet.providers["fleet"].truth(ref.database, START, clock.moment))
            assert total(kept).executions == truth.executions
            assert total(kept).elapsed_us == pytest.approx(truth.elapsed_us, rel=1e-6)

    def test_restart_of_the_server_costs_at_most_the_work_between_reading_and_restart(self, store, clock):
        restart = SimulatedFault("restart", "", 0, FaultKind.RESTART, START + STEP * 1.5)
        fleet = Fleet(store, clock, simulated(clock, 1, faults=[restart]))
        fleet.collect()
        fleet.tick()
        report = fleet.tick()
        assert report.outcomes[0].resets > 0
        fleet.tick()
        found, provider = total(recorded(store, ONE)), fleet.providers["fleet"]
        lost = total(provider.truth("sim0001", START + STEP, START + STEP * 1.5))
        true = total(provider.truth("sim0001", START, clock.moment))
        assert true.executions - lost.executions <= found.executions <= true.executions

    def test_all_intervals_of_one_run_end_at_its_tick(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock, latency_ms=5), max_workers=2)
        fleet.collect()
        report = fleet.tick()
        ends = store.interval_frame(START, clock.moment + STEP).rows["interval_end_us"].unique()
        assert [int(end) for end in ends] == [int(report.tick.timestamp() * 1e6)]

    def test_texts_and_plans_are_read_once(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock, 1))
        fleet.collect()
        first, second = fleet.tick().outcomes[0], fleet.tick().outcomes[0]
        assert first.new_statements > 10
        assert first.new_plans == first.new_statements
        assert second.new_statements + first.new_statements <= 20
        (profile,) = fleet.providers["fleet"].profiles("sim0001")[:1]
        assert store.plan(profile.plan_hash) is not None
        assert "dbo." in store.statement_texts([(ONE, profile.query_hash)])[ONE, profile.query_hash].text


class TestGaps:
    def test_missed_ticks_are_told_as_a_gap_and_their_work_is_kept(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock, 1))
        fleet.collect()
        assert fleet.tick().outcomes[0].gap_seconds is None
        assert fleet.tick(by=STEP * 4).outcomes[0].gap_seconds == 1200
        fleet.assert_recorded_is_true(START, clock.moment)

    def test_dead_database_has_a_gap_once_it_is_back(self, store, clock):
        down = SimulatedFault("down", "sim0001", 0, FaultKind.RESTART, START + STEP * 1.5, START + STEP * 3.5)
        fleet = Fleet(store, clock, simulated(clock, 2, faults=[down]))
        fleet.collect()
        assert by_database(fleet.tick(2))["sim0001"].status is CollectionStatus.FAILED
        back = by_database(fleet.tick(2))
        assert back["sim0001"].gap_seconds == 900
        assert back["sim0002"].gap_seconds is None


class TestAgain:
    def test_run_repeated_at_the_same_moment_adds_nothing(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock))
        fleet.collect()
        fleet.tick()
        again = fleet.collect()
        assert again.rows == 0
        assert not again.failed
        fleet.assert_recorded_is_true(START, clock.moment)

    def test_clock_that_went_back_adds_nothing_and_says_so(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock, 1))
        fleet.collect()
        fleet.tick(2)
        clock.advance(-STEP)
        assert "clock went back" in fleet.collect().outcomes[0].message
        fleet.tick(2)
        fleet.assert_recorded_is_true(START, clock.moment)

    def test_run_that_dies_before_its_commit_is_made_up_for(self, store, clock):
        def power_cut(_):
            raise Interrupted

        fleet = Fleet(store, clock, simulated(clock))
        fleet.collect()
        clock.advance(STEP)
        fleet.store = Wrapped(store, record=power_cut)
        with pytest.raises(Interrupted):
            fleet.collect()
        fleet.store = store
        fleet.tick()
        fleet.assert_recorded_is_true(START, clock.moment)


class TestFailures:
    def test_dead_database_is_one_classified_row_and_the_others_go_on(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock, 5, failing=1))
        fleet.collect()
        report = fleet.tick()
        (dead,) = fleet.providers["fleet"].failing_databases
        (failed,) = report.failed
        assert (failed.ref.database, failed.error_class, failed.rows) == (dead, "unreachable", 0)
        assert "refuses connections" in failed.message
        assert report.failed_share == pytest.approx(0.2)
        alive = [ref for ref in fleet.refs if ref.database != dead]
        fleet.assert_recorded_is_true(START, clock.moment, alive)
        logged = [o for o in store.collection_log(clock.moment) if o.ref.database == dead]
        assert [o.error_class for o in logged] == ["unreachable"]

    def test_defect_of_one_target_is_its_own_and_tells_no_secret(self, store, clock):
        def alter(database, reader):
            if database == "sim0002":
                raise ValueError("login sa/hunter2 at WHERE ssn = 123")
            return reader

        fleet = Fleet(store, clock, AlteredProvider("fleet", 3, clock=clock, alter=alter))
        failed = by_database(fleet.collect())["sim0002"]
        assert failed.error_class == "defect"
        assert failed.message.startswith("unexpected ValueError in ")
        assert "hunter2" not in failed.message
        assert len(fleet.collect().failed) == 1

    def test_missing_password_of_one_target_does_not_stop_the_others(self, store, clock):
        def alter(database, reader):
            if database == "sim0001":
                raise SettingsError("environment variable SHOP_PASSWORD is not set")
            return reader

        report = Fleet(store, clock, AlteredProvider("fleet", 3, clock=clock, alter=alter)).collect()
        (failed,) = report.failed
        assert (failed.error_class, failed.message) == (
            "settings",
            "environment variable SHOP_PASSWORD is not set",
        )

    @pytest.mark.parametrize("question", ["read_texts", "read_plans"])
    def test_figures_are_kept_when_texts_or_plans_fail_and_these_are_read_later(self, store, clock, question):
        broken = True

        def fail(_):
            raise QueryTimedOut("lock wait of 1 s ran out", target="fleet/sim0001")

        def alter(_, reader):
            return Wrapped(reader, **{question: fail}) if broken else reader

        fleet = Fleet(
            store, clock, AlteredProvider("fleet", 1, clock=clock, source="plan_cache", statements=20, alter=alter)
        )
        fleet.collect()
        outcome = fleet.tick().outcomes[0]
        assert outcome.status is CollectionStatus.OK
        assert outcome.message == "plans or texts were not read: lock wait of 1 s ran out"
        fleet.assert_recorded_is_true(START, clock.moment)
        broken = False
        later = fleet.tick().outcomes[0]
        assert (later.new_plans if question == "read_plans" else later.new_statements) > 10
        assert not later.message

    def test_states_of_a_large_fleet_are_read_some_at_a_time(self, store, clock, monkeypatch):
        monkeypatch.setattr("dbplanmon_pipeline.services.collect.STATES_AT_ONCE", 2)
        fleet, asked = Fleet(store, clock, simulated(clock, 5)), []
        fleet.collect()
        fleet.store = Wrapped(store, capture_states=lambda refs: asked.append(len(refs)) or store.capture_states(refs))
        fleet.tick(2)
        assert asked == [2, 2, 1] * 2
        fleet.assert_recorded_is_true(START, clock.moment)

    def test_a_database_that_another_run_stored_first_is_no_failure(self, store, clock):
        fleet = Fleet(store, clock, simulated(clock, 2))
        fleet.collect()
        clock.advance(STEP)
        stale = store.capture_states(fleet.refs)
        fleet.collect()
        fleet.store = Wrapped(store, capture_states=lambda _: stale)
        clock.advance(timedelta(seconds=1))
        report = fleet.collect()
        assert {o.message for o in report.outcomes} == {"another collection stored this database first"}
        assert (report.failed, report.skipped, report.failed_share, report.rows) == ((), (), 0.0, 0)
        fleet.store = store
        fleet.tick()
        fleet.assert_recorded_is_true(START, clock.moment)


class TestLimits:
    def test_budget_ends_a_slow_database_and_only_that_one(self, store, clock):
        slow = SimulatedProvider("slow", 1, clock=clock, latency_ms=20_000)
        fleet = Fleet(store, clock, slow, simulated(clock, 2), budget_seconds=2.0)
        began = time.monotonic()
        report = fleet.collect()
        assert time.monotonic() - began < 10
        assert [(o.ref.instance, o.error_class) for o in report.failed] == [("slow", "timeout")]
        assert report.failed[0].duration_ms < 10_000

    def test_no_more_readers_than_workers(self, store, clock):
        guard, now, peak = threading.Lock(), 0, 0

        class Counting(SimulatedProvider):
            @contextmanager
            def open(self, database, budget):
                nonlocal now, peak
                with guard:
                    now += 1
                    peak = max(peak, now)
                try:
                    with super().open(database, budget) as reader:
                        yield reader
                finally:
                    with guard:
                        now -= 1

        report = Fleet(store, clock, Counting("fleet", 12, clock=clock, latency_ms=20), max_workers=3).collect()
        assert peak == report.peak_workers == 3
        assert now == 0


class TestStop:
    def slow(self, store, clock):
        return Fleet(store, clock, SimulatedProvider("fleet", 40, clock=clock, latency_ms=25_000), budget_seconds=60)

    def assert_nothing_half_stored(self, store, fleet):
        assert store.collection_log(START - STEP) == []
        assert all(state.previous is None for state in store.capture_states(fleet.refs).values())
        assert store.job_states(["breaker:fleet"])["breaker:fleet"].consecutive_failures == 0

    def assert_threads_end(self, seconds):
        end = time.monotonic() + seconds
        while any(t.name.startswith("collect") for t in threading.enumerate()):
            assert time.monotonic() < end, "a reading thread lives on"
            time.sleep(0.02)

    def test_stop_ends_a_run_of_slow_targets_within_two_seconds(self, store, clock):
        fleet, stop = self.slow(store, clock), threading.Event()
        threading.Timer(0.3, stop.set).start()
        began = time.monotonic()
        with pytest.raises(CollectionStopped):
            fleet.collect(stopped=stop.is_set)
        assert time.monotonic() - began < 20
        self.assert_threads_end(20)
        self.assert_nothing_half_stored(store, fleet)

    def test_interrupt_in_the_main_thread_ends_the_run_within_two_seconds(self, store, clock):
        fleet = self.slow(store, clock)
        began = time.monotonic()
        with interrupted_after(0.3), pytest.raises(Interrupted):
            fleet.collect()
        assert time.monotonic() - began < 20
        self.assert_threads_end(20)
        self.assert_nothing_half_stored(store, fleet)

    @pytest.mark.parametrize("listens_to", ["budget", "cancel"])
    def test_interrupt_reaches_readers_however_they_listen(self, store, clock, listens_to):
        cancelled = threading.Event()

        class Slow(SimulatedProvider):
            @contextmanager
            def open(self, database, budget):
                while budget.remaining() > 0 if listens_to == "budget" else not cancelled.is_set():
                    time.sleep(0.02)
                raise QueryTimedOut("cancelled")
                yield

            def cancel(self):
                if listens_to == "cancel":
                    cancelled.set()

        fleet = Fleet(store, clock, Slow("fleet", 3, clock=clock), budget_seconds=60)
        with interrupted_after(0.2), pytest.raises(Interrupted):
            fleet.collect()
        try:
            self.assert_threads_end(20)
        finally:
            cancelled.set()

    def test_answers_given_while_stopping_are_no_failures(self, store, clock):
        # The last answers are those of cancelled readers; storing them would count against the breaker.
        stop = threading.Event()
        fleet = Fleet(store, clock, SimulatedProvider("fleet", 2, clock=clock, latency_ms=25_000), budget_seconds=60)
        threading.Timer(0.15, stop.set).start()
        with pytest.raises(CollectionStopped):
            fleet.collect(stopped=stop.is_set)
        self.assert_nothing_half_stored(store, fleet)

    def test_fleet_can_be_read_again_after_a_stop(self, store, clock):
        fleet, stop = Fleet(store, clock, simulated(clock, 4, latency_ms=150)), threading.Event()
        fleet.collect()
        clock.advance(STEP)
        threading.Timer(0.1, stop.set).start()
        with pytest.raises(CollectionStopped):
            fleet.collect(stopped=stop.is_set)
        assert not fleet.tick().failed
        fleet.assert_recorded_is_true(START, clock.moment)


class TestSlowTargetBesideQuickOnes:
    def test_quick_databases_are_stored_before_the_slow_one_answers(self, store, clock):
        release = threading.Event()

        def alter(database, reader):
            if database == "sim0002":
                release.wait(10)
            return reader

        fleet = Fleet(store, clock, AlteredProvider("fleet", 3, clock=clock, alter=alter))
        run = threading.Thread(target=fleet.collect)
        run.start()
        end = time.monotonic() + 8
        while len(store.collection_log(START - STEP)) < 2 and time.monotonic() < end:
            time.sleep(0.05)
        stored = {o.ref.database for o in store.collection_log(START - STEP)}
        release.set()
        run.join()
        assert stored == {"sim0001", "sim0003"}
