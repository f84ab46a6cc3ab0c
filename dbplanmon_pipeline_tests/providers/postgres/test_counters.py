import math
import os
import signal
import threading
import time
from datetime import UTC, datetime, timedelta

import numpy as np
import psycopg
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import FactChange, StatementKey
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.core.readings.deltas import difference
from dbplanmon_pipeline.core.restarts import Restarts
from dbplanmon_pipeline.errors import PermissionMissing
from dbplanmon_pipeline_tests.providers.postgres.monitored import (
    PASSWORD,
    budget,
    provider_of,
    query_hash_of,
    read_counters,
    run,
    value_of,
)
from dbplanmon_pipeline_tests.support.postgres import connect

COUNTED = "SELECT sum(total) FROM orders WHERE customer_id = 7"
LIKE = "SELECT sum(total) FROM orders WHERE customer_id%"


def test_executions_and_rows_are_those_that_ran(monitored_server, steady_database):
    before = read_counters(monitored_server, steady_database)
    run(monitored_server, steady_database, "SELECT id FROM orders WHERE id <= 30", times=7)
    after = read_counters(monitored_server, steady_database)
    query_hash = query_hash_of(monitored_server, steady_database, "SELECT id FROM orders WHERE id <=%")

    assert query_hash not in before.query_hash
    assert (value_of(after, query_hash), value_of(after, query_hash, "rows")) == (7, 210)


def test_values_are_the_servers_own_in_house_units(monitored_server, database):
    run(monitored_server, database, COUNTED, times=5)
    query_hash = query_hash_of(monitored_server, database, LIKE)
    reading = read_counters(monitored_server, database)
    with connect(monitored_server, database) as session:
        total, mean, deviation, blocks = session.execute(
            "SELECT total_exec_time, mean_exec_time, stddev_exec_time, shared_blks_hit + shared_blks_read"
            " FROM pg_stat_statements WHERE queryid = %s",
            (query_hash,),
        ).fetchone()

    assert value_of(reading, query_hash, "elapsed_time_us") == pytest.approx(total * 1000)
    assert value_of(reading, query_hash, "elapsed_time_us_sumsq") == pytest.approx(5e6 * (mean**2 + deviation**2))
    assert value_of(reading, query_hash, "logical_reads_pages") == blocks > 0


def test_what_postgresql_does_not_tell_is_unknown_and_never_zero(monitored_server, database):
    run(monitored_server, database, COUNTED)
    reading = read_counters(monitored_server, database)
    unknown = {name for index, name in enumerate(COUNTERS) if np.isnan(reading.values[:, index]).all()}

    assert unknown == {
        "worker_time_us",
        "worker_time_us_sumsq",
        "wait_time_us",
        "aborted_count",
        "exception_count",
    }


def test_io_time_is_unknown_where_the_server_does_not_measure_it(spare_server, spare_database):
    run(spare_server, spare_database, COUNTED)
    reading = read_counters(spare_server, spare_database)

    assert len(reading) > 0
    assert np.isnan(reading.values[:, COUNTERS.index("io_time_us")]).all()


def test_extremes_bound_the_mean(monitored_server, database):
    run(monitored_server, database, COUNTED, times=5)
    query_hash = query_hash_of(monitored_server, database, LIKE)
    reading = read_counters(monitored_server, database)
    row = int(np.flatnonzero(reading.query_hash == query_hash)[0])
    least, most = (reading.extrema[row, EXTREMA.index(f"elapsed_time_us_{end}")] for end in ("min", "max"))

    assert 0 < least <= value_of(reading, query_hash, "elapsed_time_us") / 5 <= most


def test_spills_are_counted_in_pages(monitored_server, database):
    spilling = "SELECT count(*) FROM (SELECT g FROM generate_series(1, 60000) g ORDER BY random()) s"
    run(monitored_server, database, "SET work_mem = '64kB'; " + spilling)
    query_hash = query_hash_of(monitored_server, database, "SELECT count(*) FROM (SELECT g FROM gen%")

    assert value_of(read_counters(monitored_server, database), query_hash, "spill_pages") > 50


def test_utility_statements_are_kept_for_they_cost_time(monitored_server, database):
    run(monitored_server, database, "ANALYZE orders")
    query_hash = query_hash_of(monitored_server, database, "ANALYZE orders")

    assert query_hash in read_counters(monitored_server, database).query_hash


def test_other_databases_do_not_show(monitored_server, database):
    run(monitored_server, "postgres", "SELECT 'elsewhere', 1, 2, 3, 4, 5, 6")
    with connect(monitored_server, database) as session:
        row = session.execute(
            "SELECT queryid FROM pg_stat_statements WHERE query LIKE 'SELECT $1, $2, $3, $4, $5, $6, $7'"
        ).fetchone()

    assert row[0] not in read_counters(monitored_server, database).query_hash


def test_the_same_statement_of_two_roles_is_two_counters(monitored_server, database):
    run(monitored_server, database, COUNTED, "SET ROLE mon_reader; " + COUNTED)
    query_hash = query_hash_of(monitored_server, database, LIKE)
    reading = read_counters(monitored_server, database)

    assert list(reading.query_hash).count(query_hash) == 2
    assert len(set(reading.keys)) == len(reading)


