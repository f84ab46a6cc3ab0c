from importlib.resources import files

import pytest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.ports import DatabaseReader, Provider
from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline.providers.postgres.sqltext import MARKER, statement
from dbplanmon_pipeline_tests.providers.postgres.monitored import PASSWORD, budget, provider_of, run
from dbplanmon_pipeline_tests.support.postgres import connect, fresh_database


def test_discovery_finds_what_the_patterns_let_through(monitored_server, database):
    with (
        fresh_database(monitored_server, stem="tmp") as temporary,
        fresh_database(monitored_server, stem="shut") as shut,
    ):
        run(monitored_server, shut, f"REVOKE CONNECT ON DATABASE {shut} FROM PUBLIC")
        found = provider_of(monitored_server, exclude=["^tmp_", "^postgres$"]).databases()
        only_temporary = provider_of(monitored_server, include=["^tmp_"]).databases()

    assert database in found
    assert not {temporary, shut, "postgres", "template0", "template1"}.intersection(found)
    assert only_temporary == [temporary]


def test_databases_that_are_named_need_no_connection(monitored_server):
    provider = provider_of(monitored_server, port=1, databases=["b", "a"])

    assert provider.databases() == ["b", "a"]


def test_capabilities_of_a_well_prepared_role_lack_no_more_than_an_extension(monitored_server, steady_database):
    with provider_of(monitored_server, "mon_quiet").open(steady_database, budget()) as reader:
        found = reader.capabilities()

    assert [item.name for item in found.missing] == ["what_if_indexes"]
    assert found.engine is Engine.POSTGRES
    assert 150000 <= found.version_number < 190000
    assert found.facts["server_role"] == "primary"
    assert found.facts["pg_stat_statements.max"] == "5000"
    assert found.facts["evictions"] == "0"


def test_each_missing_right_comes_with_the_statement_that_grants_it(monitored_server, steady_database):
    with provider_of(monitored_server, "outsider").open(steady_database, budget()) as reader:
        remedies = {item.name: item.remedy for item in reader.capabilities().missing}

    assert "GRANT pg_monitor TO outsider;" in remedies["read_all_stats"]
    assert "GRANT pg_read_all_data TO outsider;" in remedies["read_plans"]
    assert "ALTER ROLE outsider SET pg_stat_statements.track = 'none';" in remedies["own_statements_uncounted"]


def test_the_remedies_work(monitored_server, steady_database):
    with provider_of(monitored_server, "outsider").open(steady_database, budget()) as reader:
        remedies = [item.remedy for item in reader.capabilities().missing if item.name != "what_if_indexes"]
    statements = [remedy.removeprefix("Run ").partition(";")[0].replace("outsider", "helped") for remedy in remedies]
    try:
        run(monitored_server, steady_database, f"CREATE ROLE helped LOGIN PASSWORD '{PASSWORD}'", *statements)
        with provider_of(monitored_server, "helped").open(steady_database, budget()) as reader:
            left = reader.capabilities().missing
    finally:
        run(monitored_server, steady_database, "DROP ROLE helped")

    assert len(statements) == 3
    assert [item.name for item in left] == ["what_if_indexes"]


def test_what_the_server_does_not_measure_is_a_missing_capability(spare_server, spare_database):
    with provider_of(spare_server).open(spare_database, budget()) as reader:
        found = reader.capabilities()

    assert not found.has("io_times")
    assert found.facts["pg_stat_statements.max"] == "100"


def test_the_cost_grows_with_each_question(monitored_server, steady_database):
    with provider_of(monitored_server).open(steady_database, budget()) as reader:
        first = reader.cost_ms
        reader.read_counters()
        second = reader.cost_ms

    assert 0 < first < second < 5000


def test_it_is_a_provider(monitored_server, steady_database):
    provider: Provider = provider_of(monitored_server)
    with provider.open(steady_database, budget()) as reader:
        asked: DatabaseReader = reader
        assert asked.read_counters().values.shape[1] == len(COUNTERS)
    provider.close()

    assert provider.engine is Engine.POSTGRES


def test_a_password_is_asked_for_at_each_connection(monitored_server, steady_database):
    asked = []

    def password() -> str:
        asked.append(1)
        return PASSWORD

    provider = provider_of(monitored_server, password=password)
    for _ in range(2):
        with provider.open(steady_database, budget()):
            pass

    assert len(asked) == 2


SQL_FOLDER = files("dbplanmon_pipeline.providers.postgres").joinpath("sql")
STATEMENTS = sorted(entry.name.removesuffix(".sql") for entry in SQL_FOLDER.iterdir())


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_has_its_heading_and_our_marker_behind_its_first_word(name):
    heading = SQL_FOLDER.joinpath(f"{name}.sql").read_text().splitlines()

    assert heading[0].startswith("-- Purpose: ")
    assert heading[1].startswith("-- Minimum version: ")
    assert "Permission: " in heading[1]
    assert statement(name).startswith(f"SELECT {MARKER}")


def test_the_servers_counters_are_those_of_the_database_asked(monitored_server, database):
    with fresh_database(monitored_server, "CREATE EXTENSION pg_stat_statements") as other:
        run(monitored_server, other, "SELECT 'over there'")
        with connect(monitored_server, other) as session:
            (query_hash,) = session.execute(
                "SELECT queryid FROM pg_stat_statements s JOIN pg_database d ON d.oid = dbid"
                " WHERE datname = current_database() AND query LIKE 'SELECT $1'"
            ).fetchone()
        with provider_of(monitored_server).open(database, budget()) as reader:
            assert query_hash not in reader.read_counters().query_hash
        with provider_of(monitored_server).open(other, budget()) as reader:
            assert query_hash in reader.read_counters().query_hash
