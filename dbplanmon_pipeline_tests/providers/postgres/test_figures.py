"""Statements of users on a real server, run as its superuser: what the server refuses there it refuses everywhere."""

import time

import pytest

from dbplanmon_pipeline.core.kpis.statement import MOST_ROWS, KpiStatement
from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.errors import (
    FeatureUnavailable,
    LoginFailed,
    PermissionMissing,
    ProviderError,
    QueryTimedOut,
    StatementRefused,
)
from dbplanmon_pipeline.providers.postgres import PostgresProvider
from dbplanmon_pipeline_tests.support.postgres import connect, create_database, drop_database

SECRET = "hunter2"
INSERT = "INSERT INTO orders VALUES (-1, 0)"
BODY = "LANGUAGE plpgsql AS $$ BEGIN"
SCHEMA = (
    "CREATE TABLE orders (id int PRIMARY KEY, total numeric)",
    "INSERT INTO orders SELECT g, g FROM generate_series(1, 5000) g",
    "CREATE SEQUENCE numbers",
    f"CREATE FUNCTION writes() RETURNS int LANGUAGE sql AS $$ {INSERT} RETURNING id $$",
    f"CREATE FUNCTION opens() RETURNS int {BODY} SET TRANSACTION READ WRITE; {INSERT}; RETURN 1; END $$",
    "CREATE FUNCTION reads() RETURNS TABLE (open_orders bigint) LANGUAGE sql AS $$ SELECT count(*) FROM orders $$",
    (
        f"CREATE PROCEDURE p_reads(INOUT open_orders bigint, OUT total numeric) {BODY}"
        " SELECT count(*), sum(o.total) INTO open_orders, total FROM orders o; END $$"
    ),
    f"CREATE PROCEDURE p_writes() LANGUAGE sql AS $$ {INSERT} $$",
    f"CREATE PROCEDURE p_commits() {BODY} COMMIT; {INSERT}; COMMIT; END $$",
    f"CREATE PROCEDURE p_opens() {BODY} SET TRANSACTION READ WRITE; {INSERT}; END $$",
    "CREATE PROCEDURE p_asks(needed int) LANGUAGE sql AS $$ SELECT needed $$",
    'CREATE SCHEMA "Odd"',
    'CREATE FUNCTION "Odd"."Count me"() RETURNS int LANGUAGE sql AS $$ SELECT 7 $$',
)
CONTENTS = "SELECT count(*), sum(total), (SELECT last_value FROM numbers), (SELECT is_called FROM numbers) FROM orders"


@pytest.fixture(scope="module")
def place(postgres_server):
    name = create_database(postgres_server, *SCHEMA, stem="kpi")
    with connect(postgres_server, name) as admin:
        admin.execute("DROP ROLE IF EXISTS kpi_nobody")
        admin.execute("CREATE ROLE kpi_nobody LOGIN")
    yield postgres_server, name
    drop_database(postgres_server, name)


@pytest.fixture
def contents(place):
    """What the database holds; the same before and after."""
    server, name = place
    with connect(server, name) as admin:
        before = admin.execute(CONTENTS).fetchall()
        yield
        assert admin.execute(CONTENTS).fetchall() == before
        assert admin.execute("SELECT count(*) FROM pg_class WHERE relname = 'stolen'").fetchone() == (0,)


@pytest.fixture
def figures(place):
    server, name = place

    def read(text=None, *, procedure=None, seconds=10.0, timeout=5.0, user="postgres"):
        provider = PostgresProvider(
            instance="pg", host="127.0.0.1", port=server.port, user=user, password=lambda: None, sslmode="disable"
        )
        with provider.open(name, Budget(time.monotonic() + seconds, time.monotonic)) as reader:
            return reader.read_figures(KpiStatement(text, procedure), timeout)

    return read


@pytest.mark.parametrize(
    ("text", "columns", "values"),
    [
        ("SELECT count(*) AS n FROM orders", ("n",), (5000,)),
        ("SELECT 1 AS a, 'x' AS b, NULL AS c;", ("a", "b", "c"), (1, "x", None)),
        ("WITH t AS (SELECT 2 AS a) SELECT a FROM t -- the end", ("a",), (2,)),
        ("/* first */ VALUES (3)", ("column1",), (3,)),
        ("SELECT '100%s; DELETE FROM orders' AS a", ("a",), ("100%s; DELETE FROM orders",)),
        ("SELECT 1 AS a WHERE false", ("a",), ()),
    ],
)
@pytest.mark.usefixtures("contents")
def test_a_reading_statement_gives_its_first_row(figures, text, columns, values):
    row = figures(text)
    assert (row.columns, row.values) == (columns, values)


def test_no_more_than_a_thousand_rows_are_fetched(figures):
    row = figures("SELECT id FROM orders ORDER BY id")
    assert (row.values, row.row_count) == ((1,), MOST_ROWS)


