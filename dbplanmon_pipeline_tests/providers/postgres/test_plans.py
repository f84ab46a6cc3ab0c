import json

import psycopg
import pytest

from dbplanmon_pipeline.core.plans.postgres.shape import plan_hash_of_pg
from dbplanmon_pipeline.core.ports import StatementKey
from dbplanmon_pipeline_tests.providers.postgres.conftest import SCHEMA
from dbplanmon_pipeline_tests.providers.postgres.monitored import (
    PASSWORD,
    budget,
    plan_of,
    provider_of,
    query_hash_of,
    run,
)
from dbplanmon_pipeline_tests.support.postgres import connect, fresh_database

RECURSION = """
WITH RECURSIVE r(n) AS (SELECT id FROM orders WHERE id = 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5)
SELECT n FROM r"""
LATERAL = """
SELECT o.id FROM orders o, LATERAL (SELECT id FROM orders p WHERE p.id < o.id ORDER BY id LIMIT 1) q WHERE o.id < 5"""
ZONED = "SELECT count(*) FROM orders WHERE placed > timestamp with time zone '2026-01-01 00:00:00+00'"

# name: statement, and an operator that must be somewhere in its plan
SHAPES = {
    "primary key": ("SELECT * FROM orders WHERE id = 5", "Index Scan"),
    "secondary index": ("SELECT * FROM orders WHERE customer_id = 5", "Bitmap Index Scan"),
    "no predicate": ("SELECT * FROM orders", "Seq Scan"),
    "aggregate": ("SELECT customer_id, sum(total) FROM orders GROUP BY 1 HAVING sum(total) > 5", "Aggregate"),
    "sort and limit": ("SELECT id FROM orders ORDER BY total DESC LIMIT 3", "Limit"),
    "join": ("SELECT o.id FROM orders o JOIN orders p ON p.id = o.customer_id WHERE o.id = 4", "Index Scan"),
    "semi join": ("SELECT id FROM orders o WHERE EXISTS (SELECT FROM orders p WHERE p.id = o.customer_id)", "Hash"),
    "in list": ("SELECT * FROM orders WHERE id IN (1, 2, 3, 4)", "orders_pkey"),
    "untyped array": ("SELECT * FROM orders WHERE customer_id = ANY (ARRAY[1, 2, 3])", "orders_customer"),
    "window": ("SELECT id, row_number() OVER (ORDER BY total) FROM orders WHERE id < 9", "WindowAgg"),
    "common table": (
        "WITH few AS MATERIALIZED (SELECT * FROM orders WHERE id < 9) SELECT max(id) FROM few",
        "CTE Scan",
    ),
    "recursion": (RECURSION, "Recursive Union"),
    "union": ("SELECT id FROM orders WHERE id = 1 UNION SELECT customer_id FROM orders WHERE id = 2", "Append"),
    "values": ("VALUES (1, 'a'), (2, 'b')", "Values Scan"),
    "parenthesis": ("(SELECT id FROM orders WHERE id = 1) UNION ALL (SELECT id FROM orders WHERE id = 2)", "Append"),
    "interval literal": ("SELECT count(*) FROM orders WHERE placed > now() - interval '3 days'", "Aggregate"),
    "timestamp literal": (ZONED, "Aggregate"),
    "date literal": ("SELECT count(*) FROM orders WHERE placed > date '2026-01-01'", "Aggregate"),
    "extract": ("SELECT count(*) FROM orders WHERE extract(year FROM placed) = 2026", "Aggregate"),
    "pattern": ("SELECT id FROM orders WHERE status LIKE 'pa%' OR status = 'new'", "Seq Scan"),
    "no table": ("SELECT now(), 'text'", "Result"),
    "lateral": (LATERAL, "Nested Loop"),
    "locking": ("SELECT id FROM orders WHERE id = 6 FOR UPDATE", "LockRows"),
    "insert": ("INSERT INTO orders (id, total) VALUES (5001, 7)", "ModifyTable"),
    "update": ("UPDATE orders SET total = 1 WHERE id = 3", "ModifyTable"),
    "delete": ("DELETE FROM orders WHERE id = 3", "ModifyTable"),
}


