"""The TDS server, as both ODBC drivers see it."""

import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from dbplanmon_pipeline_tests.support.tds import Delay, Drop, Request, Result, RowCount, ServerError, TdsServer
from dbplanmon_pipeline_tests.support.tds.certificates import make_certificates
from dbplanmon_pipeline_tests.support.tds.drivers import DRIVERS, connected, odbc

NUMBERS = Result([("n", "int")], [(n,) for n in range(5)])


@pytest.fixture
def pyodbc():
    return odbc()


@pytest.fixture(params=DRIVERS)
def driver(request):
    return request.param


def log_in(driver, port, **settings):
    with connected(driver, port, **settings):
        return


def native_number(caught):
    return int(str(caught.value).rsplit("(", 2)[-2].split(")")[0])


def always(answer):
    return lambda request: answer


def echo(request: Request) -> Result:
    return Result([("kind", "nvarchar(40)"), ("seen", "nvarchar(max)")], [(request.kind, repr(request.params))])


def test_each_result_set_is_reached_in_turn(driver):
    answer = [NUMBERS, RowCount(3), Result([("t", "nvarchar(5)")], [("two",)])]
    with TdsServer(always(answer)) as server, connected(driver, server.port) as connection:
        cursor = connection.execute("SELECT several")
        first = [row.n for row in cursor]
        rest = []
        while cursor.nextset():
            rest.append([tuple(row) for row in cursor] if cursor.description else cursor.rowcount)
    assert first == [0, 1, 2, 3, 4]
    assert rest == [3, [("two",)]]


@pytest.mark.parametrize("number", [207, 208, 229, 300, 1205, 1222, 4060])
def test_an_error_carries_its_number_and_the_connection_lives_on(driver, number, pyodbc):
    def handler(request):
        return ServerError(number, "refused", 14) if "bad" in request.sql else NUMBERS

    with TdsServer(handler) as server, connected(driver, server.port) as connection:
        with pytest.raises(pyodbc.Error, match="refused") as caught:
            connection.execute("SELECT bad")
        assert len(connection.execute("SELECT good").fetchall()) == 5
    assert native_number(caught) == number


def test_an_error_after_rows_is_raised_while_they_are_read(driver, pyodbc):
    with (
        TdsServer(always([NUMBERS, ServerError(1205, "deadlock victim", 13)])) as server,
        connected(driver, server.port) as connection,
    ):
        cursor = connection.execute("SELECT n FROM t")
        assert len(cursor.fetchall()) == 5
        with pytest.raises(pyodbc.Error, match="deadlock victim"):
            cursor.nextset()


def test_a_query_timeout_ends_in_an_attention_and_the_connection_lives_on(driver, pyodbc):
    def handler(request):
        return Delay(30, NUMBERS) if "slow" in request.sql else NUMBERS

    with TdsServer(handler) as server, connected(driver, server.port) as connection:
        connection.timeout = 1
        began = time.monotonic()
        with pytest.raises(pyodbc.Error) as caught:
            connection.execute("SELECT slow")
        assert time.monotonic() - began < 5
        assert len(connection.execute("SELECT quick").fetchall()) == 5
    assert caught.value.args[0] == "HYT00"
    assert server.log[-2:] == [("attention", "", []), ("batch", "SELECT quick", [])]


def test_a_delayed_answer_arrives_late_but_whole(driver):
    with TdsServer(always(Delay(0.3, NUMBERS))) as server, connected(driver, server.port) as connection:
        began = time.monotonic()
        rows = connection.execute("SELECT n FROM t").fetchall()
    assert len(rows) == 5
    assert time.monotonic() - began >= 0.3


def test_rows_before_a_delay_arrive_before_it():
    with TdsServer(always([NUMBERS, Delay(5, NUMBERS)])) as server, connected("microsoft", server.port) as connection:
        began = time.monotonic()
        cursor = connection.execute("SELECT n FROM t")
        first = cursor.fetchone().n
        waited = time.monotonic() - began
        cursor.cancel()
    assert first == 0
    assert waited < 2


def test_a_server_that_ignores_attention_keeps_the_client_waiting(pyodbc):
    with (
        TdsServer(always(Delay(3, NUMBERS, ignore_attention=True))) as server,
        connected("microsoft", server.port) as connection,
    ):
        connection.timeout = 1
        began = time.monotonic()
        with pytest.raises(pyodbc.Error) as caught:
            connection.execute("SELECT slow")
    assert caught.value.args[0] == "HYT00"
    assert time.monotonic() - began >= 2.5