WRITING = {
    "insert": f"INSERT INTO orders VALUES (0, 0) RETURNING '{SECRET}'",
    "update": f"UPDATE orders SET total = 0 RETURNING '{SECRET}'",
    "create": "CREATE TABLE stolen AS SELECT 1",
    "select into": "SELECT 1 AS a INTO stolen",
    "data-modifying CTE": f"WITH d AS (DELETE FROM orders RETURNING id) SELECT count(*), '{SECRET}' FROM d",
    "function that writes": "SELECT writes()",
    "function that opens the transaction": "SELECT opens()",
    "sequence": "SELECT nextval('numbers')",
    "row locks": "SELECT id FROM orders FOR UPDATE",
    "commit in the text": "SELECT 1; COMMIT; INSERT INTO orders VALUES (0, 0)",
    "commit first": "COMMIT; INSERT INTO orders VALUES (0, 0)",
    "several statements": f"SELECT 1; DELETE FROM orders WHERE id > 0 AND '{SECRET}' <> ''",
    "set transaction": "SET TRANSACTION READ WRITE",
    "set transaction behind a semicolon": "SELECT 1; SET TRANSACTION READ WRITE; DELETE FROM orders",
    "set_config": "SELECT set_config('transaction_read_only', 'off', true), writes()",
    "do": "DO $$ BEGIN INSERT INTO orders VALUES (0, 0); END $$",
    "copy to a program": "COPY (SELECT 1) TO PROGRAM 'cat'",
    "call as text": "CALL p_writes()",
    "nothing": "",
    "only a comment": "-- SELECT 1",
}


@pytest.mark.parametrize("text", WRITING.values(), ids=WRITING)
@pytest.mark.usefixtures("contents")
def test_what_writes_is_refused_with_one_line_and_changes_nothing(figures, text):
    with pytest.raises(StatementRefused) as refusal:
        figures(text)
    line = str(refusal.value)
    assert line.startswith("pg/kpi_")
    assert "\n" not in line
    assert SECRET not in line


@pytest.mark.parametrize("name", ["p_writes", "p_commits", "p_opens", "writes", "opens"])
@pytest.mark.usefixtures("contents")
def test_a_procedure_or_function_that_writes_is_refused(figures, name):
    with pytest.raises(StatementRefused):
        figures(procedure=name)


@pytest.mark.parametrize(
    ("name", "columns", "values"),
    [
        ("p_reads", ("open_orders", "total"), (5000, 12_502_500)),
        ("public.P_READS", ("open_orders", "total"), (5000, 12_502_500)),
        ("reads", ("open_orders",), (5000,)),
        ('"Odd"."Count me"', ("Count me",), (7,)),
    ],
)
def test_a_procedure_gives_its_output_and_a_function_its_rows(figures, name, columns, values):
    row = figures(procedure=name)
    assert (row.columns, row.values) == (columns, values)


@pytest.mark.parametrize("name", ["nowhere", "public.nowhere", "p_asks"])
def test_a_procedure_that_is_not_there_or_wants_arguments_is_told(figures, name):
    with pytest.raises(FeatureUnavailable):
        figures(procedure=name)


@pytest.mark.parametrize("name", ["reads()", "reads; DELETE FROM orders", "a.b.c", "", '"reads'])
@pytest.mark.usefixtures("contents")
def test_a_name_that_is_none_is_refused(figures, name):
    with pytest.raises(StatementRefused):
        figures(procedure=name) if name else figures(procedure=" ")


@pytest.mark.parametrize(
    ("text", "kind", "state"),
    [
        ("SELECT 1 FROM nowhere", FeatureUnavailable, "42P01"),
        ("SELECT nothing FROM orders", FeatureUnavailable, "42703"),
        (f"SELECT '{SECRET}'::int", ProviderError, "22P02"),
        ("SELECT 1 / (count(*) - 5000) FROM orders", ProviderError, "22012"),
    ],
)
def test_other_errors_tell_their_state_and_no_literal(figures, text, kind, state):
    with pytest.raises(kind) as failure:
        figures(text)
    assert state in str(failure.value)
    assert SECRET not in str(failure.value)


def test_a_role_without_the_right_gets_the_remedy(figures):
    with pytest.raises(PermissionMissing, match="Grant SELECT"):
        figures("SELECT count(*) FROM orders", user="kpi_nobody")


def test_a_role_that_is_not_there_is_a_failed_login(figures):
    with pytest.raises(LoginFailed):
        figures("SELECT 1", user="kpi_ghost")


def test_a_statement_ends_with_its_timeout(figures):
    began = time.monotonic()
    with pytest.raises(QueryTimedOut):
        figures("SELECT pg_sleep(30)", timeout=0.3)
    assert time.monotonic() - began < 15


def test_a_statement_that_lifts_its_own_timeout_ends_with_the_budget(figures):
    began = time.monotonic()
    with pytest.raises(QueryTimedOut):
        figures("SELECT set_config('statement_timeout', '0', false), pg_sleep(30)", seconds=2.0)
    assert time.monotonic() - began < 15
