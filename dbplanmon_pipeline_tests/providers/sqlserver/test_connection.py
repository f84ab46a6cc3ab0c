import socket
import threading

import pytest

from dbplanmon_pipeline.errors import FeatureUnavailable, SettingsError
from dbplanmon_pipeline.providers.sqlserver.connection import (
    Address,
    ConnectionSettings,
    Encrypt,
    address_of,
    connection_string,
)
from dbplanmon_pipeline.providers.sqlserver.drivers import Driver, DriverKind, load_pyodbc
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import PASSWORD, answering, session_to, settings_of
from dbplanmon_pipeline_tests.support.tds import TdsServer

MICROSOFT = Driver(DriverKind.MICROSOFT, "ODBC Driver 18 for SQL Server", "18")
FREETDS = Driver(DriverKind.FREETDS, "FreeTDS")


@pytest.fixture
def server():
    with TdsServer(answering()) as running:
        yield running


@pytest.mark.parametrize(
    ("server", "port", "address"),
    [
        ("db1", None, Address("db1", 1433)),
        ("db1", 14330, Address("db1", 14330)),
        ("db1,14330", None, Address("db1", 14330)),
        ("db1, 14330", 14330, Address("db1", 14330)),
        ("tcp:db1.example.org,14330", None, Address("db1.example.org", 14330)),
        ("TCP:db1", None, Address("db1", 1433)),
        ("db1\\SALES", None, Address("db1", None, "SALES")),
        ("db1\\SALES", 14330, Address("db1", 14330)),
        ("db1\\SALES,14330", None, Address("db1", 14330)),
        ("::1", None, Address("::1", 1433)),
        ("[fe80::1]", 14330, Address("fe80::1", 14330)),
        ("tcp:[::1],14330", None, Address("::1", 14330)),
    ],
)
def test_the_usual_ways_to_write_a_server_are_understood(server, port, address):
    assert address_of(ConnectionSettings(server, port)) == address


@pytest.mark.parametrize(
    ("server", "port", "complaint"),
    [
        ("db1,14330", 1433, "port 14330 contradicts port: 1433"),
        ("np:db1", None, "protocol np"),
        ("db1,0", None, "a port from 1 to 65535"),
        ("db1,sales", None, "a port from 1 to 65535"),
        (",1433", None, "holds no host name"),
        ("tcp:", None, "holds no host name"),
    ],
)
def test_a_server_that_cannot_be_is_refused(server, port, complaint):
    with pytest.raises(SettingsError, match=complaint):
        address_of(ConnectionSettings(server, port))


@pytest.mark.parametrize("family", ["::1", "[::1]"])
def test_an_ipv6_address_is_reached(driver, family):
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("no IPv6 on the loopback")
    seen = []

    def accept() -> None:
        with listener.accept()[0] as connection:
            seen.append(connection.recv(1))

    with listener:
        thread = threading.Thread(target=accept)
        thread.start()
        text = connection_string(settings_of(listener.getsockname()[1], host=family), driver, "shop", PASSWORD)
        pyodbc = load_pyodbc()
        with pytest.raises(pyodbc.Error):
            pyodbc.connect(text, timeout=2)
        thread.join(5)

    assert seen == [b"\x12"], "the first byte of a prelogin"


@pytest.mark.parametrize(
    ("method", "user", "password", "complaint"),
    [
        ("ActiveDirectoryInteractive", "mon@x", None, "asks a person"),
        ("ActiveDirectoryServicePrincipal", "app", None, "needs user and password"),
        ("ActiveDirectoryPassword", None, "secret", "needs user and password"),
        ("ActiveDirectoryMsi", "identity", "secret", "takes no password"),
        ("activedirectoryintegrated", "mon", None, "takes no user"),
    ],
)
def test_a_login_that_its_authentication_cannot_use_is_refused_in_our_words(method, user, password, complaint):
    settings = ConnectionSettings("h", user=user, authentication=method)
    with pytest.raises(SettingsError, match=complaint):
        connection_string(settings, MICROSOFT, "d", password)


def test_the_identity_of_a_machine_may_be_one_of_several():
    settings = ConnectionSettings("h", user="client-id", authentication="ActiveDirectoryMsi")
    text = connection_string(settings, MICROSOFT, "d", None)
    assert "UID={client-id};" in text
    assert "PWD" not in text


ODD = ["a;b", "a=b", "{a", "a}", "a}b", "{a}", "}", " a b ", "}PWD=x", "pass;DATABASE=other", "ü€\"'`", "x{y}z;"]


@pytest.mark.parametrize("password", ODD)
def test_a_password_arrives_as_it_is(driver, server, password):
    with session_to(server, driver, password=lambda: password):
        pass

    login = server.logins[-1]
    assert (login["password"], login["user"], login["database"]) == (password, "mon", "shop")


