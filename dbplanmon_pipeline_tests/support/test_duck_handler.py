"""T-SQL answered from simulated views, over the wire."""

import datetime as dt
import decimal
import uuid
from contextlib import contextmanager

import pytest

from dbplanmon_pipeline_tests.support.tds import TdsServer
from dbplanmon_pipeline_tests.support.tds.drivers import DRIVERS, connected, odbc
from dbplanmon_pipeline_tests.support.tds.duck import DuckHandler, Table

NOW = dt.datetime.fromisoformat("2026-03-03T02:00:00+02:00")
HASH = bytes(range(8))
FIRST = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
PLANS = Table(
    [
        ("plan_id", "bigint"),
        ("query_id", "bigint"),
        ("query_plan_hash", "binary(8)"),
        ("query_plan", "nvarchar(max)"),
        ("is_forced_plan", "bit"),
        ("compatibility_level", "smallint"),
        ("avg_cpu_time", "float"),
        ("engine_version", "nvarchar(32)"),
        ("initial_compile_start_time", "datetimeoffset(7)"),
        ("created", "datetime2(7)"),
        ("handle", "varbinary(64)"),
        ("recovery", "uniqueidentifier"),
        ("details", "nvarchar(4000)"),
    ],
    [
        (1, 7, HASH, "<a/>", False, 160, 1.5, "16.0", FIRST, FIRST, b"\x01", str(uuid.UUID(int=10)), '{"a": {"b": 3}}'),
        (
            2,
            7,
            None,
            None,
            True,
            None,
            None,
            None,
            FIRST + dt.timedelta(hours=1, microseconds=5),
            None,
            b"\x02",
            None,
            None,
        ),
        (5, 8, HASH, "<b/>é", False, 150, 0.25, "15.0", FIRST + dt.timedelta(days=1), FIRST, None, None, None),
    ],
)
TEXTS = Table(
    [("sql_handle", "varbinary(64)"), ("text", "nvarchar(max)")], [(b"\x01", "SELECT 1"), (b"\x09", "SELECT 9")]
)
ATTRIBUTES = Table(
    [("plan_handle", "varbinary(64)"), ("attribute", "nvarchar(128)"), ("value", "sql_variant")],
    [(b"\x01", "dbid", 5), (b"\x01", "set_options", 4347), (b"\x02", "dbid", 6)],
)
CACHED = Table(
    [("plan_handle", "varbinary(64)"), ("start", "int"), ("ending", "int"), ("query_plan", "nvarchar(max)")],
    [(b"\x01", 0, -1, "<whole/>"), (b"\x01", 10, 20, "<part/>")],
)
DATABASES = Table([("name", "sysname")], [("Hr",), ("Sales",), ("Secret",)])
VIEWS = {
    "sys.query_store_plan": PLANS,
    "sys.dm_exec_sql_text": TEXTS,
    "sys.dm_exec_plan_attributes": ATTRIBUTES,
    "sys.dm_exec_text_query_plan": CACHED,
    "sys.databases": DATABASES,
}


def handler_of(tables=None, **settings):
    return DuckHandler(VIEWS if tables is None else tables, now=lambda: NOW, **settings)


@contextmanager
def asking(handler, driver="microsoft", **settings):
    with TdsServer(handler) as server, connected(driver, server.port, **settings) as connection:
        yield connection


@pytest.fixture
def pyodbc():
    return odbc()


@pytest.fixture(scope="module")
def microsoft():
    scalars = {"SERVERPROPERTY('ProductVersion')": "16.0.4003", "SERVERPROPERTY('EngineEdition')": 3}
    with asking(handler_of(scalars={**scalars, "HAS_DBACCESS": {"Secret": 0}}), APP="dbplanmon") as connection:
        yield connection


def rows(connection, sql, *parameters):
    return [tuple(row) for row in connection.execute(sql, *parameters)]


