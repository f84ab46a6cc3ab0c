import os
import signal
import threading
import time

import psycopg
import pytest

from dbplanmon_pipeline.core.ports import StatementKey
from dbplanmon_pipeline.errors import (
    CannotConnect,
    FeatureUnavailable,
    LoginFailed,
    PermissionMissing,
    ProviderError,
    QueryTimedOut,
)
from dbplanmon_pipeline.providers.postgres import PostgresProvider
from dbplanmon_pipeline.providers.postgres.failures import scrubbed, translate
from dbplanmon_pipeline.providers.postgres.session import refuse_old_version
from dbplanmon_pipeline_tests.providers.postgres.monitored import (
    PASSWORD,
    after,
    budget,
    provider_of,
    query_hash_of,
    run,
    silent_listener,
)
from dbplanmon_pipeline_tests.support.hourglass import Hourglass
from dbplanmon_pipeline_tests.support.postgres import connect, fresh_database

SLEEP = b"SELECT /* dbplanmon */ pg_sleep(30)"


def _open(provider: PostgresProvider, database: str = "postgres", seconds: float = 60.0) -> None:
    with provider.open(database, budget(seconds)):
        pass


def test_a_wrong_password_is_a_failed_login_that_keeps_the_secret(monitored_server):
    with pytest.raises(LoginFailed) as caught:
        _open(provider_of(monitored_server, password=lambda: "wrong-and-secret"))

    assert caught.value.error_class == "login"
    assert caught.value.target == "pg/postgres"
    assert "wrong-and-secret" not in str(caught.value) + repr(caught.value.__cause__)
    assert caught.value.remedy


def test_no_password_is_a_failed_login(monitored_server):
    with pytest.raises(LoginFailed):
        _open(provider_of(monitored_server, password=lambda: None))


def test_an_unknown_role_is_a_failed_login(monitored_server):
    with pytest.raises(LoginFailed):
        _open(provider_of(monitored_server, "nobody_here"))


def test_a_missing_database_says_so(monitored_server):
    with pytest.raises(CannotConnect, match="no such database"):
        _open(provider_of(monitored_server), "never_made")