@pytest.fixture(scope="module")
def shaped(monitored_server):
    """Plans of all shapes as a superuser reads them: name of the shape -> plan."""
    with fresh_database(monitored_server, *SCHEMA) as name, connect(monitored_server, name) as session:
        hashes: dict[str, int] = {}
        for shape, (statement, _) in SHAPES.items():
            before = _counted(session)
            session.execute(statement.encode())
            (hashes[shape],) = _counted(session) - before
        provider = provider_of(monitored_server, "postgres", password=lambda: monitored_server.password)
        with provider.open(name, budget()) as reader:
            plans = reader.read_plans([StatementKey(query_hash, 0, "") for query_hash in hashes.values()])
        yield dict(zip(hashes, plans, strict=True))


def _counted(session) -> set[int]:
    rows = session.execute(
        "SELECT queryid FROM pg_stat_statements"
        " WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        " AND query NOT LIKE '%pg_stat_statements%'"
    )
    return {row[0] for row in rows}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_normalised_statement_gets_its_generic_plan(shaped, shape):
    plan = shaped[shape]
    assert plan.reason == ""
    (document,) = json.loads(plan.body)

    assert (plan.format, plan.origin) == ("pgjson", "generic")
    assert plan.plan_hash == plan_hash_of_pg([document]) != 0
    assert f'"{SHAPES[shape][1]}"' in plan.body


def test_a_dropped_index_gives_another_plan_and_its_definition_was_kept(monitored_server, database):
    statement = "SELECT id FROM orders WHERE customer_id = 5"
    before = plan_of(monitored_server, database, statement, "SELECT id FROM orders WHERE customer_id%")
    run(monitored_server, database, "DROP INDEX orders_customer")
    after = plan_of(monitored_server, database, statement, "SELECT id FROM orders WHERE customer_id%")

    gone = before.context["indexes"].items() - after.context["indexes"].items()
    assert gone == {("orders_customer", "CREATE INDEX orders_customer ON public.orders USING btree (customer_id)")}
    assert after.context["indexes"].keys() == {"orders_pkey"}, "the indexes that are left are still known"
    assert before.plan_hash != after.plan_hash


def test_the_definition_kept_brings_the_old_plan_back(monitored_server, database):
    statement, like = "SELECT id FROM orders WHERE customer_id = 5", "SELECT id FROM orders WHERE customer_id%"
    before = plan_of(monitored_server, database, statement, like)
    run(monitored_server, database, "DROP INDEX orders_customer", before.context["indexes"]["orders_customer"])

    assert plan_of(monitored_server, database, statement, like).plan_hash == before.plan_hash


def test_the_context_tells_sizes_statistics_and_settings(monitored_server, database):
    run(monitored_server, database, "ANALYZE orders")
    run(monitored_server, database, "UPDATE orders SET total = 0 WHERE id <= 10", "SELECT pg_stat_force_next_flush()")
    plan = plan_of(monitored_server, database, "SELECT max(total) FROM orders", "SELECT max(total)%")
    table = plan.context["tables"]["public.orders"]

    assert table["rows"] == 1000
    assert table["last_analyze"].startswith("20")
    assert table["n_mod_since_analyze"] == 10
    assert plan.context["settings"]["work_mem"] == "4MB"
    assert "plan_cache_mode" not in plan.context["settings"]
    json.dumps(plan.context)


def test_a_changed_planner_setting_shows(monitored_server, database):
    run(monitored_server, database, f"ALTER DATABASE {database} SET enable_seqscan = off")
    plan = plan_of(monitored_server, database, "SELECT max(total) FROM orders", "SELECT max(total)%")

    assert plan.context["settings"]["enable_seqscan"] == "off"


