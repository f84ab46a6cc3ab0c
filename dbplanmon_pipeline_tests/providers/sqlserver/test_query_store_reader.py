"""Query Store read by our own T-SQL over the wire: what the tables hold, bounded, and from version to version."""

from datetime import timedelta

import numpy as np
import pytest

from dbplanmon_pipeline.core.readings.deltas import difference, retained
from dbplanmon_pipeline.core.readings.query_store import ABORTED
from dbplanmon_pipeline.core.remedies.plan_forcing import plan_forcing
from dbplanmon_pipeline.errors import FeatureUnavailable, PermissionMissing, ProviderError
from dbplanmon_pipeline.providers.sqlserver.source import Source
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION
from dbplanmon_pipeline_tests.core.readings.small_readings import column
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import NOW, OPTIONS, box_2019
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import budget
from dbplanmon_pipeline_tests.providers.sqlserver.recorded import (
    HOUR,
    MARKED,
    Cached,
    Recorded,
    pretending,
    provider_to,
    reader_to,
    sent,
)
from dbplanmon_pipeline_tests.support.tds import TdsServer

VERSIONS = {"2016": "13.0.1601.5", "2017": "14.0.3456.2", "2019": "15.0.4430.1", "2022": "16.0.4135.4"}


def read(pretended, driver=None, previous=None, **more):
    with TdsServer(pretended.handler()) as server, reader_to(server, driver, **more) as reader:
        return reader.read_counters(previous)


def busy():
    found = Recorded().plan(1).plan(2, query=1).plan(3)
    return found.ran(1, 86).ran(1, 8).ran(2, 1, duration=5e6).ran(3, 4).ran(3, 2, kind=ABORTED, duration=9e5)


def test_a_reading_is_what_the_tables_hold(driver):
    found = read(pretending(busy()), driver)
    assert found.query_hash.tolist() == [1, 1, 3]
    assert found.plan_hash.tolist() == [1001, 1002, 1003]
    assert column(found, "execution_count") == [94, 1, 4]
    assert column(found, "elapsed_time_us") == [9_400, 5_000_000, 400]
    assert column(found, "worker_time_us") == [4_700, 2_500_000, 200]
    assert column(found, "logical_reads_pages") == [940, 10, 40]
    assert column(found, "spill_pages") == [188, 2, 8]
    assert column(found, "aborted_count") == [0, 0, 2]
    assert column(found, "memory_grant_kb_max") == [1024] * 3
    assert set(found.interval_start_us.tolist()) == {round(NOW.timestamp() * 1e6)}


def test_hashes_with_their_highest_bit_set_are_negative(driver):
    store = Recorded().plan(1).ran(1, 1)
    store.rows["sys.query_store_query"][0]["query_hash"] = bytes.fromhex("fffffffffffffffe")
    assert read(pretending(store), driver).query_hash.tolist() == [-2]


@pytest.mark.parametrize("version", VERSIONS.values(), ids=VERSIONS)
def test_each_version_is_read_by_what_it_has(version):
    found = read(pretending(busy(), version=version))
    assert column(found, "execution_count") == [94, 1, 4]
    assert np.isnan(column(found, "spill_pages")).all() == version.startswith("13.")


@pytest.mark.parametrize(
    ("version", "statement"),
    [("2016", "runtime_stats"), ("2017", "runtime_stats_2017"), ("2022", "runtime_stats_2022")],
)
def test_the_statement_fits_the_version(version, statement):
    with TdsServer(pretending(busy(), version=VERSIONS[version]).handler()) as server, reader_to(server) as reader:
        reader.read_counters()
        columns = {"runtime_stats": (False, False), "runtime_stats_2017": (False, True)}.get(statement, (True, True))
        (sql,) = {sql for kind, sql, _ in server.log if "AS execution_type" in sql and kind != "sp_unprepare"}
        assert ("rs.replica_group_id" in sql, "avg_tempdb_space_used" in sql) == columns


def test_a_deviation_that_the_server_rounds_away_is_none():
    store = Recorded().plan(1).ran(1, 2, duration=300.0)
    store.rows["sys.query_store_runtime_stats"][0].update(stdev_duration=None, stdev_cpu_time=None)
    found = read(pretending(store))
    assert column(found, "elapsed_time_us_sumsq") == [2 * 300.0**2]
    assert column(found, "worker_time_us_sumsq") == [2 * 150.0**2]


def test_hashes_are_asked_by_plan_in_few_widths():
    store = Recorded()
    for plan_id in range(1, 251):
        store.plan(plan_id).ran(plan_id, plan_id)
    with TdsServer(pretending(store).handler()) as server, reader_to(server) as reader:
        found = reader.read_counters()
        widths = [len(params) for kind, sql, params in server.log if "hashes of some plans" in sql and params]
    assert sorted(zip(found.query_hash.tolist(), column(found, "execution_count"), strict=True)) == [
        (number, number) for number in range(1, 251)
    ]
    assert widths == [100, 100, 100]


