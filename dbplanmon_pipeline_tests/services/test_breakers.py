"""Servers that keep failing are left alone for a while, and nobody else is."""

import threading
import time
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.errors import CannotConnect, SettingsError
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services.breakers import breaker_states, resting_instances
from dbplanmon_pipeline.services.collect import CollectionStopped
from dbplanmon_pipeline.services.remember_collection import collection_state, remember_collection
from dbplanmon_pipeline.services.resolve_targets import InstanceSpec, resolve_targets
from dbplanmon_pipeline_tests.services.fleets import (
    BREAKER,
    EVERYTHING,
    START,
    STEP,
    AlteredProvider,
    Fleet,
    Interrupted,
    by_database,
    interrupted_after,
)


class Switch:
    """A server that can be switched off; counts who knocks."""

    def __init__(self, on=False):
        self.on = on
        self.knocks = 0

    def __call__(self, _, reader):
        self.knocks += 1
        if not self.on:
            raise CannotConnect("connection refused", remedy="Start it.")
        return reader


@pytest.fixture
def switch():
    return Switch()


@pytest.fixture
def fleet(store, clock, switch):
    dead = AlteredProvider("dead", 2, clock=clock, alter=switch, statements=5)
    return Fleet(store, clock, dead, SimulatedProvider("alive", 2, clock=clock, statements=5))


def breaker(fleet, instance="dead"):
    return breaker_states([instance], fleet.store)[instance]


def test_breaker_opens_after_five_failures_in_a_row_and_the_others_are_read(fleet, switch):
    for failures in range(1, 6):
        report = fleet.tick()
        assert (len(report.failed), len(report.skipped)) == (2, 0)
        assert breaker(fleet).consecutive_failures == failures
    knocks = switch.knocks
    report = fleet.tick(by=timedelta(minutes=1))
    assert switch.knocks == knocks
    assert {o.ref.instance for o in report.skipped} == {"dead"}
    assert report.skipped[0].message == (
        f"left alone until {breaker(fleet).next_attempt_at:%H:%M:%S} UTC after 5 failures in a row: "
        "connection refused. Start it."
    )
    assert {o.status for o in report.outcomes if o.ref.instance == "alive"} == {CollectionStatus.OK}
    assert report.failed_share == 0.5


def test_open_breaker_lets_one_attempt_through_after_its_pause(fleet, switch):
    fleet.tick(5)
    assert breaker(fleet).next_attempt_at - breaker(fleet).last_failure_at == timedelta(minutes=8)
    report = fleet.tick(by=timedelta(minutes=8))
    assert len(report.failed) == 2
    assert breaker(fleet).consecutive_failures == 6
    assert len(fleet.tick(by=timedelta(minutes=9)).skipped) == 2
    switch.on = True
    report = fleet.tick(by=timedelta(minutes=1))
    assert not report.failed
    assert not report.skipped
    assert breaker(fleet).consecutive_failures == 0


def test_success_in_between_starts_the_count_anew(fleet, switch):
    for _ in range(2):
        fleet.tick(4)
        switch.on = True
        fleet.tick()
        switch.on = False
    assert len(fleet.tick(4).skipped) == 0
    assert breaker(fleet).consecutive_failures == 4


def test_the_first_success_is_remembered_and_further_ones_write_nothing(fleet):
    first = fleet.tick().tick
    fleet.tick(2)
    assert breaker(fleet, "alive").last_success_at == first


def test_one_dead_database_is_no_dead_server(store, clock):
    fleet = Fleet(store, clock, SimulatedProvider("fleet", 3, clock=clock, failing=1, statements=5))
    report = fleet.tick(7)
    assert (len(report.failed), len(report.skipped)) == (1, 0)
    assert breaker(fleet, "fleet").consecutive_failures == 0


def test_databases_asked_for_by_name_neither_open_a_breaker_nor_respect_it(fleet, switch):
    one = [DatabaseRef("dead", "sim0001")]
    for _ in range(7):
        fleet.clock.advance(STEP)
        assert len(fleet.collect(one, partial=True).failed) == 1
    assert breaker(fleet).consecutive_failures == 0
    fleet.tick(5)
    switch.on = True
    report = fleet.collect(one, partial=True)
    assert report.outcomes[0].status is CollectionStatus.FIRST_READING
    assert breaker(fleet).consecutive_failures == 0


