"""What a server, its network and its certificates can do wrong, with real drivers over a real socket."""

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dbplanmon_pipeline.errors import (
    CannotConnect,
    FeatureUnavailable,
    LoginFailed,
    PermissionMissing,
    ProviderError,
    QueryTimedOut,
)
from dbplanmon_pipeline.providers.sqlserver.connection import Encrypt
from dbplanmon_pipeline.providers.sqlserver.failures import native_number
from dbplanmon_pipeline.providers.sqlserver.session import CANCELLED
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import (
    PASSWORD,
    TARGET,
    answering,
    eventually,
    one_row,
    session_to,
)
from dbplanmon_pipeline_tests.support.hourglass import Hourglass
from dbplanmon_pipeline_tests.support.tds import Delay, Drop, Result, ServerError, TdsServer
from dbplanmon_pipeline_tests.support.tds.certificates import make_certificates

MANY = Result([("n", "int"), ("t", "nvarchar(200)")], [(number, "x" * 200) for number in range(5000)])


def _told(caught) -> ProviderError:
    """The error, after looking that it is one clear line with a way out and without the secret."""
    error = caught.value
    assert error.target == TARGET
    assert "\n" not in str(error)
    assert hasattr(error, "native")
    seen = [error, error.__cause__, None if error.__suppress_context__ else error.__context__]
    assert PASSWORD not in "".join(map(repr, seen)) + str(error)
    return error


def _refused(server_or_port, driver, kind, **more) -> ProviderError:
    with pytest.raises(kind) as caught, session_to(server_or_port, driver, **more):
        pass
    return _told(caught)


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize(
    ("number", "words", "kind"),
    [
        (18456, "Login failed for user 'mon'.", LoginFailed),
        (18452, "Login failed. The login is from an untrusted domain.", LoginFailed),
        (18487, "Login failed for user 'mon'. The password of the account has expired.", LoginFailed),
        (4060, 'Cannot open database "shop" requested by the login. The login failed.', CannotConnect),
        (18401, "Login failed for user 'mon'. Server is in script upgrade mode.", CannotConnect),
        (17809, "Could not connect because the maximum number of user connections has been reached.", CannotConnect),
        (40613, "Database 'shop' on server 'x' is not currently available.", CannotConnect),
        (40615, "Cannot open server 'x' requested by the login. Client with IP address is not allowed.", CannotConnect),
        (978, "The target database is in an availability group; use read-only intent.", FeatureUnavailable),
    ],
)
def test_a_refused_login_says_why(driver, number, words, kind):
    with TdsServer(answering(), auth=lambda login: ServerError(number, words, 14)) as server:
        error = _refused(server, driver, kind)

    assert native_number(error) == number
    assert error.remedy


@pytest.mark.parametrize(
    ("number", "words", "kind", "told"),
    [
        (300, "VIEW SERVER STATE permission was denied on object 'server'.", PermissionMissing, "VIEW SERVER STATE"),
        (297, "The user does not have permission to perform this action.", PermissionMissing, "permission denied"),
        (229, "The SELECT permission was denied on the object 'x'.", PermissionMissing, "SELECT permission"),
        (1205, "Transaction was deadlocked and has been chosen as the deadlock victim.", QueryTimedOut, "deadlock"),
        (1222, "Lock request time out period exceeded.", QueryTimedOut, "a lock was not free in time"),
        (207, "Invalid column name 'replica_group_id'.", FeatureUnavailable, "replica_group_id"),
        (208, "Invalid object name 'sys.query_store_replicas'.", FeatureUnavailable, "query_store_replicas"),
        (701, "There is insufficient system memory in resource pool 'default'.", QueryTimedOut, "short of memory"),
        (8134, "Divide by zero error encountered.", ProviderError, "error 8134"),
    ],
)
def test_a_failed_statement_says_why_and_the_session_goes_on(driver, number, words, kind, told):
    with (
        TdsServer(answering(BAD=ServerError(number, words), ONE=one_row())) as server,
        session_to(server, driver) as session,
    ):
        with pytest.raises(kind) as caught:
            session.rows("SELECT BAD WHERE a = ?", ("literal of a statement",))
        assert session.alive
        assert session.rows("SELECT ONE") == [(1,)]

    error = _told(caught)
    assert type(error) is kind
    assert native_number(error) == number
    assert told in error.message
    assert "literal of a statement" not in str(error)