def test_a_reset_begins_new_lives(monitored_server, database):
    run(monitored_server, database, COUNTED, times=3)
    query_hash = query_hash_of(monitored_server, database, LIKE)
    before = read_counters(monitored_server, database)
    run(monitored_server, database, "SELECT pg_stat_statements_reset()", COUNTED)
    after = read_counters(monitored_server, database)
    old, new = (reading.lives[list(reading.query_hash).index(query_hash)] for reading in (before, after))

    assert old
    assert new
    assert old != new
    assert value_of(after, query_hash) == 1


def test_an_evicted_statement_that_returns_has_another_life_or_fewer_executions(spare_server, spare_database):
    run(spare_server, spare_database, COUNTED, times=4)
    query_hash = query_hash_of(spare_server, spare_database, LIKE)
    before = read_counters(spare_server, spare_database)
    others = [f"SELECT {', '.join('1' * width)}" for width in range(1, 140) for _ in range(8)]
    run(spare_server, spare_database, *others)
    gone = read_counters(spare_server, spare_database)
    run(spare_server, spare_database, COUNTED)
    back = read_counters(spare_server, spare_database)
    old, new = (reading.lives[list(reading.query_hash).index(query_hash)] for reading in (before, back))

    assert query_hash not in gone.query_hash
    assert value_of(back, query_hash) == 1
    assert (old != new) == (spare_server_version(spare_server) >= 170000)


def spare_server_version(server) -> int:
    with connect(server) as session:
        return session.info.server_version


def test_counters_and_lives_survive_a_clean_restart(spare_server, spare_database):
    run(spare_server, spare_database, "SELECT pg_stat_statements_reset()", COUNTED, COUNTED)
    query_hash = query_hash_of(spare_server, spare_database, LIKE)
    before = read_counters(spare_server, spare_database)
    told, stopped_at = told_facts(spare_server, spare_database), datetime.now(UTC)
    _wait_for_another_second(spare_server)
    spare_server.restart()
    after = read_counters(spare_server, spare_database)
    old, new = (reading.lives[list(reading.query_hash).index(query_hash)] for reading in (before, after))

    assert value_of(after, query_hash) == 2
    assert old == new
    ((word, at),) = restarts_between(told, told_facts(spare_server, spare_database))
    assert word == "restart"
    assert at >= stopped_at.replace(microsecond=0)


def told_facts(server, database):
    with provider_of(server).open(database, budget()) as reader:
        return reader.read_facts()


def restarts_between(before, after):
    """When the caches of a server became cold, by what it told of itself before and after."""
    ref, now = DatabaseRef("spare", "t"), datetime.now(UTC)
    changes = [FactChange(ref, name, now, before[name], value) for name, value in after.items()]
    found = Restarts.of([change for change in changes if change.before != change.after]).known
    assert all(restart.is_dated for restart in found)
    return [(restart.word, restart.at) for restart in found]


def test_a_crash_begins_new_lives(spare_server, spare_database):
    run(spare_server, spare_database, "SELECT pg_stat_statements_reset()", COUNTED, COUNTED)
    query_hash = query_hash_of(spare_server, spare_database, LIKE)
    before = read_counters(spare_server, spare_database)
    _wait_for_another_second(spare_server)
    told, crashed_at = told_facts(spare_server, spare_database), datetime.now(UTC)
    with connect(spare_server, spare_database) as victim:
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        _wait_until_recovered(spare_server)
    run(spare_server, spare_database, COUNTED)
    after = read_counters(spare_server, spare_database)
    old, new = (reading.lives[list(reading.query_hash).index(query_hash)] for reading in (before, after))

    assert value_of(after, query_hash) == 1
    assert old != new
    after_crash = told_facts(spare_server, spare_database)
    assert after_crash["server started"] == told["server started"]
    ((word, at),) = restarts_between(told, after_crash)
    assert word == "crash"
    assert at >= crashed_at.replace(microsecond=0)


def test_a_start_by_hand_ends_what_a_crash_left_behind(spare_server, spare_database):
    spare_server.restart()
    facts = told_facts(spare_server, spare_database)
    assert facts["crash recovery"] == "none since the start"


def _wait_for_another_second(server) -> None:
    """Moments are told to the second, and a crash within a second of the start is part of it."""
    with connect(server) as session:
        session.execute("SELECT pg_sleep(2 - extract(epoch FROM now() - pg_postmaster_start_time()))")


def _wait_until_recovered(server) -> None:
    """All sessions are broken while the server restarts itself; one that was begun before then does not count."""
    time.sleep(0.3)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            with connect(server) as session:
                session.execute("SELECT 1")
                return
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError("the server did not recover")


