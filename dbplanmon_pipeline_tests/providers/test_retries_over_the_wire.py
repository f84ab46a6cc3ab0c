"""A collection meets a server that fails once: the database is read all the same, in the same run."""

import contextlib
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest

from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.providers.postgres import PostgresProvider
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings, Encrypt
from dbplanmon_pipeline.providers.sqlserver.drivers import DriverKind, find_driver
from dbplanmon_pipeline.providers.sqlserver.provider import SqlServerProvider
from dbplanmon_pipeline.services.collect import CollectionPolicy, CollectionTarget, collect
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.support.postgres import connect
from dbplanmon_pipeline_tests.support.simulated_sqlserver import SimulatedSqlServer
from dbplanmon_pipeline_tests.support.tds import Drop, ServerError, TdsServer
from dbplanmon_pipeline_tests.support.tds.drivers import driver_path, odbc

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
POLICY = CollectionPolicy(4, timedelta(minutes=5), BreakerPolicy(5, timedelta(seconds=30), timedelta(minutes=10)))
ONCE = 1


@pytest.fixture
def clock():
    return FixedClock(NOON)


@pytest.fixture
def store(tmp_path, clock):
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=clock)
    store.upgrade()
    yield store
    store.close()


def collected(provider, database, store, clock):
    target = CollectionTarget(DatabaseRef("one", database), provider.engine, CaptureLimits(), 20.0)
    (outcome,) = collect([target], {"one": provider}, store, clock=clock, policy=POLICY).outcomes
    return outcome


class FailsFirst:
    """Gives `fault` instead of the answer to the first statements that name `view`."""

    def __init__(self, handler, fault, view="query_store_runtime_stats", times=ONCE):
        self.handler = handler
        self.fault = fault
        self.view = view
        self.left = times
        self.asked = 0

    def __call__(self, request):
        if self.view not in request.sql or "sys.columns" in request.sql or "all_columns" in request.sql:
            return self.handler(request)
        self.asked += 1
        if self.left:
            self.left -= 1
            return self.fault
        return self.handler(request)


class TestSqlServer:
    @pytest.fixture(params=list(DriverKind), ids=str)
    def driver(self, request):
        odbc()
        return find_driver(str(driver_path(request.param.value)))

    @contextlib.contextmanager
    def served(self, clock, driver, alter=lambda handler: handler, auth=lambda login: None):
        fleet = SimulatedProvider("one", 1, clock=clock, statements=6, seed=5, source="query_store")
        pretended = SimulatedSqlServer(fleet, clock)
        handler = alter(pretended.handler)
        with TdsServer(handler, auth=lambda login: auth(login) or pretended.auth(login)) as server:
            settings = ConnectionSettings(
                "127.0.0.1",
                server.port,
                user="mon",
                password=lambda: "s3cret-Of-The-Monitor",
                encrypt=Encrypt.OPTIONAL,
                driver=driver.name_or_path,
            )
            provider = SqlServerProvider(instance="one", connection=settings, clock=clock)
            try:
                yield provider, handler, server
            finally:
                provider.close()

    @pytest.mark.parametrize(
        ("fault", "why"),
        [
            (Drop(), "connection was lost"),
            (ServerError(1205, "Transaction was deadlocked.", 13), "lost a deadlock"),
            (ServerError(601, "Could not continue scan with NOLOCK due to data movement.", 12), "data moved"),
        ],
        ids=["cut", "deadlock", "data moved"],
    )
    def test_a_statement_that_fails_once(self, fault, why, driver, store, clock):
        with self.served(clock, driver, lambda handler: FailsFirst(handler, fault)) as (provider, handler, _):
            outcome = collected(provider, "sim0001", store, clock)
        assert outcome.status is CollectionStatus.FIRST_READING
        assert outcome.statements_read == 6
        assert why in outcome.message
        assert handler.asked > ONCE

    @pytest.mark.parametrize("number", [40613, 49918, 40501])
    def test_azure_turns_the_login_away_once(self, number, driver, store, clock):
        answers = [ServerError(number, "Busy.", 17)]
        with self.served(clock, driver, auth=lambda _: answers.pop() if answers else None) as (provider, _, server):
            outcome = collected(provider, "sim0001", store, clock)
        assert outcome.status is CollectionStatus.FIRST_READING
        assert f"({number})" in outcome.message
        assert len(server.logins) >= 2

    @pytest.mark.parametrize(
        ("number", "error_class"), [(18456, "login"), (18487, "login"), (4060, "unreachable"), (40615, "unreachable")]
    )
    def test_a_refusal_that_will_not_pass_is_not_asked_for_twice(self, number, error_class, driver, store, clock):
        with self.served(clock, driver, auth=lambda _: ServerError(number, "No.", 14)) as (provider, _, server):
            outcome = collected(provider, "sim0001", store, clock)
        assert (outcome.status, outcome.error_class) == (CollectionStatus.FAILED, error_class)
        assert len({id(login) for login in server.logins}) == ONCE

    def test_a_missing_right_is_not_asked_for_twice(self, driver, store, clock):
        denied = ServerError(300, "VIEW SERVER STATE permission was denied on object 'server'.", 14)
        with self.served(clock, driver, lambda handler: FailsFirst(handler, denied, times=9)) as (provider, handler, _):
            outcome = collected(provider, "sim0001", store, clock)
        assert handler.asked == ONCE
        assert "further attempt" not in outcome.message


