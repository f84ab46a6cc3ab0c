"""The indexes of simulated tables, read from their catalogue through real drivers; also while time goes on."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.ports import Budget, StatementKey
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.providers.simulated.indexes import context_of
from dbplanmon_pipeline.providers.simulated.statements import query_hash, subject
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings, Encrypt
from dbplanmon_pipeline.providers.sqlserver.drivers import DriverKind, find_driver
from dbplanmon_pipeline.providers.sqlserver.provider import SqlServerProvider
from dbplanmon_pipeline_tests.support.simulated_sqlserver import SimulatedSqlServer
from dbplanmon_pipeline_tests.support.tds import TdsServer
from dbplanmon_pipeline_tests.support.tds.drivers import driver_path, odbc

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
STATEMENTS = 8


class RunningClock:
    """Another moment at each look, from several threads."""

    def __init__(self):
        self._guard = threading.Lock()
        self._now = NOON

    def __call__(self):
        with self._guard:
            self._now += timedelta(milliseconds=7)
            return self._now


@pytest.fixture(params=list(DriverKind), ids=str)
def driver(request):
    odbc()
    return find_driver(str(driver_path(request.param.value)))


def fleet(clock, databases=1):
    return SimulatedProvider("fleet", databases, clock=clock, statements=STATEMENTS, seed=5, source="query_store")


def watching(server, driver, clock):
    settings = ConnectionSettings(
        "127.0.0.1",
        server.port,
        user="mon",
        password=lambda: "s3cret-Of-The-Monitor",
        encrypt=Encrypt.OPTIONAL,
        driver=driver.name_or_path,
    )
    return SqlServerProvider(instance="fleet", connection=settings, clock=clock)


def keys_of(reading):
    columns = zip(reading.query_hash.tolist(), reading.plan_hash.tolist(), reading.keys, strict=True)
    return [StatementKey(*column) for column in columns]


def budget():
    return Budget(time.monotonic() + 30, time.monotonic)


def test_contexts_read_over_the_wire_hold_what_serves_each_statement(driver):
    clock = lambda: NOON  # noqa: E731 - a moment that stands still
    simulated = fleet(clock)
    pretended = SimulatedSqlServer(simulated, clock)
    with TdsServer(pretended.handler, auth=pretended.auth) as server:
        provider = watching(server, driver, clock)
        with provider.open("sim0001", budget()) as reader:
            plans = {plan.query_hash: plan for plan in reader.read_plans(keys_of(reader.read_counters()))}
        provider.close()
    assert len(plans) == STATEMENTS
    for statement in range(STATEMENTS):
        about, found = subject(statement), plans[query_hash(statement)].context
        served = context_of(about)
        assert (found["database"], found["read_at"]) == ("fleet/sim0001", NOON.isoformat())
        assert found["tables"].items() <= served["tables"].items()
        own = {name: text for name, text in served["indexes"].items() if name.partition(" on ")[2] in found["tables"]}
        assert own
        assert own.items() <= found["indexes"].items()


def test_many_connections_read_while_the_clock_runs(driver):
    clock = RunningClock()
    simulated = fleet(clock, databases=6)
    pretended = SimulatedSqlServer(simulated, clock)
    with TdsServer(pretended.handler, auth=pretended.auth) as server:
        provider = watching(server, driver, clock)

        def read(database):
            with provider.open(database, budget()) as reader:
                reading = reader.read_counters()
                return reading, reader.read_plans(keys_of(reading)[:2])

        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(read, simulated.databases()))
        provider.close()
    assert all(isinstance(reading, CounterReading) and len(reading) for reading, _ in found)