def test_figures_of_a_plan_that_is_gone_meanwhile_are_left_out():
    store = Recorded().plan(1).ran(1, 3).ran(2, 700)
    assert column(read(pretending(store)), "execution_count") == [3]


def test_work_of_other_replicas_stays_out():
    found = read(pretending(Recorded().plan(1).ran(1, 3).ran(1, 500, replica=2)))
    assert column(found, "execution_count") == [3]


@pytest.mark.parametrize(
    ("replica", "told", "kind"),
    [
        (1, "1: SQL1", "force_plan"),
        (2, "1: SQL1, 2: SQL2 with work in the last reading", "review_plans"),
        (3, "1: SQL1, 3: with work in the last reading", "review_plans"),
    ],
)
def test_a_replica_group_speaks_against_forcing_only_when_it_has_work(replica, told, kind, driver):
    store = Recorded().plan(1).ran(1, 3).ran(1, 500, replica=replica)
    names = {"replica_group_id": 1, "replica_name": "SQL1"}, {"replica_group_id": 2, "replica_name": "SQL2"}
    store.rows["sys.query_store_replicas"] = list(names)
    with TdsServer(pretending(store).handler()) as server, reader_to(server, driver) as reader:
        reader.read_counters()
        facts = reader.read_facts()
    assert facts["replica groups"] == told
    assert plan_forcing(PLAN_REGRESSION, old=None, new=None, present=facts).kind == kind


@pytest.mark.parametrize("version", ["2019", "2022"])
def test_waits_are_summed_per_plan(version):
    store = Recorded().plan(1).plan(2).ran(1, 3, wait_ms=40).ran(1, 3, wait_ms=2).ran(2, 1)
    assert column(read(pretending(store, version=VERSIONS[version])), "wait_time_us") == [42_000, 0]


def test_waits_are_not_asked_for_where_none_are_kept():
    pretended = pretending(busy(), options={**OPTIONS, "wait_stats_capture_mode_desc": "OFF"})
    with TdsServer(pretended.handler()) as server, reader_to(server) as reader:
        assert np.isnan(column(reader.read_counters(), "wait_time_us")).all()
        assert sent(server, "wait_stats_2022") == 0


def test_our_own_statements_are_left_out(driver):
    found = read(pretending(busy().plan(9, text=MARKED).ran(9, 700)), driver)
    assert found.query_hash.tolist() == [1, 1, 3]


def test_texts_are_looked_at_once_per_statement_whichever_database_runs_it():
    with TdsServer(pretending(busy().plan(9, text=MARKED).ran(9, 700)).handler()) as server:
        provider = provider_to(server)
        for database in ("shop", "shop2"):
            with provider.open(database, budget()) as reader:
                assert reader.read_counters().query_hash.tolist() == [1, 1, 3]
        assert sent(server, "own_queries") == 1


def test_a_second_reading_looks_at_the_texts_of_new_statements_only():
    store = busy()
    before = read(pretending(store))
    store.plan(7).ran(7, 1)
    with TdsServer(pretending(store).handler()) as server, reader_to(server) as reader:
        reader.read_counters(retained(before))
        asked = [params for kind, sql, params in server.log if "AS mark_position" in sql and kind != "sp_unprepare"]
        assert asked == [[7]]


def test_only_the_interval_that_may_still_change_is_read_again():
    store = busy()
    for hours in range(1, 9):
        store.ran(3, 1000, ago=hours * HOUR)
    before = read(pretending(store))
    store.ran(3, 5)
    later = timedelta(minutes=5)
    after = read(pretending(store, skew=later), previous=retained(before), clock=lambda: NOW + later)
    assert column(difference(retained(before), after).rows, "execution_count") == [5]
    assert set(after.interval_start_us.tolist()) == {
        round(NOW.timestamp() * 1e6),
        round((NOW - HOUR).timestamp() * 1e6),
    }


def test_after_an_outage_the_reading_goes_on_where_the_last_one_ended():
    early = Recorded().plan(3).ran(3, 10, ago=3 * HOUR)
    then = timedelta(minutes=5) - 3 * HOUR
    before = read(pretending(early, skew=then), clock=lambda: NOW + then)
    for hours in (2, 1):
        early.ran(3, 10, ago=hours * HOUR)
    found = difference(retained(before), read(pretending(early), previous=retained(before))).rows
    done = sum(column(found, "execution_count"))
    assert done == 10 + 10


def test_no_interval_no_further_question():
    with TdsServer(pretending(Recorded()).handler()) as server, reader_to(server) as reader:
        found = reader.read_counters()
        assert (len(found), found.by_interval) == (0, True)
        assert sent(server, "runtime_stats_2022") == sent(server, "wait_stats_2022") == 0