def test_a_closed_database_is_a_failed_login(monitored_server, database):
    run(monitored_server, database, f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    with pytest.raises(LoginFailed):
        _open(provider_of(monitored_server), database)


def test_a_stopped_server_is_unreachable_and_readable_again_after_the_start(spare_server, spare_database):
    provider = provider_of(spare_server)
    spare_server.stop()
    try:
        with pytest.raises(CannotConnect, match="nothing listens"):
            _open(provider, spare_database)
    finally:
        spare_server.start()

    _open(provider, spare_database)


def test_a_server_that_goes_while_we_read_is_unreachable(spare_server, spare_database):
    provider = provider_of(spare_server)
    with provider.open(spare_database, budget()) as reader:
        spare_server.restart()
        with pytest.raises(CannotConnect):
            reader.read_counters()


def test_a_server_without_free_connections_says_so(spare_server, spare_database):
    run(spare_server, "postgres", "ALTER ROLE mon CONNECTION LIMIT 1")
    provider = provider_of(spare_server)
    try:
        with (
            provider.open(spare_database, budget()),
            pytest.raises(CannotConnect, match="no free connection"),
        ):
            _open(provider, spare_database)
    finally:
        run(spare_server, "postgres", "ALTER ROLE mon CONNECTION LIMIT -1")


def test_an_unknown_host_says_so():
    provider = PostgresProvider(instance="pg", host="no-such-host.invalid", user="mon", connect_timeout=5)
    with pytest.raises(CannotConnect, match=r"host name|no answer"):
        _open(provider)


def test_a_demand_for_tls_the_server_lacks_says_so(monitored_server):
    with pytest.raises(CannotConnect, match="encrypted"):
        _open(provider_of(monitored_server, sslmode="require"))


def test_a_silent_server_is_left_after_the_connect_timeout():
    with silent_listener() as port:
        provider = PostgresProvider(instance="pg", host="127.0.0.1", port=port, user="mon", connect_timeout=0.4)
        began = time.monotonic()
        with pytest.raises(CannotConnect, match="no answer in time"):
            _open(provider)

    assert time.monotonic() - began < 15


def test_the_budget_bounds_the_connecting_too():
    with silent_listener() as port:
        provider = PostgresProvider(instance="pg", host="127.0.0.1", port=port, user="mon", connect_timeout=30)
        began = time.monotonic()
        with pytest.raises(CannotConnect):
            _open(provider, seconds=0.3)

    assert time.monotonic() - began < 15


def test_a_cancelled_run_stops_connecting_at_once():
    stop = threading.Event()
    with silent_listener() as port, after(0.2, stop.set):
        provider = PostgresProvider(instance="pg", host="127.0.0.1", port=port, user="mon", connect_timeout=30)
        began = time.monotonic()
        with pytest.raises(QueryTimedOut), provider.open("postgres", budget(30, stop.is_set)):
            pass

    assert time.monotonic() - began < 15


def test_a_statement_ends_with_the_budget(monitored_server, steady_database):
    began = time.monotonic()
    with (
        pytest.raises(QueryTimedOut, match=r"budget|ran out of time"),
        provider_of(monitored_server).open(steady_database, budget(1.0)) as reader,
    ):
        reader._session.rows(SLEEP)

    assert time.monotonic() - began < 15


def test_nothing_is_asked_once_the_budget_is_spent(monitored_server, steady_database):
    time_left = Hourglass()
    with provider_of(monitored_server).open(steady_database, time_left.budget) as reader:
        time_left.leave(0.0)
        with pytest.raises(QueryTimedOut, match="time budget is spent"):
            reader.read_counters()


@pytest.mark.parametrize("way", ["provider", "budget"])
def test_cancelling_breaks_a_running_statement_at_once(monitored_server, steady_database, way):
    provider, stop = provider_of(monitored_server), threading.Event()
    with provider.open(steady_database, budget(30, stop.is_set)) as reader:
        began = time.monotonic()
        with (
            after(0.2, provider.cancel if way == "provider" else stop.set),
            pytest.raises(QueryTimedOut, match="cancelled"),
        ):
            reader._session.rows(SLEEP)
        assert time.monotonic() - began < 15
        with pytest.raises(QueryTimedOut):
            reader.read_counters()


def test_cancelling_breaks_several_readers_and_leaves_no_session_behind(monitored_server, steady_database):
    provider = provider_of(monitored_server)
    failures: list[ProviderError] = []

    def read() -> None:
        try:
            with provider.open(steady_database, budget(30)) as reader:
                reader._session.rows(SLEEP)
        except ProviderError as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    _wait_for_sessions(monitored_server, 4)
    began = time.monotonic()
    provider.cancel()
    took = time.monotonic() - began
    for thread in threads:
        thread.join()

    assert took < 15
    assert [type(error) for error in failures] == [QueryTimedOut] * 4
    _wait_for_sessions(monitored_server, 0)


def _wait_for_sessions(server, count: int) -> None:
    until = time.monotonic() + 30
    with connect(server) as session:
        while time.monotonic() < until:
            (found,) = session.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbplanmon' AND state = 'active'"
                " AND query LIKE '%pg_sleep%'"
            ).fetchone()
            if found == count:
                return
            time.sleep(0.02)
    raise AssertionError(f"{found} sessions, expected {count}")


def test_a_server_that_stopped_answering_is_cut_off(spare_server, spare_database):
    """The backend is halted, so that neither a cancel request nor a statement timeout can end the statement."""
    with provider_of(spare_server).open(spare_database, budget(1.2)) as reader:
        backend = reader._session._connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(QueryTimedOut):
                reader.read_counters()
            took = time.monotonic() - began
        finally:
            os.kill(backend, signal.SIGCONT)

    assert took < 15


def test_the_session_is_read_only(monitored_server, steady_database):
    provider = provider_of(monitored_server, "postgres", password=lambda: monitored_server.password)
    with provider.open(steady_database, budget()) as reader, pytest.raises(ProviderError, match="25006"):
        reader._session.rows(b"CREATE TABLE /* dbplanmon */ forbidden (id int)")


def test_the_connection_is_gone_after_the_block_even_when_it_raised(monitored_server, steady_database):
    backends: list[int] = []

    def fail_inside() -> None:
        with provider_of(monitored_server).open(steady_database, budget()) as reader:
            backends.append(reader._session._connection.info.backend_pid)
            reader._session.rows(b"SELECT /* dbplanmon */ 1 / 0")

    with pytest.raises(ProviderError, match="22012"):
        fail_inside()
    until, alive = time.monotonic() + 30, True
    with connect(monitored_server) as session:
        while alive and time.monotonic() < until:
            alive = session.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ANY (%s)", (backends,)).fetchone()

    assert not alive