@pytest.mark.parametrize("driver", DRIVERS)
def test_columns_passed_through_keep_their_types_and_values(driver):
    sql = (
        "SELECT p.plan_id, p.query_plan_hash, p.query_plan, p.is_forced_plan, p.compatibility_level, p.avg_cpu_time, "
        "p.created, p.recovery FROM sys.query_store_plan AS p ORDER BY p.plan_id"
    )
    created = FIRST.replace(tzinfo=None)
    with asking(handler_of(), driver) as connection:
        cursor = connection.execute(sql)
        kinds, got = [column[1] for column in cursor.description], [tuple(row) for row in cursor]
    assert kinds == [int, bytearray, str, bool, int, float, dt.datetime, str]
    assert got == [
        (1, HASH, "<a/>", False, 160, 1.5, created, str(uuid.UUID(int=10)).upper()),
        (2, None, None, True, None, None, None, None),
        (5, HASH, "<b/>é", False, 150, 0.25, created, None),
    ]


@pytest.mark.parametrize("driver", DRIVERS)
def test_parameters_of_each_kind_find_their_rows(driver):
    sql = "SELECT p.plan_id FROM sys.query_store_plan AS p WHERE p.{} = ?"
    found = {"query_plan_hash": HASH, "plan_id": 1, "engine_version": "16.0", "created": FIRST.replace(tzinfo=None)}
    with asking(handler_of(), driver) as connection:
        got = {column: rows(connection, sql.format(column), value)[0] for column, value in found.items()}
        by_guid = rows(connection, sql.format("recovery"), uuid.UUID(int=10))
    assert got == dict.fromkeys(found, (1,))
    assert by_guid == [(1,)]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_prepared_statement_is_run_again_with_other_values(driver):
    sql = "SELECT TOP (?) plan_id FROM sys.query_store_plan WITH (NOLOCK) WHERE plan_id > ? ORDER BY plan_id DESC"
    with asking(handler_of(), driver) as connection:
        cursor = connection.cursor()
        got = [[row[0] for row in cursor.execute(sql, *values)] for values in [(1, 0), (2, 0), (2, 2)]]
    assert got == [[5], [5, 2], [5]]


EXPRESSIONS = [
    ("DATEDIFF(SECOND, initial_compile_start_time, '2026-03-01T00:01:00')", [60]),
    ("DATEDIFF_BIG(MICROSECOND, created, initial_compile_start_time)", [0]),
    ("DATEDIFF(DAY, created, SYSUTCDATETIME())", [2]),
    ("DATEDIFF(HOUR, SYSUTCDATETIME(), GETDATE())", [2]),
    ("CONVERT(datetime2, DATEADD(MINUTE, -90, created))", [dt.datetime.fromisoformat("2026-02-28T22:30:00")]),
    ("DATALENGTH(query_plan)", [8]),
    ("DATALENGTH(query_plan_hash)", [8]),
    ("LEN(engine_version)", [4]),
    ("ISNULL(NULL, compatibility_level)", [160]),
    ("COALESCE(engine_version, N'none')", ["16.0"]),
    ("IIF(plan_id = 1, N'one', N'more')", ["one"]),
    ("CASE WHEN is_forced_plan = 1 THEN 'forced' ELSE 'free' END", ["free"]),
    ("CONVERT(nvarchar(2), engine_version)", ["16"]),
    ("CONVERT(varchar(18), query_plan_hash, 1)", ["0x0001020304050607"]),
    ("CAST(avg_cpu_time AS decimal(18,4))", [decimal.Decimal("1.5000")]),
    ("CAST(plan_id AS float) / 2", [0.5]),
    ("TRY_CAST(query_plan AS int)", [None]),
    ("compatibility_level / 100", [1]),
    ("compatibility_level % 100", [60]),
    ("N'v' + engine_version", ["v16.0"]),
    ("SUBSTRING(query_plan, 2, 1)", ["a"]),
    ("CHARINDEX('/', query_plan)", [3]),
    ("JSON_VALUE(details, '$.a.b')", ["3"]),
    ("IIF(handle = 0x01, 1, 0)", [1]),
]


