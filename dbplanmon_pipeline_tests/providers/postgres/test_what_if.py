"""Hypothetical indexes on a real server with hypopg, and none on one without."""

from collections.abc import Iterator

import pytest

from dbplanmon_pipeline.core.ports import StatementKey
from dbplanmon_pipeline.core.remedies.what_if import what_ifs
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline_tests.providers.postgres.conftest import ROLES
from dbplanmon_pipeline_tests.providers.postgres.monitored import budget, plan_of, provider_of, query_hash_of, run
from dbplanmon_pipeline_tests.support.postgres import binaries_of, connect, fresh_database
from dbplanmon_pipeline_tests.support.requirements import absent

pytestmark = pytest.mark.postgres

SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE orders (id int PRIMARY KEY, state varchar(20), placed date, total numeric)",
    "INSERT INTO orders SELECT g, 's' || g % 5000, date '2026-01-01' + g % 365, g FROM generate_series(1, 60000) g",
    "ANALYZE orders",
)
HYPOPG = ("CREATE SCHEMA tools", "CREATE EXTENSION hypopg SCHEMA tools", "GRANT USAGE ON SCHEMA tools TO PUBLIC")
SEARCH = "SELECT total FROM orders WHERE placed > '2026-03-01' AND state = 's77'"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[PostgresServer]:
    """The server of Debian; that of the wheel comes without hypopg."""
    with PostgresServer(binaries_of("system"), tmp_path_factory.mktemp("hypopg"), auth="scram-sha-256") as running:
        with connect(running) as admin:
            for statement in ROLES:
                admin.execute(statement)
            if not admin.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'").fetchone():
                absent("hypopg", "the server of the system has no hypopg (postgresql-15-hypopg)")
        yield running


@pytest.fixture(scope="module")
def database(server) -> Iterator[str]:
    with fresh_database(server, *SCHEMA, *HYPOPG) as name:
        yield name


@pytest.fixture(scope="module")
def bare_database(server) -> Iterator[str]:
    with fresh_database(server, *SCHEMA) as name:
        yield name


def capability(server, database):
    with provider_of(server, "mon").open(database, budget()) as reader:
        (found,) = [item for item in reader.capabilities().items if item.name == "what_if_indexes"]
    return found


def test_an_index_that_the_planner_would_use_is_found_with_its_cost(server, database):
    plan = plan_of(server, database, SEARCH, "SELECT total FROM orders WHERE placed >%")
    (tried,) = what_ifs(plan.context)
    assert tried.definition == ('CREATE INDEX "orders_state_placed_idx" ON "public"."orders" ("state", "placed")')
    assert 0.0 < tried.cost_with < tried.cost / 10
    assert tried.cost > 1_000.0
    assert "Seq Scan" in plan.body
    assert "s77" not in repr(plan)


def test_nothing_is_built_and_nothing_stays_on_the_session(server, database):
    run(server, database, SEARCH)
    key = StatementKey(query_hash_of(server, database, "SELECT total FROM orders WHERE placed >%"), 0, "")
    with provider_of(server, "mon_reader").open(database, budget()) as reader:
        first, second = reader.read_plans([key]), reader.read_plans([key])
    assert (first[0].body, first[0].context["what_if"]) == (second[0].body, second[0].context["what_if"])
    with connect(server, database) as session:
        indexes = session.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'orders'").fetchall()
    assert indexes == [("orders_pkey",)]


def test_an_index_that_is_there_already_is_not_found_again(server, database):
    statement = "SELECT total, id FROM orders WHERE id = 7"
    assert what_ifs(plan_of(server, database, statement, "SELECT total, id FROM orders WHERE id%").context) == ()


def test_an_index_the_planner_would_not_use_is_not_found(server, database):
    statement = "SELECT placed FROM orders WHERE id::text = '7'"
    assert what_ifs(plan_of(server, database, statement, "SELECT placed FROM orders WHERE id::text%").context) == ()


def test_without_the_extension_nothing_is_tried_and_the_check_says_how_to_get_it(server, bare_database):
    plan = plan_of(server, bare_database, SEARCH, "SELECT total FROM orders WHERE placed >%")
    assert "what_if" not in plan.context
    missing = capability(server, bare_database)
    assert not missing.available
    assert missing.detail.startswith("optional: ")
    assert "CREATE EXTENSION hypopg;" in missing.remedy


def test_the_check_tells_of_the_extension_where_the_role_may_use_it(server, database):
    assert capability(server, database).available
    with connect(server, database) as admin:
        admin.execute("REVOKE USAGE ON SCHEMA tools FROM PUBLIC")
    try:
        assert not capability(server, database).available
    finally:
        with connect(server, database) as admin:
            admin.execute("GRANT USAGE ON SCHEMA tools TO PUBLIC")