def test_it_shows_under_its_application_name(monitored_server, steady_database):
    with provider_of(monitored_server).open(steady_database, budget()), connect(monitored_server) as session:
        row = session.execute("SELECT usename FROM pg_stat_activity WHERE application_name = 'dbplanmon'").fetchone()

    assert row == ("mon",)


def test_a_lock_on_a_table_does_not_hold_up_the_counters(monitored_server, steady_database):
    with connect(monitored_server, steady_database) as blocker:
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        with provider_of(monitored_server).open(steady_database, budget(2)) as reader:
            assert len(reader.read_counters()) > 0
        blocker.execute("ROLLBACK")


def test_a_missing_extension_is_told_with_the_statement_that_installs_it(monitored_server):
    with (
        fresh_database(monitored_server) as name,
        provider_of(monitored_server).open(name, budget()) as reader,
        pytest.raises(FeatureUnavailable, match="CREATE EXTENSION pg_stat_statements;"),
    ):
        reader.read_counters()


def test_the_extension_dropped_between_two_readings_is_told_too(monitored_server, database):
    with provider_of(monitored_server).open(database, budget()) as reader:
        reader.read_counters()
        run(monitored_server, database, "DROP EXTENSION pg_stat_statements")
        with pytest.raises(FeatureUnavailable, match="CREATE EXTENSION"):
            reader.read_counters()


def test_a_library_that_is_not_loaded_is_told_with_the_setting(spare_server, spare_database):
    run(spare_server, "postgres", "ALTER SYSTEM SET shared_preload_libraries = 'auto_explain'")
    spare_server.restart()
    try:
        with provider_of(spare_server).open(spare_database, budget()) as reader:
            missing = {item.name: item.remedy for item in reader.capabilities().missing}
            with pytest.raises(FeatureUnavailable, match="shared_preload_libraries"):
                reader.read_counters()
    finally:
        run(spare_server, "postgres", "ALTER SYSTEM RESET shared_preload_libraries")
        spare_server.restart()

    assert "shared_preload_libraries" in missing["pg_stat_statements_loaded"]


def test_a_statement_that_is_too_slow_to_plan_is_a_reason(monitored_server, database):
    run(
        monitored_server,
        database,
        "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS"
        " $$ BEGIN PERFORM pg_sleep($1 * 30); RETURN $1; END $$",
        "CREATE VIEW slowly AS SELECT id FROM orders WHERE id > slow(0)",
        "SELECT max(id) FROM slowly",
    )
    key = StatementKey(query_hash_of(monitored_server, database, "SELECT max(id) FROM slowly"), 0, "")
    run(monitored_server, database, "CREATE OR REPLACE VIEW slowly AS SELECT id FROM orders WHERE id > slow(1)")
    provider = provider_of(monitored_server, "mon_reader")
    with provider.open(database, budget(6)) as reader:
        (plan,) = reader.read_plans([key])

    assert plan.reason == "no plan: planning took longer than 2 s"


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("28000", LoginFailed),
        ("28P01", LoginFailed),
        ("3D000", CannotConnect),
        ("53300", CannotConnect),
        ("57P01", CannotConnect),
        ("57P03", CannotConnect),
        ("08006", CannotConnect),
        ("42501", PermissionMissing),
        ("57014", QueryTimedOut),
        ("55P03", QueryTimedOut),
        ("55000", FeatureUnavailable),
        ("42P01", FeatureUnavailable),
        ("XX000", ProviderError),
    ],
)
def test_each_state_has_its_error(state, kind):
    error = psycopg.errors.lookup(state)("in the words of the server") if state != "28000" else _invalid_login()

    assert type(translate(error, "pg/x")) is kind


def _invalid_login() -> psycopg.Error:
    return psycopg.errors.InvalidAuthorizationSpecification("in the words of the server")


@pytest.mark.parametrize(
    "message",
    [
        f"bad conninfo: password={PASSWORD} host=x",
        f"postgresql://mon:{PASSWORD}@host/db is wrong",
        "password = 'other words' host=x",
    ],
)
def test_no_message_carries_a_secret(message):
    told = scrubbed(message, (PASSWORD,))

    assert PASSWORD not in told
    assert "other words" not in told


def test_messages_are_one_bounded_line():
    assert "\n" not in scrubbed("a\nb" * 500, ())
    assert len(scrubbed("a" * 5000, ())) == 300


def test_servers_older_than_15_are_refused_and_newer_ones_tried():
    refuse_old_version(150000, "pg/x")
    refuse_old_version(250000, "pg/x")
    with pytest.raises(FeatureUnavailable, match="PostgreSQL 14 is too old"):
        refuse_old_version(140012, "pg/x")
