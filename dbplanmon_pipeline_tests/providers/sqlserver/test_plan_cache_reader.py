"""The plan cache read by our own T-SQL over the wire, once for all databases of a server."""

import threading
import time
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.readings.deltas import difference
from dbplanmon_pipeline.errors import PermissionMissing, ProviderError, QueryTimedOut
from dbplanmon_pipeline.providers.sqlserver.source import Source
from dbplanmon_pipeline_tests.core.readings.small_readings import column
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import NOW, azure
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import budget
from dbplanmon_pipeline_tests.providers.sqlserver.recorded import (
    MARKED,
    Cached,
    keys_of,
    pretending,
    provider_to,
    reader_to,
    sent,
)
from dbplanmon_pipeline_tests.support.hourglass import Hourglass
from dbplanmon_pipeline_tests.support.tds import Delay, TdsServer

VERSIONS = {"2016": "13.0.1601.5", "2016 SP2": "13.0.5026.0", "2019": "15.0.4430.1", "2022": "16.0.4135.4"}


def read(pretended, driver=None, previous=None, **more):
    with (
        TdsServer(pretended.handler()) as server,
        reader_to(server, driver, source=Source.PLAN_CACHE, **more) as reader,
    ):
        return reader.read_counters(previous)


def busy():
    return Cached().statement(1, 100).statement(2, 10, query=1).statement(3, 7, query=3, offsets=(0, 40))


def test_a_reading_is_what_the_tables_hold(driver):
    found = read(pretending(busy()), driver)
    assert sorted(zip(found.query_hash.tolist(), column(found, "execution_count"), strict=True)) == [
        (1, 10),
        (1, 100),
        (3, 7),
    ]
    assert len(set(found.keys)) == 3
    assert sorted(column(found, "elapsed_time_us")) == [700, 1_000, 10_000]
    assert column(found, "memory_grant_kb_max") == [1024] * 3


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_each_version_is_read_by_what_it_has(version):
    found = read(pretending(busy(), version=version))
    assert sorted(column(found, "execution_count")) == [7, 10, 100]
    assert (column(found, "spill_pages")[0] == 0) == (version != "13.0.1601.5")


def test_statements_of_other_databases_stay_out():
    found = read(pretending(busy().statement(4, 5_000, database=6, query=9)))
    assert 9 not in found.query_hash.tolist()


def test_lives_begin_when_the_plan_was_compiled_by_our_clock():
    pretended = pretending(Cached().statement(1, 1, age=timedelta(minutes=7)), skew=timedelta(hours=2))
    found = read(pretended)
    assert found.life_began_us.tolist() == [round((NOW - timedelta(hours=2, minutes=7)).timestamp() * 1e6)]


def test_a_recompiled_statement_is_another_life():
    before = read(pretending(Cached().statement(1, 100)))
    after = read(
        pretending(Cached().statement(1, 130, age=timedelta(minutes=1)), skew=timedelta(0)),
        previous=before,
        clock=lambda: NOW + timedelta(minutes=5),
    )
    assert before.keys == after.keys
    delta = difference(before, after)
    assert (delta.resets, column(delta.rows, "execution_count")) == (1, [130])


def test_our_own_statements_are_left_out(driver):
    found = read(pretending(busy().statement(9, 900, query=9, text=MARKED)), driver)
    assert sorted(found.query_hash.tolist()) == [1, 1, 3]


def test_texts_are_cut_by_offsets_and_masked(driver):
    batch = "DECLARE @a int = 7; SELECT b FROM t WHERE c = 4711 AND d = @a; SELECT 2"
    begin, end = batch.index("SELECT b"), batch.index("; SELECT 2")
    cached = Cached().statement(1, 5, text=batch, offsets=(2 * begin, 2 * (end - 1)))
    server = TdsServer(pretending(cached).handler())
    with server, reader_to(server, driver, source=Source.PLAN_CACHE) as reader:
        (text,) = reader.read_texts(keys_of(reader.read_counters()))
    assert (text.text, text.kind) == ("SELECT b FROM t WHERE c = ? AND d = @a", "SELECT")