def test_an_error_behind_rows_is_no_success(driver):
    with (
        TdsServer(answering(BAD=[MANY, ServerError(1205, "Deadlock victim.", 13)])) as server,
        session_to(server, driver) as session,
        pytest.raises(QueryTimedOut, match="deadlock"),
    ):
        session.rows("SELECT BAD")


@pytest.mark.parametrize("drop", [Drop(), Drop(10, MANY), Drop(4000, MANY)], ids=["before", "among the first", "late"])
def test_a_connection_cut_before_or_in_a_result_is_lost(driver, drop):
    with (
        TdsServer(answering(CUT=drop)) as server,
        session_to(server, driver) as session,
    ):
        with pytest.raises(CannotConnect) as caught:
            session.rows("SELECT CUT")
        assert not session.alive
        with pytest.raises(CannotConnect, match="connection was lost"):
            session.rows("SELECT ONE")

    assert "lost" in _told(caught).message


def test_a_connection_cut_after_a_result_is_lost_at_its_next_use(driver):
    with TdsServer(answering(CUT=Drop(None, MANY))) as server, session_to(server, driver) as session:
        assert len(session.rows("SELECT CUT")) == 5000
        with pytest.raises(CannotConnect) as caught:
            session.rows("SELECT ONE")
        assert not session.alive

    assert "lost" in _told(caught).message


def test_a_server_that_goes_down_between_two_statements_is_a_lost_connection(driver):
    with TdsServer(answering(ONE=one_row())) as server, session_to(server, driver) as session:
        session.rows("SELECT ONE")
        server.stop()
        with pytest.raises(CannotConnect) as caught:
            session.rows("SELECT ONE")

    assert _told(caught).transient


def test_a_closed_port_is_told_within_the_limit(driver):
    began = time.monotonic()
    error = _refused(_closed_port(), driver, CannotConnect, connect_timeout=1.5)

    assert time.monotonic() - began < 15
    assert error.message.startswith("cannot connect: no")
    assert error.remedy.startswith("Check host")


def test_an_unknown_host_is_told_within_the_limit(driver):
    began = time.monotonic()
    error = _refused(1433, driver, CannotConnect, host="no-such-host.invalid", connect_timeout=2.0)

    assert time.monotonic() - began < 15
    assert error.remedy


def test_a_server_that_never_answers_costs_the_limit_and_no_more(driver):
    with TdsServer(answering(), silent=True) as server:
        began = time.monotonic()
        error = _refused(server, driver, CannotConnect, connect_timeout=1.0)
        lasted = time.monotonic() - began

        assert 0.9 < lasted < 15
        assert "no answer in time" in error.message
        assert eventually(lambda: server.open_connections == 0), "the driver lets go after its own limit"


def test_connecting_never_outlasts_the_budget(driver):
    with TdsServer(answering(), login_delay=3.0) as server:
        began = time.monotonic()
        _refused(server, driver, CannotConnect, connect_timeout=20.0, seconds=0.5)

        assert time.monotonic() - began < 2.9
        assert eventually(lambda: server.open_connections == 0), "what was connected too late is closed"


def test_a_cancelled_run_does_not_wait_for_the_connection(driver):
    until = time.monotonic() + 0.3
    with TdsServer(answering(), silent=True) as server:
        began = time.monotonic()
        error = _refused(
            server, driver, QueryTimedOut, cancelled=lambda: time.monotonic() > until, connect_timeout=50.0
        )

        assert time.monotonic() - began < 15
        assert CANCELLED in error.message