@pytest.mark.parametrize(("expression", "expected"), EXPRESSIONS, ids=[case[0] for case in EXPRESSIONS])
def test_an_expression_means_what_it_means_to_sql_server(microsoft, expression, expected):
    sql = f"SELECT {expression} AS [the value] FROM [sys].[query_store_plan] WHERE plan_id = 1 OPTION (MAXDOP 1)"
    assert rows(microsoft, sql) == [tuple(expected)]


def test_aggregates_have_the_types_of_sql_server(microsoft):
    sql = (
        "SELECT COUNT(*), COUNT_BIG(*), SUM(plan_id), AVG(plan_id), SUM(avg_cpu_time * plan_id), MAX(query_plan_hash) "
        "FROM sys.query_store_plan"
    )
    assert rows(microsoft, sql) == [(3, 3, 8, 2, 2.75, HASH)]


def test_types_pass_through_common_tables_unions_and_subqueries(microsoft):
    sql = (
        "WITH hashes AS (SELECT query_plan_hash AS h, plan_id FROM sys.query_store_plan) "
        "SELECT x.h, x.n FROM (SELECT h, COUNT_BIG(*) AS n FROM hashes GROUP BY h) AS x WHERE x.h IS NOT NULL "
        "UNION ALL SELECT query_plan_hash, plan_id FROM sys.query_store_plan WHERE plan_id = 5"
    )
    assert sorted(rows(microsoft, sql)) == [(HASH, 2), (HASH, 5)]


SCALARS = [
    ("CAST(SERVERPROPERTY(N'ProductVersion') AS nvarchar(128))", "16.0.4003"),
    ("CONVERT(int, SERVERPROPERTY('EngineEdition'))", 3),
    ("SERVERPROPERTY('IsClustered')", None),
    ("@@SERVERNAME", "tds-test"),
    ("LEFT(@@VERSION, 20)", "Microsoft SQL Server"),
    ("DB_NAME()", "Sales"),
    ("DB_ID()", 5),
    ("SUSER_SNAME()", "monitor"),
    ("APP_NAME()", "dbplanmon"),
    ("HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE')", 1),
    ("DATABASEPROPERTYEX(DB_NAME(), 'Updateability')", None),
    ("COL_LENGTH('sys.query_store_plan', 'plan_id')", 8),
    ("COL_LENGTH('sys.query_store_plan', 'plan_type')", None),
    ("IIF(OBJECT_ID(N'sys.query_store_plan') IS NULL, 0, 1)", 1),
    ("OBJECT_ID('sys.query_store_plan_feedback')", None),
    ("SYSUTCDATETIME()", dt.datetime.fromisoformat("2026-03-03T00:00:00")),
    ("GETDATE()", dt.datetime.fromisoformat("2026-03-03T02:00:00")),
]


@pytest.mark.parametrize(("expression", "expected"), SCALARS, ids=[case[0] for case in SCALARS])
def test_a_question_about_server_or_session_is_answered(microsoft, expression, expected):
    assert rows(microsoft, f"/* dbplanmon */ SELECT {expression} AS answer") == [(expected,)]


def test_access_to_databases_is_answered_per_row(microsoft):
    assert rows(microsoft, "SELECT d.name FROM sys.databases AS d WHERE HAS_DBACCESS(d.name) = 1") == [
        ("Hr",),
        ("Sales",),
    ]


def test_catalog_views_describe_the_views_there_are(microsoft):
    sql = "SELECT c.name FROM sys.all_columns AS c WHERE c.object_id = OBJECT_ID(N'sys.dm_exec_sql_text')"
    assert rows(microsoft, sql) == [("sql_handle",), ("text",)]


def test_cross_apply_joins_a_table_function_by_its_arguments(microsoft):
    sql = (
        "SELECT p.plan_id, CONVERT(int, a.value) FROM sys.query_store_plan AS p "
        "CROSS APPLY sys.dm_exec_plan_attributes(p.handle) AS a WHERE a.attribute = 'dbid' ORDER BY p.plan_id"
    )
    assert rows(microsoft, sql) == [(1, 5), (2, 6)]


