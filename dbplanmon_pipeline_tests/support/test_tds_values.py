"""Values that go over the wire, in both directions and through both ODBC drivers."""

import datetime as dt
import decimal
import struct
import uuid

import pytest

from dbplanmon_pipeline_tests.support.tds import Request, Result, TdsServer
from dbplanmon_pipeline_tests.support.tds.drivers import DRIVERS, connected

DATETIMEOFFSET = -155
moment = dt.datetime.fromisoformat
ZONE = dt.timezone(dt.timedelta(hours=2))
TYPES = [
    ("tinyint", 255, 255),
    ("smallint", -(2**15), -(2**15)),
    ("int", -(2**31), -(2**31)),
    ("bigint", 2**63 - 1, 2**63 - 1),
    ("bit", True, True),
    ("real", 1.5, 1.5),
    ("float", 0.1, 0.1),
    ("decimal(18,4)", decimal.Decimal("-12.3456"), decimal.Decimal("-12.3456")),
    ("numeric(38,0)", decimal.Decimal("9" * 38), decimal.Decimal("9" * 38)),
    ("nvarchar(20)", "Ærø €", "Ærø €"),
    ("nvarchar(max)", "plan " * 5000, "plan " * 5000),
    ("nchar(4)", "ab", "ab  "),
    ("sysname", "Sales", "Sales"),
    ("varchar(20)", "plain é", "plain é"),
    ("varchar(max)", "x" * 9000, "x" * 9000),
    ("char(4)", "ab", "ab  "),
    ("binary(8)", bytes(range(8)), bytes(range(8))),
    ("varbinary(64)", b"\x00\xff", b"\x00\xff"),
    ("varbinary(max)", b"\x01" * 9000, b"\x01" * 9000),
    ("xml", "<plan/>", "<plan/>"),
    ("uniqueidentifier", uuid.UUID(int=7), str(uuid.UUID(int=7)).upper()),
    ("date", dt.date(2026, 3, 1), dt.date(2026, 3, 1)),
    ("datetime", moment("2026-03-01T12:30:15.430000"), moment("2026-03-01T12:30:15.430000")),
    ("smalldatetime", moment("2026-03-01T12:30:00"), moment("2026-03-01T12:30:00")),
    ("datetime2", moment("2026-03-01T12:30:15.123456"), moment("2026-03-01T12:30:15.123456")),
    ("datetime2(3)", moment("2026-03-01T12:30:15.123456"), moment("2026-03-01T12:30:15.123000")),
    ("datetimeoffset", dt.datetime(2026, 3, 1, 12, tzinfo=ZONE), dt.datetime(2026, 3, 1, 12, tzinfo=ZONE)),
]
PARAMETERS = [
    pytest.param(7, 7, id="int"),
    pytest.param(2**40, 2**40, id="bigint"),
    pytest.param(True, True, id="bit"),
    pytest.param(0.1, 0.1, id="float"),
    pytest.param("Ærø €", "Ærø €", id="text"),
    pytest.param("x" * 9000, "x" * 9000, id="long-text"),
    pytest.param(b"\x00\x01", b"\x00\x01", id="bytes"),
    pytest.param(decimal.Decimal("-12.3456"), decimal.Decimal("-12.3456"), id="decimal"),
    pytest.param(dt.date(2026, 3, 1), dt.date(2026, 3, 1), id="date"),
    pytest.param(moment("2026-03-01T12:30:15.123000"), moment("2026-03-01T12:30:15.123000"), id="milliseconds"),
    pytest.param(dt.time(12, 30, 15), dt.time(12, 30, 15), id="time"),
    pytest.param(uuid.UUID(int=7), uuid.UUID(int=7), id="guid"),
]


@pytest.fixture(params=DRIVERS)
def driver(request):
    return request.param


