"""The collector's own T-SQL against a simulated SQL Server, through real drivers: it reads what the simulator knows."""

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.core.ports import Budget, StatementKey
from dbplanmon_pipeline.core.readings.counters import EXECUTIONS, READS, WORKER
from dbplanmon_pipeline.core.readings.deltas import difference, retained
from dbplanmon_pipeline.errors import CannotConnect, LoginFailed
from dbplanmon_pipeline.providers.simulated import SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings, Encrypt
from dbplanmon_pipeline.providers.sqlserver.drivers import DriverKind, find_driver
from dbplanmon_pipeline.providers.sqlserver.provider import SqlServerProvider
from dbplanmon_pipeline_tests.support.simulated_sqlserver import SimulatedSqlServer
from dbplanmon_pipeline_tests.support.tds import TdsServer
from dbplanmon_pipeline_tests.support.tds.drivers import driver_path, odbc

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ONE = "sim0001"
MEASURES = [EXECUTIONS, WORKER, READS]


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=list(DriverKind), ids=str)
def driver(request):
    odbc()
    return find_driver(str(driver_path(request.param.value)))


def minutes(count):
    return timedelta(minutes=count)


def fault(kind, at, until=None, **more):
    return SimulatedFault(kind, ONE, 2, kind, NOON + minutes(at), until and NOON + minutes(until), **more)


def fleet(clock, *faults, **options):
    settings = {"source": "query_store", **options}
    return SimulatedProvider("fleet", 2, clock=clock, statements=8, seed=5, faults=faults, **settings)


@contextmanager
def served(simulated, clock, driver, **options):
    """The provider for SQL Server that watches the fleet."""
    pretended = SimulatedSqlServer(simulated, clock, **options)
    with TdsServer(pretended.handler, auth=pretended.auth) as server:
        settings = ConnectionSettings(
            "127.0.0.1",
            server.port,
            user="mon",
            password=lambda: "s3cret-Of-The-Monitor",
            encrypt=Encrypt.OPTIONAL,
            driver=driver.name_or_path,
        )
        provider = SqlServerProvider(instance="fleet", connection=settings, clock=clock)
        try:
            yield provider
        finally:
            provider.close()


def budget():
    return Budget(time.monotonic() + 20, time.monotonic)


def read(provider, previous=None, database=ONE):
    with provider.open(database, budget()) as reader:
        return reader.read_counters(previous)


def recorded(provider, clock, steps):
    """All work of one database by (query_hash, plan_hash), and the moments it was read at."""
    state, found, moments = None, {}, []
    for step in steps:
        clock.now += step
        reading = read(provider, state)
        moments.append(clock.now)
        rows = difference(state, reading).rows
        state = retained(reading)
        for key, work in zip(
            zip(rows.query_hash.tolist(), rows.plan_hash.tolist(), strict=True), rows.values[:, MEASURES], strict=True
        ):
            found[key] = found.get(key, 0.0) + work
    return {key: work.tolist() for key, work in found.items()}, moments


def assert_same_reading(over_the_wire, in_process):
    order = np.argsort(over_the_wire.keys), np.argsort(in_process.keys)
    for name in ("query_hash", "plan_hash", "values", "extrema", "interval_start_us", "interval_end_us"):
        one, other = getattr(over_the_wire, name)[order[0]], getattr(in_process, name)[order[1]]
        np.testing.assert_allclose(one, other, rtol=1e-12, err_msg=name)
    assert sorted(over_the_wire.keys) == sorted(in_process.keys)
    assert (over_the_wire.covers_from_us, over_the_wire.next_from_us) == (
        in_process.covers_from_us,
        in_process.next_from_us,
    )


@pytest.mark.parametrize("version", ["2016", "2017", "2019", "2022"])
def test_a_reading_of_query_store_is_the_same_as_in_process(clock, driver, version):
    simulated = fleet(clock, fault("plan_regression", -20, factor=6.0), version=version)
    clock.now += minutes(3)
    with served(simulated, clock, driver) as provider:
        first, expected = read(provider), read(simulated)
        assert_same_reading(first, expected)
        clock.now += minutes(7)
        assert_same_reading(read(provider, retained(first)), read(simulated, retained(expected)))