def test_outer_apply_keeps_rows_without_a_match(microsoft):
    sql = (
        "SELECT p.plan_id, x.query_plan FROM sys.query_store_plan AS p "
        "OUTER APPLY sys.dm_exec_text_query_plan(p.handle, 0, -1) AS x ORDER BY p.plan_id"
    )
    assert rows(microsoft, sql) == [(1, "<whole/>"), (2, None), (5, None)]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_table_function_takes_parameters(driver):
    sql = "SELECT DATALENGTH(p.query_plan), p.query_plan FROM sys.dm_exec_text_query_plan(?, ?, ?) AS p"
    with asking(handler_of(), driver) as connection:
        assert rows(connection, sql, b"\x01", 10, 20) == [(14, "<part/>")]


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT nothing FROM sys.query_store_plan", 207),
        ("SELECT p.plan_id FROM sys.query_store_plan AS p WHERE p.nothing = 1", 207),
        ("SELECT plan_id FROM sys.query_store_nothing", 208),
        ("SELEC 1", 102),
        ("SELECT @nothing", 137),
        ("SELECT NOTHING(plan_id) FROM sys.query_store_plan", 195),
        ("{CALL dbo.nothing}", 2812),
        ("SELECT CAST(query_plan AS int) FROM sys.query_store_plan", 245),
    ],
)
def test_a_mistake_has_the_number_of_sql_server(microsoft, sql, number, pyodbc):
    with pytest.raises(pyodbc.Error, match=rf"\({number}\)"):
        microsoft.execute(sql)


@pytest.mark.parametrize(("denied", "number"), [({"sys.databases"}, 300), ({"sys.databases": 229}, 229)])
def test_a_denied_view_has_the_number_of_its_permission(denied, number, pyodbc):
    with asking(handler_of(denied=denied)) as connection:
        with pytest.raises(pyodbc.Error, match=rf"\({number}\)"):
            connection.execute("SELECT name FROM sys.databases")
        assert rows(connection, "SELECT COUNT(*) FROM sys.query_store_plan") == [(3,)]


def test_a_denial_may_begin_after_the_statement_ran(pyodbc):
    handler = handler_of()
    with asking(handler) as connection:
        connection.execute("SELECT name FROM sys.databases").fetchall()
        handler.denied["sys.databases"] = 297
        with pytest.raises(pyodbc.Error, match=r"\(297\)"):
            connection.execute("SELECT name FROM sys.databases")


def test_each_database_has_its_own_tables_until_they_are_refreshed():
    asked = []

    def tables(database):
        asked.append(database)
        return {"sys.databases": Table([("name", "sysname")], [(f"{database} {len(asked)}",)])}

    handler = handler_of(tables)
    sql = "SELECT name FROM sys.databases"
    with asking(handler) as connection:
        first = rows(connection, sql) + rows(connection, sql)
        connection.execute("USE Hr")
        second = rows(connection, sql)
        handler.refresh("Hr")
        third = rows(connection, sql)
    assert first == [("Sales 1",), ("Sales 1",)]
    assert (second, third) == ([("Hr 2",)], [("Hr 3",)])


def test_plan_bytes_are_counted_under_any_name():
    handler = handler_of()
    with asking(handler) as connection:
        connection.execute("SELECT DATALENGTH(query_plan) FROM sys.query_store_plan").fetchall()
        unread = handler.plan_bytes_sent
        connection.execute("SELECT CONVERT(nvarchar(max), p.query_plan) AS body FROM sys.query_store_plan p").fetchall()
        connection.execute("SELECT text FROM sys.dm_exec_sql_text(0x01)").fetchall()
    assert unread == 0
    assert handler.plan_bytes_sent == len("<a/><b/>é".encode("utf-16-le"))
    assert [statement.large_bytes for statement in handler.statements] == [{}, {"body": 18}, {"text": 16}]


def test_a_setting_is_no_statement():
    handler = handler_of()
    with asking(handler) as connection:
        connection.execute("SET LOCK_TIMEOUT 200; SET NOCOUNT ON")
    assert handler.statements == []