def aware(raw):
    year, month, day, hour, minute, second, nanosecond, hours, minutes = struct.unpack("<6hI2h", raw)
    zone = dt.timezone(dt.timedelta(hours=hours, minutes=minutes))
    return dt.datetime(year, month, day, hour, minute, second, nanosecond // 1000, zone)


def always(answer):
    return lambda request: answer


def echo(request: Request) -> Result:
    return Result([("kind", "nvarchar(40)"), ("seen", "nvarchar(max)")], [(request.kind, repr(request.params))])


@pytest.mark.parametrize(("sqltype", "sent", "expected"), TYPES, ids=[case[0] for case in TYPES])
def test_a_value_arrives_as_it_was_sent(driver, sqltype, sent, expected):
    answer = Result([("value", sqltype)], [(sent,), (None,)])
    with TdsServer(always(answer)) as server, connected(driver, server.port) as connection:
        connection.add_output_converter(DATETIMEOFFSET, aware)
        got = [row[0] for row in connection.execute("SELECT value FROM t")]
    assert got == [expected, None]


def test_many_columns_and_rows_keep_their_places(driver):
    columns = [(f"c{number}", sqltype) for number, (sqltype, _, _) in enumerate(TYPES[:-1])]
    full, empty = tuple(case[1] for case in TYPES[:-1]), (None,) * len(columns)
    with (
        TdsServer(always(Result(columns, [full, empty] * 50))) as server,
        connected(driver, server.port) as connection,
    ):
        cursor = connection.execute("SELECT * FROM t")
        names, rows = [column[0] for column in cursor.description], cursor.fetchall()
    assert names == [name for name, _ in columns]
    assert [tuple(row) for row in rows] == [tuple(case[2] for case in TYPES[:-1]), empty] * 50


def test_a_plan_of_five_megabytes_arrives_whole(driver):
    plan = "<ShowPlanXML é/>" * (5 * 2**20 // 32)
    with (
        TdsServer(always(Result([("query_plan", "nvarchar(max)")], [(plan,)]))) as server,
        connected(driver, server.port) as connection,
    ):
        assert connection.execute("SELECT query_plan FROM t").fetchval() == plan


@pytest.mark.parametrize(("sent", "expected"), PARAMETERS)
def test_the_handler_sees_the_parameter(driver, sent, expected):
    seen = []

    def handler(request):
        seen.append((request.sql, request.params))
        return Result([("n", "int")], [])

    with TdsServer(handler) as server, connected(driver, server.port) as connection:
        connection.execute("SELECT n FROM t WHERE n = ?", sent).fetchall()
    sql, values = seen[-1]
    assert sql == "SELECT n FROM t WHERE n = @P1"
    assert [str(value) for value in values] == [str(expected)]


def test_the_zone_of_a_parameter_is_lost_in_pyodbc(driver):
    with TdsServer(echo) as server, connected(driver, server.port) as connection:
        noon_elsewhere = dt.datetime(2026, 3, 1, 12, tzinfo=ZONE)
        seen = connection.execute("SELECT n FROM t WHERE n = ?", noon_elsewhere).fetchone().seen
    assert seen == "[datetime.datetime(2026, 3, 1, 12, 0)]"


def test_a_called_procedure_arrives_by_name(driver):
    asked = []

    def handler(request):
        asked.append((request.sql, request.params))
        return Result([("n", "int")], [(1,)])

    with TdsServer(handler) as server, connected(driver, server.port) as connection:
        assert connection.execute("{CALL dbo.kpi_orders (?)}", 5).fetchval() == 1
    assert asked == [("kpi_orders", [5])]


def test_a_null_parameter_is_none(driver):
    with TdsServer(echo) as server, connected(driver, server.port) as connection:
        assert connection.execute("SELECT n FROM t WHERE n = ?", None).fetchone().seen == "[None]"


def test_a_prepared_statement_runs_again_with_new_values(driver):
    with TdsServer(echo) as server, connected(driver, server.port) as connection:
        cursor = connection.cursor()
        first = cursor.execute("SELECT n FROM t WHERE n = ?", 1).fetchone().seen
        second = cursor.execute("SELECT n FROM t WHERE n = ?", 2).fetchone().seen
    assert (first, second) == ("[1]", "[2]")
    asked = [(sql, values) for kind, sql, values in server.log if kind in {"sp_prepexec", "sp_execute"}]
    assert asked == [("SELECT n FROM t WHERE n = @P1", [1]), ("SELECT n FROM t WHERE n = @P1", [2])]
