"""Statements of users on a pretended SQL Server, over the wire."""

import time

import pytest

from dbplanmon_pipeline.core.kpis.statement import MOST_ROWS, KpiStatement
from dbplanmon_pipeline.errors import (
    FeatureUnavailable,
    PermissionMissing,
    ProviderError,
    QueryTimedOut,
    StatementRefused,
)
from dbplanmon_pipeline.providers.sqlserver.figures import BEGIN, END, read_figures
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import answering, one_row, session_to
from dbplanmon_pipeline_tests.support.tds import Delay, Result, ServerError, TdsServer
from dbplanmon_pipeline_tests.support.tsql_parsers import parsed, unparsable

SECRET = "hunter2"
ROWS = Result([("open_orders", "int"), ("", "nvarchar(20)")], [(number, "x") for number in range(1500)])
OPEN = one_row(1)


def read(server, driver, text=None, *, procedure=None, timeout=5.0, least_privilege=True):
    with session_to(server, driver) as session:
        return read_figures(session, KpiStatement(text, procedure, least_privilege), timeout)


def said(server):
    return [sql for _, sql, _ in server.log]


@pytest.mark.parametrize("text", [BEGIN, END, "EXEC [reporting].[kpi_orders] /* dbplanmon */"])
def test_what_stands_around_a_statement_is_tsql(text):
    assert parsed(text)
    assert unparsable(text) == []


def test_the_first_row_is_read_in_a_transaction_that_is_rolled_back(driver):
    with TdsServer(answering(TRANCOUNT=OPEN, orders=ROWS)) as server:
        row = read(server, driver, "-- SELECT\nSELECT open_orders, 'x' FROM orders")
        place = next(number for number, sql in enumerate(said(server)) if "BEGIN TRANSACTION" in sql)
        begin, statement, end = [sql for sql in said(server)[place:] if sql][:3]
    assert (row.columns, row.values, row.row_count) == (("open_orders", ""), (0, "x"), MOST_ROWS)
    assert "XACT_ABORT ON" in begin
    assert begin.endswith("BEGIN TRANSACTION;")
    assert statement == "-- SELECT\nSELECT /* dbplanmon */ open_orders, 'x' FROM orders"
    assert end == END
    assert "ROLLBACK" in END


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("kpi_orders", "EXEC [kpi_orders]"),
        ("reporting.kpi_orders", "EXEC [reporting].[kpi_orders]"),
        ("[odd]]name].[x y]", "EXEC [odd]]name].[x y]"),
        ('"a.b".c', "EXEC [a.b].[c]"),
    ],
)
def test_a_procedure_is_called_by_its_quoted_name(microsoft, name, call):
    with TdsServer(answering(TRANCOUNT=OPEN, EXEC=one_row(7))) as server:
        assert read(server, microsoft, procedure=name).values == (7,)
        assert said(server)[-2] == f"{call} /* dbplanmon */"


@pytest.mark.parametrize(
    ("text", "procedure"),
    [
        (f"DELETE FROM orders WHERE name = '{SECRET}'", None),
        (f"SELECT '{SECRET}' DELETE FROM orders", None),
        ("SELECT 1; DROP TABLE orders", None),
        ("SELECT 1DELETE FROM orders", None),
        ("WITH c AS (SELECT id FROM orders) UPDATE c SET id = 1", None),
        ("SELECT id INTO stolen FROM orders", None),
        ("SELECT 1 COMMIT", None),
        ("EXEC kpi_orders", None),
        ("kpi_orders", None),
        ("SELECT a FROM OPENROWSET('x', 'y', 'z')", None),
        ("", None),
        (None, "kpi_orders; DROP TABLE orders"),
        (None, "kpi_orders 1"),
        (None, "master.dbo.sp_configure"),
    ],
)
def test_what_is_no_reading_statement_never_reaches_the_server(microsoft, text, procedure):
    with TdsServer(answering(TRANCOUNT=OPEN)) as server, session_to(server, microsoft) as session:
        before = said(server)
        with pytest.raises(StatementRefused) as refusal:
            read_figures(session, KpiStatement(text, procedure, least_privilege=True), 5.0)
        assert said(server) == before
    assert SECRET not in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("statement", [KpiStatement("SELECT 1"), KpiStatement(procedure="kpi_orders")])
def test_without_a_login_that_can_only_read_nothing_is_run(microsoft, statement):
    with TdsServer(answering(TRANCOUNT=OPEN)) as server, session_to(server, microsoft) as session:
        before = said(server)
        with pytest.raises(StatementRefused, match="least_privilege: true"):
            read_figures(session, statement, 5.0)
        assert said(server) == before


def test_a_procedure_that_ends_our_transaction_is_told(microsoft):
    with (
        TdsServer(answering(TRANCOUNT=one_row(0), EXEC=one_row(7))) as server,
        pytest.raises(StatementRefused, match="ended the transaction"),
    ):
        read(server, microsoft, procedure="kpi_orders")


@pytest.mark.parametrize(
    ("number", "kind", "words"),
    [
        (208, FeatureUnavailable, "not there"),
        (229, PermissionMissing, "Grant SELECT or EXECUTE"),
        (245, ProviderError, "error 245"),
        (8134, ProviderError, "error 8134"),
        (1205, QueryTimedOut, "deadlock"),
    ],
)
def test_an_error_of_the_server_is_told_without_its_words_and_rolled_back(driver, number, kind, words):
    text = "The SELECT permission was denied on the object 'orders'." if number == 229 else f"Failed with '{SECRET}'."
    error = ServerError(number, text)
    with TdsServer(answering(TRANCOUNT=one_row(0), orders=error)) as server:
        with pytest.raises(kind, match=words) as failure:
            read(server, driver, "SELECT a FROM orders")
        assert said(server)[-1] == END
    assert SECRET not in str(failure.value)


def test_a_statement_ends_with_its_timeout(driver):
    began = time.monotonic()
    with TdsServer(answering(TRANCOUNT=OPEN, orders=Delay(30, ROWS))) as server, pytest.raises(QueryTimedOut):
        read(server, driver, "SELECT a FROM orders", timeout=0.3)
    assert time.monotonic() - began < 15