class TestDiscovery:
    """Instances whose databases are asked for."""

    def specs(self, *names):
        return [InstanceSpec(name, Engine.SIMULATED, None, lambda _: (EVERYTHING, 10.0)) for name in names]

    def silent(self, clock, error):
        class Silent(SimulatedProvider):
            asked = 0

            def databases(self):
                type(self).asked += 1
                raise error

        return Silent("silent", 1, clock=clock)

    def resolve(self, providers, clock, **options):
        return resolve_targets(self.specs(*providers), providers, now=clock(), **options)

    def test_instance_that_cannot_be_listed_is_reported_and_the_others_are_read(self, store, clock):
        fleet = Fleet(
            store,
            clock,
            self.silent(clock, CannotConnect("no route to host", remedy="Check the firewall.")),
            SimulatedProvider("alive", 2, clock=clock),
        )
        found = self.resolve(fleet.providers, clock)
        assert [str(t.ref) for t in found.targets] == ["alive/sim0001", "alive/sim0002"]
        report = fleet.collect([t.ref for t in found.targets], unlisted=found.unlisted)
        (failed,) = report.failed
        assert str(failed.ref) == "silent/*"
        assert failed.message == "databases could not be listed: no route to host. Check the firewall."
        assert len(report.outcomes) == 3
        assert [o.error_class for o in store.collection_log(START) if o.ref.instance == "silent"] == ["unreachable"]

    @pytest.mark.parametrize("error", [SettingsError("no password"), RuntimeError("a defect")], ids=["settings", "bug"])
    def test_whatever_discovery_throws_stays_with_its_instance(self, clock, error):
        found = self.resolve(
            {"silent": self.silent(clock, error), "alive": SimulatedProvider("alive", 1, clock=clock)}, clock
        )
        assert [t.ref.instance for t in found.targets] == ["alive"]
        assert found.unlisted[0].status is CollectionStatus.FAILED

    def test_instance_that_cannot_be_listed_opens_its_breaker_and_is_not_asked_again(self, store, clock):
        fleet = Fleet(store, clock, self.silent(clock, CannotConnect("refused")))
        for _ in range(5):
            clock.advance(STEP)
            fleet.collect([], unlisted=self.resolve(fleet.providers, clock).unlisted)
        clock.advance(timedelta(minutes=1))
        states = breaker_states(["silent"], store)
        resting = {name: states[name] for name in resting_instances(states, clock(), BREAKER)}
        asked = fleet.providers["silent"].asked
        found = self.resolve(fleet.providers, clock, resting=resting)
        report = fleet.collect([], unlisted=found.unlisted)
        assert fleet.providers["silent"].asked == asked
        assert [(str(o.ref), o.error_class) for o in report.skipped] == [("silent/*", "breaker")]
        assert breaker(fleet, "silent").consecutive_failures == 5

    @pytest.mark.parametrize("how", ["stopped", "interrupted"])
    def test_slow_discovery_gives_way_within_two_seconds(self, clock, how):
        released = threading.Event()

        class Slow(SimulatedProvider):
            def databases(self):
                released.wait(60)
                return []

            def cancel(self):
                released.set()

        providers = {"slow": Slow("slow", 1, clock=clock)}
        began = time.monotonic()
        if how == "stopped":
            with pytest.raises(CollectionStopped):
                self.resolve(providers, clock, stopped=lambda: time.monotonic() - began > 0.2)
        else:
            with interrupted_after(0.2), pytest.raises(Interrupted):
                self.resolve(providers, clock)
        assert time.monotonic() - began < 30
        assert released.is_set()

    def test_unknown_names_are_one_clear_error(self, clock):
        providers = {"alive": SimulatedProvider("alive", 2, clock=clock)}
        with pytest.raises(SettingsError, match="no instance 'prod' in the settings; there are: alive"):
            self.resolve(providers, clock, only=["prod"])
        with pytest.raises(SettingsError, match="no database 'Sales' on alive; there are: sim0001, sim0002"):
            self.resolve(providers, clock, only=["alive/Sales"])

    def test_only_the_named_databases_are_resolved(self, clock):
        providers = {name: SimulatedProvider(name, 2, clock=clock) for name in ("a", "b", "c")}
        found = self.resolve(providers, clock, only=["a/sim0002", "c", "c/sim0001"])
        assert [str(t.ref) for t in found.targets] == ["a/sim0002", "c/sim0001", "c/sim0002"]


class TestBackOff:
    """The whole collection, over runs."""

    def remember(self, store, clock, failed, **options):
        return remember_collection(store, failed=failed, now=clock(), policy=BREAKER, **options)

    def test_pause_doubles_from_thirty_seconds_to_ten_minutes(self, store, clock):
        pauses = []
        for _ in range(7):
            state = self.remember(store, clock, failed=True)
            pauses.append((state.next_attempt_at - clock()).total_seconds())
            clock.moment = state.next_attempt_at
        assert pauses == [30, 60, 120, 240, 480, 600, 600]

    def test_success_ends_the_back_off(self, store, clock):
        self.remember(store, clock, failed=True, detail="all dead")
        assert collection_state(store).detail == "all dead"
        state = self.remember(store, clock, failed=False)
        assert (state.consecutive_failures, state.next_attempt_at, state.last_success_at) == (0, None, START)

    def test_run_for_named_targets_neither_starts_nor_ends_a_back_off(self, store, clock):
        assert self.remember(store, clock, failed=True, partial=True).consecutive_failures == 0
        before = self.remember(store, clock, failed=True)
        after = self.remember(store, clock, failed=False, partial=True)
        assert (after.consecutive_failures, after.next_attempt_at) == (1, before.next_attempt_at)
        assert after.last_success_at == clock()


def test_report_is_in_the_order_of_the_targets(fleet, switch):
    switch.on = True
    assert [o.ref for o in fleet.collect().outcomes] == fleet.refs
    assert set(by_database(fleet.collect())) == {"sim0001", "sim0002"}