def test_tables_of_one_name_in_two_schemas_are_told_apart(monitored_server, database):
    run(monitored_server, database, "CREATE SCHEMA old", "CREATE TABLE old.orders (id int)")
    plan = plan_of(monitored_server, database, "SELECT * FROM old.orders WHERE id = 1", "SELECT * FROM old.orders%")

    assert list(plan.context["tables"]) == ["old.orders"]


def test_plan_bodies_hold_no_value_of_the_statement(monitored_server, database):
    run(
        monitored_server,
        database,
        "CREATE VIEW secret_orders AS SELECT * FROM orders WHERE status = 'classified' AND total > 4711",
    )
    plan = plan_of(monitored_server, database, "SELECT count(*) FROM secret_orders", "SELECT count(*) FROM secret%")

    assert "Filter" in plan.body
    assert "classified" not in plan.body
    assert "4711" not in plan.body


@pytest.mark.parametrize(
    ("statement", "like", "reason"),
    [
        (
            "INSERT INTO orders (id) VALUES (5001)",
            "INSERT INTO orders (id)%",
            "no plan: permission denied to plan INSERT",
        ),
        ("VACUUM orders", "VACUUM orders", "no plan: utility statement"),
        ("SELECT circle '<(0,0),1>'", "SELECT circle%", "no plan: the normalised text is no valid statement"),
    ],
    ids=["insert", "utility", "literal of a type"],
)
def test_what_cannot_be_planned_has_a_reason(monitored_server, database, statement, like, reason):
    plan = plan_of(monitored_server, database, statement, like)

    assert (plan.reason, plan.plan_hash, plan.body) == (reason, 0, "")


def test_with_statistics_rights_alone_tables_cannot_be_planned(monitored_server, database):
    plan = plan_of(monitored_server, database, "SELECT max(id) FROM orders", "SELECT max(id)%", user="mon")

    assert plan.reason == "no plan: permission denied to plan SELECT"


def test_a_dropped_table_is_a_reason(monitored_server, database):
    run(monitored_server, database, "CREATE TABLE gone (id int)", "SELECT max(id) FROM gone", "DROP TABLE gone")
    key = StatementKey(query_hash_of(monitored_server, database, "SELECT max(id) FROM gone"), 0, "")
    with provider_of(monitored_server, "mon_reader").open(database, budget()) as reader:
        (plan,) = reader.read_plans([key])

    assert plan.reason.startswith("no plan: a relation was not found")


def test_a_statement_the_server_has_forgotten_is_a_reason(monitored_server, steady_database):
    with provider_of(monitored_server, "mon_reader").open(steady_database, budget()) as reader:
        (plan,) = reader.read_plans([StatementKey(42, 0, "")])

    assert plan.reason == "no plan: the text is not readable"


def test_a_locked_table_is_a_reason_and_not_a_wait(monitored_server, database):
    run(
        monitored_server,
        database,
        "CREATE TABLE busy (id int)",
        "SELECT max(id) FROM busy",
        "SELECT max(id) FROM orders",
    )
    keys = [
        StatementKey(query_hash_of(monitored_server, database, f"SELECT max(id) FROM {table}"), 0, "")
        for table in ("busy", "orders")
    ]
    with connect(monitored_server, database) as blocker:
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        with provider_of(monitored_server, "mon_reader").open(database, budget()) as reader:
            plans = reader.read_plans(keys)
        blocker.execute("ROLLBACK")

    assert [plan.reason for plan in plans] == ["no plan: a table was locked", ""]