LOST = {"freetds": {"01000", "08S01", "HY000"}, "microsoft": {"08S01"}}


def test_a_connection_cut_before_the_result_is_lost(driver, pyodbc):
    with (
        TdsServer(always(Drop())) as server,
        connected(driver, server.port) as connection,
        pytest.raises(pyodbc.Error) as caught,
    ):
        connection.execute("SELECT n FROM t")
    assert caught.value.args[0] in LOST[driver]


def test_a_connection_cut_in_the_middle_gives_the_rows_so_far(driver, pyodbc):
    big = Result([("n", "int"), ("pad", "nvarchar(max)")], [(n, "x" * 10000) for n in range(5)])
    with TdsServer(always(Drop(2, big))) as server, connected(driver, server.port) as connection:
        cursor = connection.execute("SELECT n, pad FROM t")
        first = cursor.fetchone().n
        with pytest.raises(pyodbc.Error) as caught:
            cursor.fetchall()
    assert first == 0
    assert caught.value.args[0] in LOST[driver]


def test_a_connection_cut_after_the_result_fails_at_the_next_statement(driver, pyodbc):
    with TdsServer(always(Drop(result=NUMBERS))) as server, connected(driver, server.port) as connection:
        assert len(connection.execute("SELECT n FROM t").fetchall()) == 5
        with pytest.raises(pyodbc.Error) as caught:
            connection.execute("SELECT n FROM t")
    assert caught.value.args[0] in LOST[driver]


@pytest.mark.parametrize("number", [18456, 4060])
def test_a_login_is_refused_with_its_number(driver, number, pyodbc):
    seen = []

    def refuse(login):
        seen.append((login["user"], login["password"], login["database"]))
        return ServerError(number, "no entry", 14)

    with TdsServer(always(NUMBERS), auth=refuse) as server, pytest.raises(pyodbc.Error, match=str(number)):
        log_in(driver, server.port)
    assert seen == [("monitor", "not-a-secret", "Sales")]


def test_a_slow_login_runs_into_the_login_timeout(driver, pyodbc):
    with TdsServer(always(NUMBERS), login_delay=30) as server:
        began = time.monotonic()
        with pytest.raises(pyodbc.Error) as caught:
            log_in(driver, server.port, timeout=1)
    assert time.monotonic() - began < 5
    assert caught.value.args[0] in {"HYT00", "08S01", "08001"}


def test_a_silent_server_runs_into_the_login_timeout(driver, pyodbc):
    with TdsServer(always(NUMBERS), silent=True) as server:
        began = time.monotonic()
        with pytest.raises(pyodbc.Error):
            log_in(driver, server.port, timeout=1)
        assert server.peak_connections >= 1
    assert time.monotonic() - began < 5
    assert server.logins == []


def test_intent_application_and_database_are_seen():
    words = {"ApplicationIntent": "ReadOnly", "APP": "dbplanmon", "Database": "Hr"}
    with TdsServer(always(NUMBERS)) as server, connected("microsoft", server.port, **words):
        login = server.logins[0]
    assert (login["readonly"], login["app"], login["database"]) == (True, "dbplanmon", "Hr")


def test_freetds_tells_its_application_too():
    with TdsServer(always(NUMBERS)) as server, connected("freetds", server.port, APP="dbplanmon"):
        login = server.logins[0]
    assert (login["readonly"], login["app"]) == (False, "dbplanmon")


def test_use_changes_the_database_of_later_requests(driver):
    def handler(request):
        return Result([("name", "sysname")], [(request.login["database"],)])

    with TdsServer(handler) as server, connected(driver, server.port) as connection:
        connection.execute("USE [Hr]")
        assert connection.execute("SELECT DB_NAME()").fetchval() == "Hr"
    assert server.logins[0]["database"] == "Sales"


ENCRYPTED = {
    "freetds": {"Encryption": "require"},
    "microsoft": {"Encrypt": "yes", "TrustServerCertificate": "yes"},
}
CLEAR = {"freetds": {"Encryption": "request"}, "microsoft": {"Encrypt": "no"}}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("encryption", ["off", "on", "req"])
def test_a_client_that_wants_tls_gets_it_for_everything(driver, certificates, encryption):
    plan = "<plan/>" * 20000
    answer = Result([("query_plan", "nvarchar(max)")], [(plan,)])
    with (
        TdsServer(always(answer), encryption=encryption, certificate=certificates.server) as server,
        connected(driver, server.port, **ENCRYPTED[driver]) as connection,
    ):
        assert connection.execute("SELECT query_plan FROM t WHERE n = ?", 1).fetchval() == plan
    assert server.logins[0]["encrypted"]