def test_truth_is_record_over_the_wire(clock, driver):
    simulated = fleet(
        clock,
        fault("plan_regression", 12, 31, factor=9.0),
        fault("aborted_executions", 5, 50, factor=3.0),
        fault("late_flush", 20, 33, shows_at=NOON + minutes(41)),
        fault("restart", 47),
    )
    with served(simulated, clock, driver) as provider:
        found, moments = recorded(
            provider, clock, [minutes(4), *[minutes(5)] * 9, minutes(1), minutes(130), minutes(5)]
        )
    wanted = simulated.recordable(ONE, moments)
    assert found == {key: [w.executions, w.worker_us, w.reads_pages] for key, w in wanted.items() if w.executions}
    assert len(found) == 9


def test_the_plan_cache_is_recorded_as_it_could_be_seen(clock, driver):
    simulated = fleet(
        clock,
        fault("plan_regression", 12, factor=9.0),
        fault("restart", 31),
        fault("eviction", 42),
        source="plan_cache",
    )
    with served(simulated, clock, driver) as provider:
        found, moments = recorded(provider, clock, [minutes(5)] * 12)
    wanted = simulated.recordable(ONE, moments)
    assert found == {key: [w.executions, w.worker_us, w.reads_pages] for key, w in wanted.items() if w.executions}


@pytest.mark.parametrize("source", ["query_store", "plan_cache"])
def test_plans_and_texts_are_those_of_the_statements(clock, driver, source):
    simulated = fleet(clock, fault("plan_regression", -20, factor=6.0), source=source)
    clock.now += minutes(3)
    with served(simulated, clock, driver) as provider, provider.open(ONE, budget()) as reader:
        reading = reader.read_counters()
        places = {(q, p): k for q, p, k in zip(reading.query_hash, reading.plan_hash, reading.keys, strict=True)}
        keys = [StatementKey(int(query), int(plan), key) for (query, plan), key in places.items()]
        texts, plans = reader.read_texts(keys), reader.read_plans(keys)
    assert {text.query_hash for text in texts} == set(reading.query_hash.tolist())
    assert all("FROM dbo." in text.text for text in texts)
    assert {plan.plan_hash for plan in plans} == set(reading.plan_hash.tolist())
    assert all(tree_of(plan) is not None for plan in plans)


def test_facts_are_the_same_as_in_process(clock, driver):
    simulated = fleet(
        clock,
        fault("plan_regression", -60, factor=6.0),
        fault("forced_plan", -180, factor=1.0),
        fault("update", -90, -85),
    )
    with served(simulated, clock, driver) as provider:
        with provider.open(ONE, budget()) as reader:
            over_the_wire = dict(reader.read_facts())
        with simulated.open(ONE, budget()) as reader:
            in_process = dict(reader.read_facts())
    same = {name for name in in_process if over_the_wire.get(name) == in_process[name]}
    assert set(in_process) - same <= {"database identity"}
    assert any(name.startswith("engine advice ") for name in same)
    assert over_the_wire["SQL Server version"] == "16.0.1010.1"
    assert any(value.startswith("forced, 3 failures") for value in in_process.values())


def test_databases_are_found_and_dead_ones_refuse(clock, driver):
    simulated = SimulatedProvider("fleet", 3, clock=clock, statements=3, failing=1)
    (dead,) = simulated.failing_databases
    with served(simulated, clock, driver) as provider:
        assert provider.databases() == ["sim0001", "sim0002", "sim0003"]
        with pytest.raises((CannotConnect, LoginFailed)), provider.open(dead, budget()):
            pass


def test_a_query_store_that_is_off_gives_way_to_the_plan_cache(clock, driver):
    simulated = fleet(clock, fault("query_store_off", -600))
    with served(simulated, clock, driver) as provider:
        reading = read(provider)
    assert not reading.by_interval
    assert len(reading) == 8