def test_texts_and_plans_that_left_the_cache_are_no_failure():
    cached = busy()
    with TdsServer(pretending(cached).handler()) as server, reader_to(server, source=Source.PLAN_CACHE) as reader:
        keys = keys_of(reader.read_counters())
        cached.rows["sys.dm_exec_sql_text"].clear()
        cached.rows["sys.dm_exec_text_query_plan"].clear()
        server.handler = pretending(cached).handler()
        new = [key for key in keys if key.query_hash == 3]
        assert [plan.reason for plan in reader.read_plans(new)] == ["no plan: it has left the plan cache"]


@pytest.mark.parametrize(
    ("plan", "plan_hash", "reason"),
    [
        (None, 0, "no plan: the server keeps no plan of it"),
        ("<ShowPlanXML", 1003, "no plan: it cannot be read safely"),
        ("x" * 17_000_000, 1003, "no plan: it takes 34 MB, more than 32 MB"),
    ],
    ids=["none yet", "unsafe", "too large"],
)
def test_only_what_stays_true_of_a_plan_is_told_of_its_hash(plan, plan_hash, reason):
    cached = busy()
    cached.rows["sys.dm_exec_text_query_plan"][-1]["query_plan"] = plan
    with TdsServer(pretending(cached).handler()) as server, reader_to(server, source=Source.PLAN_CACHE) as reader:
        (asked,) = [key for key in keys_of(reader.read_counters()) if key.query_hash == 3]
        (answer,) = reader.read_plans([asked])
    assert (answer.plan_hash, answer.reason) == (plan_hash, reason)


def test_plans_come_by_handle_and_offsets(driver):
    server = TdsServer(pretending(busy()).handler())
    with server, reader_to(server, driver, source=Source.PLAN_CACHE) as reader:
        plans = reader.read_plans(keys_of(reader.read_counters()))
    assert {(plan.query_hash, plan.plan_hash, plan.origin) for plan in plans} == {
        (1, 1001, "cached"),
        (3, 1003, "cached"),
    }
    assert all("4711" not in plan.body for plan in plans)


def test_one_look_serves_all_databases():
    pretended = pretending(busy())
    with TdsServer(pretended.handler()) as server:
        provider = provider_to(server, source=Source.PLAN_CACHE)
        failures = []

        def collect(database):
            try:
                with provider.open(database, budget()) as reader:
                    assert len(reader.read_counters()) == 3
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=collect, args=(f"tenant{number}",)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert sent(server, "plan_cache_spills") == 1


def test_a_database_that_asks_again_gets_a_new_look():
    with TdsServer(pretending(busy()).handler()) as server:
        provider = provider_to(server, source=Source.PLAN_CACHE)
        for _ in range(2):
            with provider.open("shop", budget()) as reader:
                reader.read_counters()
        assert sent(server, "plan_cache_spills") == 2


def test_only_new_plans_are_asked_for_their_database():
    cached = busy()
    with TdsServer(pretending(cached).handler()) as server:
        provider = provider_to(server, source=Source.PLAN_CACHE)

        def look():
            with provider.open("shop", budget()) as reader:
                return sorted(reader.read_counters().query_hash.tolist())

        assert look() == [1, 1, 3]
        assert look() == [1, 1, 3]
        assert sent(server, "plan_databases") == 1
        cached.statement(7, 5, query=7, age=timedelta(minutes=3)).statement(8, 5, query=8, database=6)
        server.handler = pretending(cached).handler()
        assert look() == [1, 1, 3, 7]
        asked = [params for _, sql, params in server.log if "one costly question per plan" in sql and params]
    assert len(asked) == 2
    assert asked[1] == asked[0]