@pytest.mark.parametrize("user", ["mon", "mon_reader", "mon_quiet"])
def test_our_own_statements_do_not_show(monitored_server, database, user):
    run(monitored_server, database, COUNTED)
    query_hash = query_hash_of(monitored_server, database, LIKE)
    provider = provider_of(monitored_server, user)
    key = StatementKey(query_hash, 0, "")
    for _ in range(3):
        with provider.open(database, budget()) as reader:
            reader.capabilities()
            reading = reader.read_counters()
            reader.read_texts([key])
            reader.read_plans([key])
    with connect(monitored_server, database) as session:
        oid = session.execute("SELECT oid FROM pg_roles WHERE rolname = %s", (user,)).fetchone()[0]

    assert query_hash in reading.query_hash
    assert [key for key in reading.keys if key.startswith(f"{oid}/")] == []


def test_other_statements_under_our_role_still_show(monitored_server, database):
    run(monitored_server, database, "SET ROLE mon_reader; " + COUNTED)
    query_hash = query_hash_of(monitored_server, database, LIKE)

    assert query_hash in read_counters(monitored_server, database, "mon_reader").query_hash


def test_a_quiet_role_leaves_no_statement_on_the_server(monitored_server, steady_database):
    run(monitored_server, steady_database, COUNTED)
    with provider_of(monitored_server, "mon_quiet").open(steady_database, budget()) as reader:
        reader.capabilities()
        reader.read_counters()
    with connect(monitored_server, steady_database) as session:
        count = session.execute(
            "SELECT count(*) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE rolname = 'mon_quiet'"
        ).fetchone()

    assert count == (0,)


def test_lives_begin_on_our_clock_even_where_the_servers_is_off(monitored_server, database):
    run(monitored_server, database, "SELECT pg_stat_statements_reset()", COUNTED)
    ours = datetime.now(UTC) - timedelta(hours=5)
    with provider_of(monitored_server, clock=lambda: ours).open(database, budget()) as reader:
        reading = reader.read_counters()
    began = reading.life_began_us[reading.life_began_us > 0] / 1e6
    expected_known = spare_server_version(monitored_server) >= 170000

    assert bool(len(began)) == expected_known
    assert all(math.isclose(moment, ours.timestamp(), abs_tol=60) for moment in began)
    assert reading.read_at == ours


def test_a_first_execution_that_spans_a_reading_is_counted_by_the_next_one(monitored_server, database):
    """The server creates the counter when the statement begins, and shows it when it has ended."""
    slow = "SELECT count(*) FROM orders WHERE id = 3 AND pg_sleep(0.8) IS NOT NULL"
    running = threading.Thread(target=run, args=(monitored_server, database, slow))
    running.start()
    time.sleep(0.3)
    during = read_counters(monitored_server, database)
    running.join()
    query_hash = query_hash_of(monitored_server, database, "SELECT count(*) FROM orders WHERE id = $1 AND pg_sleep%")
    rows = difference(during, read_counters(monitored_server, database)).rows
    (row,) = np.flatnonzero(rows.query_hash == query_hash)

    assert query_hash not in during.query_hash
    assert rows.values[row, COUNTERS.index("execution_count")] == 1
    assert rows.values[row, COUNTERS.index("elapsed_time_us")] > 700_000


def test_an_extension_left_behind_by_an_upgrade_is_read_in_its_own_form(monitored_server, database):
    run(
        monitored_server,
        database,
        "DROP EXTENSION pg_stat_statements",
        "CREATE SCHEMA metrics",
        "GRANT USAGE ON SCHEMA metrics TO mon",
        "CREATE EXTENSION pg_stat_statements SCHEMA metrics VERSION '1.9'",
        COUNTED,
    )

    with provider_of(monitored_server).open(database, budget()) as reader:
        assert len(reader.read_counters()) > 0


def test_a_role_that_sees_only_itself_is_told_what_to_grant(monitored_server, database):
    run(monitored_server, database, COUNTED)
    with (
        pytest.raises(PermissionMissing, match="GRANT pg_monitor TO outsider"),
        provider_of(monitored_server, "outsider").open(database, budget()) as reader,
    ):
        reader.read_counters()


def test_texts_are_normalised_and_pass_through_the_redaction(monitored_server, database):
    run(monitored_server, database, COUNTED, f"COMMENT ON TABLE orders IS '{PASSWORD}'")
    select = query_hash_of(monitored_server, database, LIKE)
    comment = query_hash_of(monitored_server, database, "COMMENT ON TABLE%")
    provider = provider_of(monitored_server, redact=lambda text: text.replace(PASSWORD, "?"))
    with provider.open(database, budget()) as reader:
        texts = {
            text.query_hash: text for text in reader.read_texts([StatementKey(q, 0, "") for q in (select, comment)])
        }

    assert texts[select].text == "SELECT sum(total) FROM orders WHERE customer_id = $1"
    assert (texts[select].kind, texts[comment].kind) == ("select", "comment")
    assert PASSWORD not in texts[comment].text


def test_texts_the_role_may_not_see_come_as_data(monitored_server, database):
    run(monitored_server, database, COUNTED)
    key = StatementKey(query_hash_of(monitored_server, database, LIKE), 0, "")
    with provider_of(monitored_server, "outsider").open(database, budget()) as reader:
        (text,) = reader.read_texts([key])

    assert (text.text, text.kind) == ("", "permission_missing")