def test_more_rows_than_the_bound_are_an_error_with_a_way_out():
    with pytest.raises(ProviderError, match="more than 3 rows") as caught:
        read(pretending(busy()), most_rows=3)
    assert "QUERY_CAPTURE_MODE" in caught.value.remedy


def test_times_are_moved_onto_our_clock_where_the_servers_is_off(driver):
    pretended = pretending(busy(), skew=timedelta(seconds=90))
    found = read(pretended, driver)
    assert set(found.interval_start_us.tolist()) == {round((NOW.timestamp() - 90) * 1e6)}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"actual_state_desc": "OFF"}, "Query Store is OFF"),
        ({"actual_state_desc": "ERROR"}, "Query Store is ERROR"),
        ({"query_capture_mode_desc": "NONE"}, "records no new statements"),
    ],
    ids=["off", "error", "no capture"],
)
def test_where_query_store_does_not_record_the_plan_cache_serves(options, words):
    pretended = pretending(busy(), Cached().statement(1, 9), options={**OPTIONS, **options})
    with TdsServer(pretended.handler()) as server, reader_to(server) as reader:
        found = reader.read_counters()
        item = next(item for item in reader.capabilities().items if item.name == "source")
    assert (found.by_interval, column(found, "execution_count")) == (False, [9])
    assert words in item.detail


def test_a_read_only_query_store_serves_while_its_newest_interval_is_recent():
    stopped = {**OPTIONS, "actual_state_desc": "READ_ONLY", "readonly_reason": 65536}
    assert read(pretending(busy(), Cached().statement(1, 9), options=stopped)).by_interval
    old = Recorded().plan(1).ran(1, 5, ago=5 * HOUR)
    assert not read(pretending(old, Cached().statement(1, 9), options=stopped)).by_interval


def test_a_secondary_replica_is_read_from_its_plan_cache():
    pretended = pretending(
        busy(), Cached().statement(1, 9), scalars={"DATABASEPROPERTYEX(DB_NAME(), 'Updateability')": "READ_ONLY"}
    )
    assert not read(pretended).by_interval


def test_a_refused_statement_falls_back_to_the_plan_cache(driver):
    denied = {"sys.query_store_runtime_stats_interval": 297}
    found = read(pretending(busy(), Cached().statement(1, 9), denied=denied), driver)
    assert not found.by_interval


def test_query_store_asked_for_by_the_settings_is_never_replaced():
    pretended = pretending(busy(), Cached().statement(1, 9), options={**OPTIONS, "actual_state_desc": "OFF"})
    with pytest.raises(FeatureUnavailable, match="Query Store is OFF") as caught:
        read(pretended, source=Source.QUERY_STORE)
    assert "ALTER DATABASE [shop] SET QUERY_STORE = ON" in caught.value.remedy


def test_where_neither_may_be_read_the_grants_are_told():
    rights = {"server": 0, "server_performance": 0, "database": 0, "database_performance": 0}
    denied = dict.fromkeys(("sys.database_query_store_options", "sys.dm_exec_query_stats", "sys.dm_os_sys_info"), 300)
    with pytest.raises(PermissionMissing) as caught:
        read(pretending(busy(), rights=rights, denied=denied))
    assert "GRANT" in caught.value.remedy


def test_history_is_read_in_whole_intervals(driver):
    store = Recorded().plan(1).ran(1, 999)
    for hours in range(1, 60):
        store.ran(1, hours, ago=hours * HOUR)
    with TdsServer(pretending(store).handler()) as server, reader_to(server, driver) as reader:
        found = reader.read_history(NOW - 48 * HOUR, NOW + HOUR)
    assert column(found, "execution_count") == list(range(48, 0, -1))
    assert len(set(found.interval_start_us.tolist())) == 48


def test_history_slices_get_smaller_until_they_fit():
    store = Recorded()
    for plan in range(1, 5):
        store.plan(plan)
        for hours in range(1, 25):
            store.ran(plan, 1, ago=hours * HOUR)
    with TdsServer(pretending(store).handler()) as server, reader_to(server, most_rows=10) as reader:
        found = reader.read_history(NOW - 24 * HOUR, NOW)
    assert sum(column(found, "execution_count")) == 96


def test_a_query_store_that_is_off_has_no_history():
    pretended = pretending(busy(), options={**OPTIONS, "actual_state_desc": "OFF"})
    with TdsServer(pretended.handler()) as server, reader_to(server) as reader, pytest.raises(FeatureUnavailable):
        reader.read_history(NOW - HOUR, NOW)


def test_what_we_cost_is_told():
    with TdsServer(box_2019().handler()) as server, reader_to(server) as reader:
        reader.read_counters()
        assert reader.cost_ms > 0
