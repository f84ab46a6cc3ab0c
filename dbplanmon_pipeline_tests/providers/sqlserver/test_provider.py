"""The provider over the wire: discovery, bounded connections and budgets, and failures that stay where they are."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest

from dbplanmon_pipeline.composition.providers import build_provider
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import Budget, CaptureState
from dbplanmon_pipeline.errors import CannotConnect, ProviderError, QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver import SqlServerProvider
from dbplanmon_pipeline.providers.sqlserver.connection import Encrypt
from dbplanmon_pipeline.providers.sqlserver.source import Source
from dbplanmon_pipeline.services.read_database import CaptureLimits, read_database
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline_tests.core.readings.small_readings import column
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import NOW, OPTIONS
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import PASSWORD, USER, after, budget, eventually
from dbplanmon_pipeline_tests.providers.sqlserver.recorded import Cached, Recorded, pretending, provider_to, sent
from dbplanmon_pipeline_tests.support.hourglass import Hourglass
from dbplanmon_pipeline_tests.support.tds import Delay, ServerError, TdsServer

OFF = {**OPTIONS, "actual_state_desc": "OFF"}


def busy():
    return Recorded().plan(1).plan(2).ran(1, 90).ran(2, 5)


def source_of(reader):
    return next((item.available, item.detail) for item in reader.capabilities().items if item.name == "source")


def slow_at(handler, word, seconds, database=None):
    """The handler, but for statements with this word, in one database or all."""

    def answer(request):
        chosen = word in request.sql and database in (None, request.login["database"])
        return Delay(seconds, handler(request)) if chosen else handler(request)

    return answer


def test_given_names_are_the_databases():
    provider = SqlServerProvider(instance="sql1", connection=None, databases=["b", "a"])
    assert provider.databases() == ["b", "a"]
    assert provider.engine is Engine.SQLSERVER


def test_discovery_lets_the_patterns_decide(driver):
    shown = [{"name": name, "state": 0, "is_distributor": False} for name in ("sales_1", "sales_old", "hr", "master")]
    pretended = pretending(busy())
    pretended.rows["sys.databases"] = shown
    with TdsServer(pretended.handler()) as server:
        assert provider_to(server, driver).databases() == ["hr", "sales_1", "sales_old", "shop"]
        assert provider_to(server, driver, include=["^sales"], exclude=["old$"]).databases() == ["sales_1"]
        assert {login["database"] for login in server.logins} == {"master"}


def lose_the_connection(provider, server):
    with provider.open("shop", budget()) as reader:
        server.cut_all()
        reader.read_counters()


def test_what_lasts_is_asked_once_per_database_and_again_after_a_failure():
    pretended = pretending(busy())
    with TdsServer(pretended.handler()) as server:
        provider = provider_to(server)
        for _ in range(3):
            with provider.open("shop", budget()) as reader:
                reader.read_counters()
        assert [sent(server, name) for name in ("columns", "permissions", "server")] == [1, 1, 3]
        with pytest.raises(CannotConnect):
            lose_the_connection(provider, server)
        with provider.open("shop", budget()) as reader:
            reader.read_counters()
        assert [sent(server, name) for name in ("columns", "permissions", "server")] == [2, 2, 4]


def test_a_query_store_that_stopped_meanwhile_is_seen_by_the_next_reading():
    with TdsServer(pretending(busy(), Cached().statement(1, 4)).handler()) as server:
        provider = provider_to(server)
        with provider.open("shop", budget()) as reader:
            reader.read_counters()
            assert reader.read_facts()["query store state"] == "READ_WRITE"
        server.handler = pretending(busy(), Cached().statement(1, 4), options=OFF).handler()
        with provider.open("shop", budget()) as reader:
            reader.read_counters()
            told = reader.read_facts()
    assert (told["query store state"], told["figures come from"]) == ("OFF", "plan cache")


def test_forced_plans_are_looked_for_now_and_then_only():
    moments = [NOW, NOW + timedelta(minutes=14), NOW + timedelta(minutes=16), NOW + timedelta(minutes=20)]
    store = busy()
    store.rows["sys.query_store_plan"][0].update(is_forced_plan=True, force_failure_count=0)
    with TdsServer(pretending(store).handler()) as server:
        present = [NOW]
        provider = provider_to(server, clock=lambda: present[0])
        asked = []
        for moment in moments:
            present[0] = moment
            with provider.open("shop", budget()) as reader:
                facts = reader.read_facts()
            assert facts[f"forced plan {1:016x} {1001:016x}"] == "forced"
            asked.append(sent(server, "forced_plans"))
        with provider.open("shop2", budget()) as reader:
            reader.read_facts()
        asked.append(sent(server, "forced_plans"))
    assert asked == [1, 1, 2, 2, 3]


@pytest.mark.parametrize(("later", "shift"), [(0, 0), (1.5, 0), (20, 20_000_000)])
def test_the_clock_of_the_server_is_asked_anew_and_trifles_are_left_alone(later, shift):
    store = busy()
    with TdsServer(pretending(store, skew=timedelta(seconds=7.4)).handler()) as server:
        provider = provider_to(server)
        with provider.open("shop", budget()) as reader:
            before = reader.read_counters()
        server.handler = pretending(store, skew=timedelta(seconds=7.4 + later)).handler()
        with provider.open("shop", budget()) as reader:
            after = reader.read_counters()
    assert before.interval_start_us[0] - after.interval_start_us[0] == shift


def test_capabilities_ask_again_and_tell_the_source(driver):
    with (
        TdsServer(pretending(busy()).handler()) as server,
        provider_to(server, driver).open("shop", budget()) as reader,
    ):
        assert source_of(reader) == (True, "figures come from Query Store")
        server.handler = pretending(busy(), Cached(), options=OFF).handler()
        assert source_of(reader) == (True, "figures come from the plan cache: Query Store is OFF")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Source.QUERY_STORE, (False, "the settings ask for Query Store, but: Query Store is OFF")),
        (Source.PLAN_CACHE, (True, "figures come from the plan cache, as the settings say")),
    ],
    ids=str,
)
def test_capabilities_tell_whether_the_source_of_the_settings_serves(asked, told):
    server = TdsServer(pretending(busy(), Cached(), options=OFF).handler())
    with server, provider_to(server, source=asked).open("shop", budget()) as reader:
        assert source_of(reader) == told


def test_facts_tell_where_the_figures_come_from():
    with TdsServer(pretending(busy()).handler()) as server, provider_to(server).open("shop", budget()) as reader:
        reader.read_counters()
        assert reader.read_facts()["figures come from"] == "Query Store"


def test_each_statement_can_be_tried():
    server = TdsServer(pretending(busy(), Cached()).handler())
    with server, provider_to(server).open("shop", budget(60.0)) as reader:
        trials = {trial.name: trial for trial in reader.try_statements()}
    for name in (
        "intervals",
        "runtime_stats_2022",
        "wait_stats_2022",
        "plan_cache_spills",
        "stored_plans",
        "cached_plan",
    ):
        assert (trials[name].ok, trials[name].message) == (True, ""), name


def connected_to(port):
    """Connections this process holds to a server; one that was closed here is none, though the server may not know."""
    found = psutil.Process().net_connections("tcp")
    return sum(one.status == psutil.CONN_ESTABLISHED and one.raddr.port == port for one in found)


def test_a_hundred_databases_never_take_more_than_16_connections():
    handler = pretending(busy()).handler()

    def as_one(request):
        return handler(replace(request, login={**request.login, "database": "shop"}))

    with TdsServer(as_one) as server:
        provider = provider_to(server, max_connections=16)

        def collect(number):
            with provider.open(f"tenant{number:02}", budget(60.0)) as reader:
                return len(reader.read_counters())

        with ThreadPoolExecutor(48) as pool:
            running = [pool.submit(collect, number) for number in range(100)]
            seen = [connected_to(server.port)]
            while not all(one.done() for one in running):
                seen.append(connected_to(server.port))
        assert [one.result() for one in running] == [2] * 100
        assert 8 <= max(seen) <= 16
        assert len(server.logins) == 100
        assert eventually(lambda: server.open_connections == 0)


def test_a_slow_database_keeps_its_budget_within_a_second(driver):
    handler = slow_at(pretending(busy()).handler(), "AS execution_type", 30.0)
    with TdsServer(handler) as server:
        time_left = Hourglass()
        with provider_to(server, driver).open("shop", time_left.budget) as reader:
            time_left.leave(0.5)
            began = time.monotonic()
            with pytest.raises(QueryTimedOut):
                reader.read_counters()
        assert time.monotonic() - began < 15


def test_one_failing_database_leaves_the_others_alone():
    handler = slow_at(pretending(busy()).handler(), "AS execution_type", 30.0, "slow")

    def refuse(login):
        return ServerError(4060, "Cannot open database", 11) if login["database"] == "gone" else None

    with TdsServer(handler, auth=refuse) as server:
        provider = provider_to(server)
        outcomes = {}

        def collect(database):
            try:
                time_left = Hourglass()
                with provider.open(database, time_left.budget) as reader:
                    if database == "slow":
                        time_left.leave(0.5)
                    outcomes[database] = len(reader.read_counters())
            except ProviderError as error:
                outcomes[database] = type(error)

        threads = [threading.Thread(target=collect, args=(name,)) for name in ("slow", "gone", "a", "b", "c")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert outcomes == {"slow": QueryTimedOut, "gone": CannotConnect, "a": 2, "b": 2, "c": 2}


def test_cancel_breaks_what_runs_within_a_second(driver):
    handler = slow_at(pretending(busy()).handler(), "AS execution_type", 30.0)
    with TdsServer(handler) as server:
        provider = provider_to(server, driver)
        spent = []

        def cancel():
            began = time.monotonic()
            provider.cancel()
            spent.append(time.monotonic() - began)

        began = time.monotonic()
        reading = provider.open("shop", budget(60.0))
        with after(1.0, cancel), pytest.raises(QueryTimedOut, match="cancelled"), reading as reader:
            reader.read_counters()
        assert time.monotonic() - began < 15
        assert eventually(lambda: bool(spent))
        assert spent[0] < 10


def test_a_timeout_keeps_to_query_store_where_its_intervals_were_recorded():
    """Another source would begin anew; the next reading of this one loses nothing."""
    locked = ServerError(1222, "Lock request time out period exceeded.")
    store, cached = busy(), Cached().statement(1, 9)
    handler = pretending(store, cached).handler()

    def refusing(request):
        return locked if "AS execution_type" in request.sql else handler(request)

    with TdsServer(handler) as server:
        with provider_to(server).open("shop", budget()) as reader:
            before = reader.read_counters()
        server.handler = refusing
        with pytest.raises(QueryTimedOut), provider_to(server).open("shop", budget()) as reader:
            reader.read_counters(before)
        with provider_to(server).open("shop", budget()) as reader:
            assert column(reader.read_counters(None), "execution_count") == [9]


def test_the_whole_reading_of_a_database_ends_as_one_outcome():
    with TdsServer(pretending(busy()).handler()) as server:
        limits = CaptureLimits(min_executions=1)
        empty = CaptureState(None, {}, frozenset())
        ref = DatabaseRef("sql1", "shop")
        found = read_database(provider_to(server), ref, empty, budget(), NOW, limits, interval=NOW - NOW)
    assert (found.outcome.rows, found.outcome.new_plans, found.outcome.new_statements) == (2, 2, 2)
    assert found.outcome.message == ""
    assert found.outcome.cost_ms > 0


def test_settings_become_a_connection(monkeypatch):
    monkeypatch.setenv("MONITOR_PASSWORD", PASSWORD)
    instance = {
        "name": "sql1",
        "engine": "sqlserver",
        "server": "db.example.com",
        "login": {"user": USER, "password": "env:MONITOR_PASSWORD"},
        "encrypt": "strict",
        "application_intent": "read_only",
        "options": {"source": "plan_cache"},
        "databases": ["shop"],
    }
    settings = Settings.model_validate(
        {"instances": [instance], "collection": {"max_workers": 4}, "privacy": {"redact": False}}
    )
    provider = build_provider(settings.instances[0], settings)
    connection = provider._connection
    assert isinstance(provider, SqlServerProvider)
    assert (connection.server, connection.port, connection.user, connection.encrypt) == (
        "db.example.com",
        None,
        USER,
        Encrypt.STRICT,
    )
    assert (connection.password(), connection.read_only) == (PASSWORD, True)
    assert (provider._source, provider._gate.limit, provider._redact) == (Source.PLAN_CACHE, 4, False)
    assert PASSWORD not in repr(connection)


def test_a_spent_budget_opens_nothing():
    with TdsServer(pretending(busy()).handler()) as server:
        spent = Budget(time.monotonic() - 1.0, time.monotonic)
        with pytest.raises(ProviderError), provider_to(server).open("shop", spent):
            pass
        assert server.logins == []