def test_planning_never_runs_the_statement(monitored_server, database):
    run(
        monitored_server,
        database,
        "CREATE SEQUENCE ticks",
        "CREATE FUNCTION tick() RETURNS bigint LANGUAGE sql VOLATILE AS $$ SELECT nextval('ticks') $$",
        "SELECT tick()",
    )
    key = StatementKey(query_hash_of(monitored_server, database, "SELECT tick()"), 0, "")
    provider = provider_of(monitored_server, "postgres", password=lambda: monitored_server.password)
    with provider.open(database, budget()) as reader:
        (plan,) = reader.read_plans([key])
    with connect(monitored_server, database) as session:
        value = session.execute("SELECT last_value FROM ticks").fetchone()

    assert (plan.reason, value) == ("", (1,))


def test_many_plans_on_one_connection_leave_nothing_prepared(monitored_server, database):
    run(monitored_server, database, "SELECT id FROM orders WHERE id = 1", "SELECT generate_series(1, 2)")
    keys = [
        StatementKey(query_hash_of(monitored_server, database, like), 0, "")
        for like in ("SELECT id FROM orders WHERE id%", "SELECT generate_series%")
    ]
    with provider_of(monitored_server, "mon_reader").open(database, budget()) as reader:
        first, again = reader.read_plans(keys), reader.read_plans(keys)

    assert [plan.plan_hash for plan in first] == [plan.plan_hash for plan in again]
    assert first[0].plan_hash != 0


def test_a_statement_is_planned_under_the_search_path_and_settings_of_its_role(monitored_server, database):
    role = f"app_{database}"
    run(
        monitored_server,
        database,
        f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'",
        f"CREATE SCHEMA {role} AUTHORIZATION {role}",
        "CREATE SCHEMA shared",
        f"CREATE TABLE {role}.own (id int)",
        "CREATE TABLE shared.common (id int)",
        f"GRANT USAGE ON SCHEMA shared TO {role}",
        f"GRANT SELECT ON {role}.own, shared.common TO {role}",
        f"ALTER ROLE {role} SET work_mem = '1MB'",
        f"ALTER ROLE {role} IN DATABASE {database} SET work_mem = '9MB'",
        f'ALTER DATABASE {database} SET search_path = shared, "$user"',
    )
    statement = "SELECT count(*) FROM own, common WHERE own.id = common.id"
    with psycopg.connect(monitored_server.dsn(database, role, PASSWORD), autocommit=True) as session:
        session.execute(statement.encode())
    key = StatementKey(query_hash_of(monitored_server, database, statement), 0, "")
    with provider_of(monitored_server, "mon_reader").open(database, budget()) as reader:
        (plan,) = reader.read_plans([key])
        ((path_after,),) = reader._session.rows(b"SHOW /* dbplanmon */ search_path")
    run(monitored_server, database, f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")

    assert plan.reason == ""
    assert sorted(plan.context["tables"]) == sorted([f"{role}.own", "shared.common"])
    assert plan.context["settings"]["work_mem"] == "9MB"
    assert plan.context["settings"]["search_path"] == f'shared, "{role}"'
    assert path_after == 'shared, "$user"'


def test_a_function_the_planner_evaluates_cannot_loosen_the_session(monitored_server, database):
    """An immutable function runs while planning, with the monitor's rights: what it sets must not stay."""
    run(
        monitored_server,
        database,
        "CREATE FUNCTION loosen(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN"
        " PERFORM set_config('default_transaction_read_only', 'off', false);"
        " PERFORM set_config('statement_timeout', '0', false); RETURN $1; END $$",
        "CREATE VIEW loose AS SELECT id FROM orders WHERE id > loosen(0)",
        "SELECT max(id) FROM loose",
    )
    key = StatementKey(query_hash_of(monitored_server, database, "SELECT max(id) FROM loose"), 0, "")
    with provider_of(monitored_server, "mon_reader").open(database, budget()) as reader:
        (plan,) = reader.read_plans([key])
        ((read_only,),) = reader._session.rows(b"SHOW /* dbplanmon */ default_transaction_read_only")
        ((timeout,),) = reader._session.rows(b"SHOW /* dbplanmon */ statement_timeout")

    assert (plan.reason, read_only) == ("", "on")
    assert timeout != "0"