@pytest.mark.parametrize("password", ["a};b", "};DATABASE=other;X={", "}};", "}DRIVER=x", "a} driver =x"])
def test_a_password_freetds_cannot_take_is_refused_before_it_is_sent(freetds, microsoft, server, password):
    with (
        pytest.raises(FeatureUnavailable, match="value for PWD holds a closing brace") as caught,
        session_to(server, freetds, password=lambda: password),
    ):
        pass
    with session_to(server, microsoft, password=lambda: password):
        pass

    assert [login["password"] for login in server.logins] == [password]
    assert password not in str(caught.value)


def test_a_database_name_with_every_odd_character_arrives(microsoft, server):
    with session_to(server, microsoft, database="a;b{c}]d'e"):
        pass

    assert server.logins[-1]["database"] == "a;b{c}]d'e"


@pytest.mark.parametrize("read_only", [True, False])
def test_name_and_intent_of_the_application_arrive(driver, server, read_only):
    with session_to(server, driver, read_only=read_only, application_name="dbplanmon; test"):
        pass

    login = server.logins[-1]
    assert (login["app"], login["readonly"]) == ("dbplanmon; test", read_only)


def test_a_zero_byte_is_refused():
    with pytest.raises(SettingsError, match="value for PWD holds a character"):
        connection_string(ConnectionSettings("h", user="u"), MICROSOFT, "d", "a\0b")


def test_microsofts_driver_is_told_everything():
    settings = ConnectionSettings(
        "db1",
        user="u",
        encrypt=Encrypt.STRICT,
        host_name_in_certificate="db1.example.org",
        server_certificate="/etc/ssl/db1.pem",
        multi_subnet_failover=True,
        read_only=True,
        authentication="ActiveDirectoryServicePrincipal",
    )

    text = connection_string(settings, MICROSOFT, "shop", "pw")

    assert text == (
        "DRIVER={ODBC Driver 18 for SQL Server};SERVER={tcp:db1,1433};Encrypt={strict};TrustServerCertificate={no};"
        "HostNameInCertificate={db1.example.org};ServerCertificate={/etc/ssl/db1.pem};MultiSubnetFailover={yes};"
        "Authentication={ActiveDirectoryServicePrincipal};ApplicationIntent={ReadOnly};ConnectRetryCount={0};"
        "KeepAlive={10};KeepAliveInterval={3};UID={u};PWD={pw};DATABASE={shop};APP={dbplanmon};"
    )


def test_a_managed_identity_sends_no_password():
    text = connection_string(ConnectionSettings("h", authentication="ActiveDirectoryMsi"), MICROSOFT, "d", None)

    assert "Authentication={ActiveDirectoryMsi};" in text
    assert "UID" not in text
    assert "PWD" not in text


@pytest.mark.parametrize("driver", [MICROSOFT, FREETDS], ids=["microsoft", "freetds"])
def test_an_integrated_login_names_nobody(driver):
    settings = ConnectionSettings("h", user="u", integrated=True, encrypt=Encrypt.OPTIONAL)

    text = connection_string(settings, driver, "d", "pw")

    assert "Trusted_Connection={yes};" in text
    assert "UID" not in text
    assert "PWD" not in text


def test_encryption_is_demanded_unless_told_otherwise():
    assert "Encrypt={yes};TrustServerCertificate={no};" in connection_string(
        ConnectionSettings("h", user="u"), MICROSOFT, "d", "p"
    )


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"encrypt": Encrypt.STRICT}, "encrypt: strict"),
        ({"authentication": "ActiveDirectoryMsi"}, "login.authentication"),
        ({"multi_subnet_failover": True}, "multi_subnet_failover"),
        ({"host_name_in_certificate": "x"}, "host_name_in_certificate"),
        ({"trust_server_certificate": False}, "cannot be told to verify the certificate"),
    ],
)
def test_what_freetds_cannot_do_is_refused_and_not_left_out(more, named):
    settings = ConnectionSettings("h", user="u", **{"trust_server_certificate": True, **more})

    with pytest.raises(FeatureUnavailable, match=named) as caught:
        connection_string(settings, FREETDS, "d", "p", "sql1/d")

    assert "Microsoft's ODBC Driver 18" in caught.value.remedy


def test_a_pinned_certificate_needs_strict_encryption():
    settings = ConnectionSettings("h", user="u", server_certificate="/etc/ssl/db1.pem")

    with pytest.raises(SettingsError, match="with encrypt: strict only"):
        connection_string(settings, MICROSOFT, "d", "p")


def test_the_password_is_in_no_representation_of_the_settings():
    assert PASSWORD not in repr(settings_of(1))