def test_a_new_plan_does_not_ask_for_the_old_ones_again():
    cached = busy()
    with TdsServer(pretending(cached).handler()) as server:
        provider = provider_to(server, source=Source.PLAN_CACHE)
        for age in (timedelta(minutes=3), timedelta(minutes=1)):
            with provider.open("shop", budget()) as reader:
                reader.read_counters()
            cached.statement(10 + age.seconds // 60, 5, query=7, age=age)
            server.handler = pretending(cached).handler()
        with provider.open("shop", budget()) as reader:
            assert sorted(reader.read_counters().query_hash.tolist()) == [1, 1, 3, 7, 7]
        since = [params[0] for _, sql, params in server.log if "one costly question per plan" in sql and params]
    assert [(later - since[0]) // 60_000 for later in since] == [0, 117, 119]


def test_a_plan_that_leaves_between_two_questions_is_left_out():
    cached = busy()
    cached.rows["sys.dm_exec_plan_attributes"] = cached.rows["sys.dm_exec_plan_attributes"][2:]
    found = read(pretending(cached))
    assert sorted(column(found, "execution_count")) == [7, 10]


def test_the_change_to_summer_time_begins_no_new_lives():
    before = read(pretending(busy()))
    summer = busy()
    for row in summer.rows["sys.dm_exec_query_stats"]:
        row["creation_time"] += timedelta(hours=1)
    assert read(pretending(summer)).lives == before.lives


def test_who_waits_for_the_look_of_another_waits_within_the_budget():
    handler = pretending(busy()).handler()
    looks = threading.Event()

    def slow(request):
        if "dm_exec_plan_attributes" in request.sql:
            looks.set()
            return Delay(50.0, handler(request))
        return handler(request)

    first_has, second_has = Hourglass(), Hourglass()
    with TdsServer(slow) as server:
        provider = provider_to(server, source=Source.PLAN_CACHE)

        def look():
            with pytest.raises(QueryTimedOut), provider.open("a", first_has.budget) as reader:
                reader.read_counters()

        first = threading.Thread(target=look)
        first.start()
        assert looks.wait(30)
        with provider.open("b", second_has.budget) as reader:
            second_has.leave(0.3)
            began = time.monotonic()
            with pytest.raises(QueryTimedOut):
                reader.read_counters()
        assert time.monotonic() - began < 25
        assert first.is_alive()
        first_has.leave(0.0)
        first.join()


def test_after_a_failed_look_the_next_one_tries():
    pretended = pretending(busy())
    pretended.denied = {"sys.dm_exec_plan_attributes": 300}
    with TdsServer(pretended.handler()) as server:
        provider = provider_to(server, source=Source.PLAN_CACHE)
        with pytest.raises(PermissionMissing), provider.open("a", budget()) as reader:
            reader.read_counters()
        pretended.denied = {}
        server.handler = pretended.handler()
        with provider.open("b", budget()) as reader:
            assert len(reader.read_counters()) == 3


def test_a_missing_right_names_the_grant():
    rights = {"server": 0, "server_performance": 0, "database": 1, "database_performance": 1}
    with pytest.raises(PermissionMissing) as caught:
        read(pretending(busy(), rights=rights))
    assert "GRANT VIEW SERVER PERFORMANCE STATE TO [mon]" in caught.value.remedy


def test_a_cache_beyond_the_bound_is_an_error_with_a_way_out():
    with pytest.raises(ProviderError, match="more than 2 statements") as caught:
        read(pretending(busy()), most_rows=2)
    assert "Query Store" in caught.value.remedy


def test_azure_shows_one_database_and_is_asked_without_its_number():
    pretended = pretending(busy(), version="12.0.2000.8", edition="SQL Azure", engine_edition=5)
    with TdsServer(pretended.handler()) as server, reader_to(server, source=Source.PLAN_CACHE) as reader:
        assert len(reader.read_counters()) == 3
        assert sent(server, "plan_cache_azure") == 1
    assert pretended.level == azure().level


def test_an_empty_cache_is_an_empty_reading():
    assert len(read(pretending(Cached()))) == 0