def test_a_client_that_does_not_want_tls_encrypts_its_login_alone(driver, certificates):
    with (
        TdsServer(always(NUMBERS), encryption="off", certificate=certificates.server) as server,
        connected(driver, server.port, **CLEAR[driver]) as connection,
    ):
        assert len(connection.execute("SELECT n FROM t").fetchall()) == 5
    assert (server.logins[0]["login_encrypted"], server.logins[0]["encrypted"]) == (True, False)


def test_a_certificate_nobody_vouches_for_is_refused(certificates, pyodbc):
    with (
        TdsServer(always(NUMBERS), encryption="on", certificate=certificates.server) as server,
        pytest.raises(pyodbc.Error, match="certificate verify failed"),
    ):
        log_in("microsoft", server.port, Encrypt="yes", TrustServerCertificate="no")
    assert server.logins == []


def test_a_certificate_of_a_trusted_authority_is_accepted(certificates, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    with (
        TdsServer(always(NUMBERS), encryption="on", certificate=certificates.server) as server,
        connected("microsoft", server.port, Encrypt="yes", HostNameInCertificate="localhost"),
    ):
        assert server.logins[0]["encrypted"]


def test_a_client_that_demands_tls_refuses_a_server_without(driver, pyodbc):
    with TdsServer(always(NUMBERS)) as server, pytest.raises(pyodbc.Error):
        log_in(driver, server.port, **ENCRYPTED[driver])
    assert server.logins == []


def test_a_timeout_inside_tls_ends_in_an_attention(certificates, pyodbc):
    def handler(request):
        return Delay(30, NUMBERS) if "slow" in request.sql else NUMBERS

    with (
        TdsServer(handler, encryption="on", certificate=certificates.server) as server,
        connected("microsoft", server.port, **ENCRYPTED["microsoft"]) as connection,
    ):
        connection.timeout = 1
        with pytest.raises(pyodbc.Error, match="HYT00"):
            connection.execute("SELECT slow")
        assert len(connection.execute("SELECT quick").fetchall()) == 5


def test_eight_clients_are_served_at_once_and_counted(driver):
    together = threading.Barrier(8)

    def client(number):
        with connected(driver, server.port) as connection:
            together.wait(10)
            seen = [connection.execute("SELECT n WHERE n = ?", number).fetchone().seen for _ in range(50)]
            together.wait(10)
        return seen

    with TdsServer(echo) as server, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(client, range(8)))
        deadline = time.monotonic() + 30
        while server.open_connections and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (server.open_connections, server.peak_connections) == (0, 8)
    assert answers == [[f"[{number}]"] * 50 for number in range(8)]


def test_a_server_that_goes_down_cuts_its_clients(driver, pyodbc):
    with TdsServer(always(NUMBERS)) as server, connected(driver, server.port) as connection:
        server.stop()
        with pytest.raises(pyodbc.Error) as caught:
            connection.execute("SELECT n FROM t")
    assert caught.value.args[0] in LOST[driver]


def refused_by(handler, message):
    pyodbc = odbc()
    with (
        TdsServer(handler) as server,
        connected("microsoft", server.port) as connection,
        pytest.raises(pyodbc.Error, match=message),
    ):
        connection.execute("SELECT n FROM t")


def test_a_handler_that_fails_fails_the_test():
    def handler(request):
        raise KeyError("no such answer")

    with pytest.raises(KeyError, match="no such answer"):
        refused_by(handler, "50000")


def test_a_value_that_does_not_fit_its_type_fails_the_test():
    with pytest.raises(struct.error):
        refused_by(always(Result([("n", "int")], [(2**40,)])), "08S01")


def test_encryption_without_a_certificate_is_refused():
    with pytest.raises(ValueError, match="needs a certificate"):
        TdsServer(always(NUMBERS), encryption="on")


def test_a_thousand_batches_take_no_time(driver):
    with TdsServer(always(NUMBERS)) as server, connected(driver, server.port) as connection:
        began = time.monotonic()
        for _ in range(1000):
            connection.execute("SELECT n FROM t").fetchall()
        assert time.monotonic() - began < 30