def test_others_connect_and_read_while_one_server_is_silent(driver):
    time_left = Hourglass()
    with (
        TdsServer(answering(), silent=True) as silent,
        TdsServer(answering(ONE=one_row(), SLOW=Delay(3, one_row(), ignore_attention=True))) as server,
        session_to(server, driver, time_left=time_left.budget) as deaf,
    ):
        time_left.leave(0.3)
        with pytest.raises(QueryTimedOut):
            deaf.rows("SELECT SLOW")
        with pytest.raises(CannotConnect), session_to(silent, driver, seconds=0.3):
            pass
        with session_to(server, driver) as session:
            assert session.rows("SELECT ONE") == [(1,)]


@pytest.mark.parametrize("encryption", ["off", "on", "req"])
def test_an_encrypted_connection_works(driver, certificates, encryption):
    with TdsServer(answering(ONE=one_row()), encryption=encryption, certificate=certificates.server) as server:
        more = {"encrypt": Encrypt.MANDATORY, "trust_server_certificate": True}
        with session_to(server, driver, **more) as session:
            assert session.rows("SELECT ONE") == [(1,)]

        assert server.logins[-1]["password"] == PASSWORD


def test_a_server_without_encryption_gets_no_login(driver):
    with TdsServer(answering()) as server:
        error = _refused(server, driver, CannotConnect, encrypt=Encrypt.MANDATORY, trust_server_certificate=True)

        assert server.logins == [], "the password was not sent in the clear"
    assert "encrypt" in str(error)


def test_optional_encryption_still_hides_the_login_where_the_server_can(driver, certificates):
    with TdsServer(answering(ONE=one_row()), encryption="off", certificate=certificates.server) as server:
        with session_to(server, driver) as session:
            assert session.rows("SELECT ONE") == [(1,)]

        assert server.logins[-1]["login_encrypted"]


def test_an_untrusted_certificate_gets_no_login(microsoft, certificates):
    with TdsServer(answering(), encryption="on", certificate=certificates.server) as server:
        error = _refused(server, microsoft, CannotConnect, encrypt=Encrypt.MANDATORY)

        assert server.logins == []
    assert "is not trusted" in error.message
    assert "trust_server_certificate" in error.remedy


def test_freetds_is_refused_where_the_certificate_must_be_verified(freetds, certificates):
    with TdsServer(answering(), encryption="on", certificate=certificates.server) as server:
        _refused(server, freetds, FeatureUnavailable, encrypt=Encrypt.MANDATORY)

        assert server.peak_connections == 0


@pytest.fixture
def trusted(certificates, monkeypatch) -> Path:
    """The authority of the test, as the one that OpenSSL trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    return certificates.server


def test_a_trusted_certificate_works(microsoft, trusted):
    with (
        TdsServer(answering(ONE=one_row()), encryption="on", certificate=trusted) as server,
        session_to(server, microsoft, host="localhost", encrypt=Encrypt.MANDATORY) as session,
    ):
        assert session.rows("SELECT ONE") == [(1,)]


def test_a_certificate_for_another_name_gets_no_login(microsoft, tmp_path, monkeypatch):
    made = make_certificates(tmp_path, ("db1.example.org",))
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    with TdsServer(answering(ONE=one_row()), encryption="on", certificate=made.server) as server:
        error = _refused(server, microsoft, CannotConnect, host="localhost", encrypt=Encrypt.MANDATORY)
        assert server.logins == []
        named = {"encrypt": Encrypt.MANDATORY, "host_name_in_certificate": "db1.example.org"}
        with session_to(server, microsoft, host="localhost", **named) as session:
            assert session.rows("SELECT ONE") == [(1,)]

    assert "bears another name" in error.message
    assert "host_name_in_certificate" in error.remedy


def test_strict_encryption_is_refused_by_a_server_that_does_not_know_it(microsoft, trusted):
    with TdsServer(answering(), encryption="on", certificate=trusted) as server:
        error = _refused(server, microsoft, CannotConnect, encrypt=Encrypt.STRICT, connect_timeout=2.0)

        assert server.logins == []
    assert error.remedy


def test_a_driver_that_is_not_there_is_told_as_a_missing_part(driver, tmp_path):
    gone = replace(driver, name_or_path=str(tmp_path / "libmsodbcsql-18.so"))

    assert "names a file that is not there" in _refused(1433, gone, FeatureUnavailable).message
