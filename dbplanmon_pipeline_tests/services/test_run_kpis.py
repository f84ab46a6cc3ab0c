"""KPIs on a real store, read from instances that answer as a test wants."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.health import Health
from dbplanmon_pipeline.core.kpis.health import kpis_within_limits
from dbplanmon_pipeline.core.kpis.rules import KpiLimits, KpiPolicy, KpiSpec, KpiState
from dbplanmon_pipeline.core.kpis.statement import KpiRow, KpiStatement
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.errors import CannotConnect, QueryTimedOut, SettingsError
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services import run_kpis as module
from dbplanmon_pipeline.services.run_kpis import (
    KpiRunPolicy,
    KpiRunStopped,
    due_kpis,
    kpi_status,
    named_kpis,
    run_kpis,
)
from dbplanmon_pipeline_tests.services.fleets import START

MINUTE = timedelta(minutes=1)
SECRET = "hunter2"
POLICY = KpiRunPolicy(channels=lambda _event, _severity: ("dba", "night"))


class Answering:
    """A provider whose figures are made by a function of the statement; counts how many are read at once."""

    engine = Engine.SIMULATED

    def __init__(self, answer):
        self.answer = answer
        self.asked = []
        self.now = self.peak = 0
        self.cancelled = threading.Event()
        self._guard = threading.Lock()

    @contextmanager
    def open(self, database, budget):
        self.budget = budget
        yield self

    def read_figures(self, statement, timeout):
        with self._guard:
            self.asked.append(statement.sql)
            self.now += 1
            self.peak = max(self.peak, self.now)
        try:
            return KpiRow(("value",), (self.answer(statement.sql),), 1)
        finally:
            with self._guard:
                self.now -= 1

    def cancel(self):
        self.cancelled.set()


def spec(name="orders", **more):
    usual = {"limits": KpiLimits(maximum=10), "interval": MINUTE, "timeout_seconds": 5.0}
    return KpiSpec(name, DatabaseRef("alpha", "shop"), KpiStatement(name), **{**usual, **more})


@pytest.fixture
def run(store, clock):
    def go(specs, answer, **more):
        provider = answer if isinstance(answer, Answering) else Answering(answer)
        return run_kpis(specs, lambda _: provider, store, clock=clock, **{"policy": POLICY, **more})

    return go


def await_free(store):
    """Until the thread that read the KPI has given it back; the run itself does not wait for it."""
    until = time.monotonic() + 30
    while store.kpi_memories(["orders"])["orders"].leased_until and time.monotonic() < until:
        time.sleep(0.01)
    assert store.kpi_memories(["orders"])["orders"].leased_until is None


def test_due_ones_are_read_and_kept(store, clock, run):
    report = run([spec("a"), spec("b")], {"a": 5, "b": 50}.get)
    assert [(r.name, r.state.value, r.value) for r in report.results] == [("a", "ok", 5.0), ("b", "breach", 50.0)]
    assert store.kpi_results("b")[0] == report.results[1]
    assert run([spec("a"), spec("b")], {"a": 5, "b": 50}.get).results == ()
    clock.advance(MINUTE)
    assert len(run([spec("a"), spec("b")], {"a": 5, "b": 5}.get).results) == 2


def test_a_breach_is_queued_for_every_channel_once_and_its_end_too(store, clock, run):
    for value in (5, 50, 60, 5, 5, 5, 5):
        run([spec()], lambda _, value=value: value)
        clock.advance(MINUTE)
    told = sorted((alert.created_at, alert.event, alert.channel, alert.incident_id) for alert in store.alerts(START))
    assert told == [
        (START + MINUTE, "opened", "dba", "kpi:orders"),
        (START + MINUTE, "opened", "night", "kpi:orders"),
        (START + 5 * MINUTE, "auto_resolved", "dba", "kpi:orders"),
        (START + 5 * MINUTE, "auto_resolved", "night", "kpi:orders"),
    ]


def test_one_that_fails_stops_no_other_and_tells_no_literal(store, clock, run):
    def answer(name):
        if name == "dead":
            raise CannotConnect("no route", target="alpha/shop", remedy="Check the cable.")
        if name == "odd":
            raise RuntimeError(f"password={SECRET}")
        return SECRET if name == "text" else 5

    report = run([spec(name) for name in ("dead", "odd", "text", "good")], answer)
    messages = {r.name: r.message for r in report.results}
    assert {r.name: r.state.value for r in report.results} == {
        "dead": "error",
        "odd": "error",
        "text": "error",
        "good": "ok",
    }
    assert messages["dead"] == "no route. Check the cable."
    assert "unexpected RuntimeError" in messages["odd"]
    assert SECRET not in str(messages)


def test_no_more_than_the_limit_are_read_at_once(run):
    # Each answer waits until there are as many as there may be, so that they surely meet.
    together = threading.Barrier(3)
    provider = Answering(lambda _: together.wait(30) + 1)
    report = run([spec(f"k{number:02}") for number in range(12)], provider, policy=KpiRunPolicy(max_parallel=3))
    assert (len(report.results), provider.peak) == (12, 3)


def test_one_never_overlaps_itself_however_many_ask(store, clock, run):
    others = threading.Semaphore(0)

    def answer(_):
        assert all(others.acquire(timeout=30) for _ in range(3))
        return 1

    provider = Answering(answer)

    def ask(_):
        report = run([spec()], provider, named=True)
        others.release()
        return report

    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(ask, range(4)))
    assert len(provider.asked) == 1
    assert sorted(report.under_way for report in reports) == [(), ("orders",), ("orders",), ("orders",)]


def test_a_slow_one_does_not_hold_up_those_that_become_due_meanwhile(clock, run, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    seen = threading.Semaphore(0)

    def answer(name):
        if name == "fast":
            clock.advance(MINUTE)
            seen.release()
            return 1
        for _ in range(3):
            assert seen.acquire(timeout=5)
        return 1

    report = run([spec("slow", interval=timedelta(hours=1)), spec("fast")], answer)
    assert [r.name for r in report.results].count("slow") == 1
    assert [r.name for r in report.results].count("fast") >= 3


def test_those_that_waited_longest_come_first(store, clock, run):
    run([spec("b")], lambda _: 1)
    clock.advance(MINUTE)
    run([spec("a")], lambda _: 1)
    clock.advance(MINUTE)
    assert [found.name for found in due_kpis([spec("a"), spec("b"), spec("new")], store, clock())] == ["new", "b", "a"]


def test_a_named_one_is_read_although_it_is_not_due(run):
    run([spec()], lambda _: 1)
    assert len(run([spec()], lambda _: 2, named=True).results) == 1


def test_the_budget_is_the_timeout_of_the_kpi(run):
    provider = Answering(lambda _: 1)
    run([spec(timeout_seconds=70.0)], provider)
    assert 10 < provider.budget.remaining() <= 70


def test_a_stop_ends_within_seconds_and_leaves_the_kpi_free(store, clock, run):
    began, stop = time.monotonic(), threading.Event()

    def answer(_):
        stop.set()
        provider.cancelled.wait(60)
        raise QueryTimedOut("reading stopped: the run was cancelled")

    provider = Answering(answer)
    with pytest.raises(KpiRunStopped):
        run([spec()], provider, stopped=stop.is_set)
    assert time.monotonic() - began < 30
    await_free(store)
    assert store.kpi_results("orders") == []


def test_an_interrupt_leaves_no_reading_and_the_kpi_free(store, run):
    reached, interrupts = threading.Event(), [KeyboardInterrupt]

    def answer(_):
        reached.set()
        provider.cancelled.wait(60)
        raise QueryTimedOut("reading stopped: the run was cancelled")

    def stopped():
        if reached.is_set() and interrupts:
            raise interrupts.pop()
        return False

    provider = Answering(answer)
    with pytest.raises(KeyboardInterrupt):
        run([spec()], provider, stopped=stopped)
    await_free(store)
    assert store.kpi_results("orders") == []


def test_what_is_normal_comes_from_the_same_hour_of_the_weeks_before(store, clock, run):
    kpi = spec(limits=KpiLimits(deviation_percent=50, minimum_samples=2))
    clock.moment = START - timedelta(weeks=2)
    for value in (100, 104):
        run([kpi], lambda _, value=value: value)
        clock.advance(timedelta(weeks=1))
    assert store.kpi_results("orders")[0].state is KpiState.UNKNOWN
    (found,) = run([kpi], lambda _: 200).results
    assert (found.state, found.normal) == (KpiState.BREACH, 102.0)


def test_figures_of_a_simulated_database_are_its_truth(store, clock):
    provider = SimulatedProvider("fleet", 1, clock=clock, seed=3, statements=5)
    reading = KpiSpec(
        "runs", DatabaseRef("fleet", "sim0001"), KpiStatement("SELECT executions, cpu_seconds"), KpiLimits(minimum=1)
    )
    writing = KpiSpec("writes", reading.ref, KpiStatement("DELETE FROM executions"), KpiLimits(minimum=1))
    unknown = KpiSpec("unknown", reading.ref, KpiStatement("SELECT money"), KpiLimits(minimum=1))
    report = run_kpis([reading, writing, unknown], lambda _: provider, store, clock=clock, policy=KpiRunPolicy())
    truth = provider.truth("sim0001", START - timedelta(hours=1), START)
    found = {r.name: r for r in report.results}
    assert found["runs"].value == sum(work.executions for work in truth.values()) > 0
    assert found["writes"].message.startswith("refused")
    assert "executions" in found["unknown"].message


def test_the_status_names_every_kpi_read_or_not(store, run):
    run([spec("a")], lambda _: 50)
    (a, b) = kpi_status([spec("a"), spec("b")], store)
    assert (a[1].trouble, a[2].value, b[2]) == (KpiState.BREACH, 50.0, None)


def test_an_unknown_name_is_told_with_those_there_are():
    with pytest.raises(SettingsError, match=r"no KPI 'c' is read; there are: a, b"):
        named_kpis([spec("a"), spec("b")], ["c"])
    assert [found.name for found in named_kpis([spec("a"), spec("b")], ["b", "b"])] == ["b"]


class TestAnInstanceThatRests:
    BREAKER = BreakerPolicy(max_failures=2, backoff=10 * MINUTE)

    def rest(self, store, clock):
        store.save_job_states([JobState("breaker:alpha", 2, clock(), None, clock() + 3 * MINUTE, "no route")])

    def test_is_not_asked_and_nothing_opens_or_ends(self, store, clock, run):
        policy = replace(POLICY, breaker=self.BREAKER, telling=KpiPolicy(calm_readings=1, tolerated_errors=0))
        run([spec()], lambda _: 50, policy=policy)
        before = store.kpi_memories(["orders"])["orders"]
        self.rest(store, clock)
        clock.advance(MINUTE)
        provider = Answering(lambda _: 5)
        (result,) = run([spec()], provider, policy=policy).results
        assert (result.state, result.value, provider.asked) == (KpiState.LEFT_ALONE, None, [])
        assert "after 2 failures in a row: no route" in result.message
        after = store.kpi_memories(["orders"])["orders"]
        assert (after.trouble, after.began_at, after.calm) == (before.trouble, before.began_at, before.calm)
        assert {alert.event for alert in store.alerts(START)} == {"opened"}
        assert kpis_within_limits(kpi_status([spec()], store)).health is not Health.HEALTHY
        clock.advance(3 * MINUTE)
        assert run([spec()], provider, policy=policy).results[0].state is KpiState.OK

    def test_is_asked_all_the_same_by_name(self, store, clock, run):
        self.rest(store, clock)
        (result,) = run([spec()], lambda _: 5, policy=replace(POLICY, breaker=self.BREAKER), named=True).results
        assert result.state is KpiState.OK


class TestWhatIsNoLongerWatched:
    def test_ends_once_for_those_who_were_told(self, store, clock, run):
        run([spec("gone"), spec("stays")], lambda _: 50)
        clock.advance(MINUTE)
        report = run([spec("stays")], lambda _: 50)
        assert (report.unwatched, report.alerts) == (("gone",), 2)
        ends = [alert for alert in store.alerts(START) if alert.event == "auto_resolved"]
        assert [(alert.incident_id, alert.channel) for alert in ends] == [("kpi:gone", "dba"), ("kpi:gone", "night")]
        assert {alert.subject for alert in ends} == {"[ok] KPI gone is no longer watched"}
        clock.advance(MINUTE)
        assert run([spec("stays")], lambda _: 50).unwatched == ()
        assert [memory.name for memory in store.troubled_kpis()] == ["stays"]

    def test_opens_anew_when_it_is_watched_again(self, store, clock, run):
        for specs in ([spec()], [], [spec()]):
            run(specs, lambda _: 50)
            clock.advance(MINUTE)
        events = [alert.event for alert in store.alerts(START) if alert.channel == "dba"]
        assert events[::-1] == ["opened", "auto_resolved", "opened"]

    def test_is_left_while_only_some_were_asked_for_by_name(self, store, clock, run):
        run([spec("a"), spec("b")], lambda _: 50)
        run([spec("a")], lambda _: 50, named=True)
        assert [memory.name for memory in store.troubled_kpis()] == ["a", "b"]

    def test_a_reading_under_way_is_not_overtaken(self, store, clock, run):
        run([spec()], lambda _: 50)
        clock.advance(MINUTE)
        (memory,) = store.troubled_kpis()
        assert store.lease_kpi(memory, clock(), clock() + MINUTE)
        assert run([], lambda _: 50).unwatched == ()