class Proxy:
    """Stands before a server and cuts the first connections after so many bytes of answers."""

    def __init__(self, port, cut_after, connections=ONCE):
        self._target = ("127.0.0.1", port)
        self._cut_after = cut_after
        self._left = connections
        self._threads = []
        self.accepted = 0

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.accepted += 1
                self._start(self._serve, client, self._cut_after if self._left else None)
                self._left = max(0, self._left - 1)

    def _serve(self, client, bound):
        with client, socket.create_connection(self._target) as server:
            there = threading.Thread(target=self._carry, args=(client, server, None), daemon=True)
            there.start()
            self._carry(server, client, bound)
            there.join(10)

    @staticmethod
    def _carry(source, sink, bound):
        carried = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                carried += len(data)
                if bound is not None and carried > bound:
                    break
                sink.sendall(data)
        for line in (source, sink):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)


class TestPostgres:
    def provider(self, port, clock):
        return PostgresProvider(
            instance="one", host="127.0.0.1", port=port, user="postgres", sslmode="disable", clock=clock
        )

    @pytest.fixture
    def database(self, postgres_server, postgres_database):
        with connect(postgres_server, postgres_database) as session:
            session.execute("CREATE EXTENSION pg_stat_statements")
            session.execute("SELECT count(*) FROM pg_class")
        return postgres_database

    @pytest.mark.parametrize("cut_after", [0, 700], ids=["while connecting", "while reading"])
    def test_a_connection_that_is_cut_once(self, cut_after, postgres_server, database, store, clock):
        with Proxy(postgres_server.port, cut_after) as proxy:
            outcome = collected(self.provider(proxy.port, clock), database, store, clock)
        assert outcome.status is CollectionStatus.FIRST_READING
        assert "read at a further attempt: " in outcome.message
        assert proxy.accepted == 2

    def test_a_server_that_keeps_cutting_is_asked_three_times(self, postgres_server, database, store, clock):
        with Proxy(postgres_server.port, 0, connections=99) as proxy:
            outcome = collected(self.provider(proxy.port, clock), database, store, clock)
        assert (outcome.status, outcome.error_class) == (CollectionStatus.FAILED, "unreachable")
        assert proxy.accepted == 3

    def test_a_database_that_is_not_there_is_asked_for_once(self, postgres_server, store, clock):
        with Proxy(postgres_server.port, 0, connections=0) as proxy:
            outcome = collected(self.provider(proxy.port, clock), "nobody_has_this", store, clock)
        assert outcome.error_class == "unreachable"
        assert proxy.accepted == ONCE
