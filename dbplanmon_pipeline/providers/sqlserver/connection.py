"""Connection settings, and the connection string each driver understands."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from dbplanmon_pipeline.errors import FeatureUnavailable, SettingsError
from dbplanmon_pipeline.providers.sqlserver.drivers import Driver, DriverKind

DEFAULT_PORT = 1433
APPLICATION_NAME = "dbplanmon"

_USE_MICROSOFT = "Install Microsoft's ODBC Driver 18"
_FREETDS_CANNOT = re.compile(r"\}(;|.*driver\s*=)", re.IGNORECASE | re.DOTALL)
"""Behind a brace unixODBC looks for `driver=`, whatever stands around it, and FreeTDS ends the value at `};`."""

_WITH_PASSWORD = ("activedirectorypassword", "activedirectoryserviceprincipal", "sqlpassword")
_WITHOUT_PASSWORD = ("activedirectorymsi", "activedirectorymanagedidentity", "activedirectoryintegrated")

_INSTANCE = re.compile(r"^(?P<host>[^\\]*)\\(?P<instance>[^\\]+)$")


class Encrypt(StrEnum):
    """How much of the connection is encrypted.

    `optional` leaves it to the server and proves nothing about who answers; `mandatory` refuses a server without TLS;
    `strict` is TLS before the first word (SQL Server 2022, Azure).
    """

    OPTIONAL = "optional"
    MANDATORY = "mandatory"
    STRICT = "strict"


def _no_password() -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    r"""How to reach one instance.

    Attributes:
        server: `host`, `host\instance`, `host,port`, each also behind `tcp:`; an IPv6 address with or without brackets.
        port: TCP port; not set: the one in `server`, else the instance's own, else 1433.
        user: login name; for some kinds of `authentication` an application or identity.
        password: asked at each connection, so that a changed one is picked up; None sends none.
        integrated: connect as the user of the operating system (Kerberos).
        authentication: passed to Microsoft's driver, for example `ActiveDirectoryMsi`.
        encrypt: how much is encrypted.
        trust_server_certificate: take any certificate.
        host_name_in_certificate: a further name that the certificate may bear.
        server_certificate: file with the one certificate that is accepted; with `strict` only.
        read_only: announce ReadOnly intent, so that a listener routes to a readable secondary.
        multi_subnet_failover: try all addresses of the name at once.
        connect_timeout: for the whole connecting [seconds].
        application_name: as sys.dm_exec_sessions shows it.
        driver: registered name or absolute path; not set: the best one found.
    """

    server: str
    port: int | None = None
    user: str | None = None
    password: Callable[[], str | None] = field(default=_no_password, repr=False, compare=False)
    integrated: bool = False
    authentication: str | None = None
    encrypt: Encrypt = Encrypt.MANDATORY
    trust_server_certificate: bool = False
    host_name_in_certificate: str | None = None
    server_certificate: str | None = None
    read_only: bool = False
    multi_subnet_failover: bool = False
    connect_timeout: float = 5.0
    application_name: str = APPLICATION_NAME
    driver: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a port, or an instance name that SQL Server Browser translates."""

    host: str
    port: int | None
    instance: str | None = None


def connection_string(
    settings: ConnectionSettings, driver: Driver, database: str, password: str | None, target: str = ""
) -> str:
    """Everything the driver needs to know; it holds the password, so it goes nowhere else.

    Raises:
        FeatureUnavailable: the driver cannot do what the settings ask, or not as safely.
        SettingsError: a value that no connection string can carry, or a login that its authentication cannot use.
    """
    address = address_of(settings)
    if settings.server_certificate and settings.encrypt is not Encrypt.STRICT:
        # The driver takes the key with its other modes too, and then compares nothing.
        raise SettingsError("server_certificate: is compared with encrypt: strict only; set that or remove the key")
    if driver.kind is DriverKind.FREETDS:
        _refuse_what_freetds_cannot(settings, target)
        pairs = _freetds_pairs(settings, address)
    else:
        pairs = _microsoft_pairs(settings, address)
    _require_fitting_login(settings, password)
    login = _login_pairs(settings, password)
    names = [("DATABASE", database), ("APP", settings.application_name)]
    texts = [("DRIVER", driver.name_or_path), *pairs, *login, *names]
    return "".join(f"{key}={_quoted(key, value, driver.kind, target)};" for key, value in texts)


def address_of(settings: ConnectionSettings) -> Address:
    """Host and port, or host and instance; a port makes the instance name needless.

    Raises:
        SettingsError: two different ports, no host, or a protocol other than TCP.
    """
    text = settings.server.strip()
    protocol, colon, rest = text.partition(":")
    if colon and protocol.lower() in ("tcp", "np", "lpc", "admin"):
        if protocol.lower() != "tcp":
            raise SettingsError(f"server: protocol {protocol}: cannot be used; write the host name alone")
        text = rest.strip()
    text, port = _without_port(text)
    if port and settings.port and port != settings.port:
        raise SettingsError(f"server: port {port} contradicts port: {settings.port}; remove one of them")
    named = _INSTANCE.match(text)
    host, instance = (named["host"], named["instance"]) if named else (text, None)
    host = host.removeprefix("[").removesuffix("]")
    if not host:
        raise SettingsError("server: holds no host name")
    port = port or settings.port
    if port:
        return Address(host, port)
    return Address(host, None, instance) if instance else Address(host, DEFAULT_PORT)


def _without_port(text: str) -> tuple[str, int | None]:
    host, comma, port = text.rpartition(",")
    if not comma:
        return text, None
    if not port.strip().isdecimal() or not 1 <= int(port) <= 65_535:
        raise SettingsError("server: expected a port from 1 to 65535 behind the comma")
    return host.strip(), int(port)


def _microsoft_pairs(settings: ConnectionSettings, address: Address) -> Iterator[tuple[str, str]]:
    place = f"{address.host}\\{address.instance}" if address.instance else f"{address.host},{address.port}"
    yield "SERVER", f"tcp:{place}"
    yield "Encrypt", {"optional": "no", "mandatory": "yes", "strict": "strict"}[settings.encrypt]
    yield "TrustServerCertificate", "yes" if settings.trust_server_certificate else "no"
    if settings.host_name_in_certificate:
        yield "HostNameInCertificate", settings.host_name_in_certificate
    if settings.server_certificate:
        yield "ServerCertificate", settings.server_certificate
    if settings.multi_subnet_failover:
        yield "MultiSubnetFailover", "yes"
    if settings.authentication:
        yield "Authentication", settings.authentication
    yield "ApplicationIntent", "ReadOnly" if settings.read_only else "ReadWrite"
    # A connection that the driver mends in silence would hide a failover from us.
    yield "ConnectRetryCount", "0"
    yield "KeepAlive", "10"
    yield "KeepAliveInterval", "3"


def _freetds_pairs(settings: ConnectionSettings, address: Address) -> Iterator[tuple[str, str]]:
    yield "SERVER", f"{address.host}\\{address.instance}" if address.instance else address.host
    if address.port:
        yield "PORT", str(address.port)
    yield "TDS_Version", "7.4"
    yield "ClientCharset", "UTF-8"
    # Its own configuration file often cuts texts at 64 kB.
    yield "TextSize", str(2**31 - 1)
    yield "Encryption", "request" if settings.encrypt is Encrypt.OPTIONAL else "require"
    yield "ApplicationIntent", "ReadOnly" if settings.read_only else "ReadWrite"


def _login_pairs(settings: ConnectionSettings, password: str | None) -> Iterator[tuple[str, str]]:
    if settings.integrated:
        yield "Trusted_Connection", "yes"
        return
    if settings.user:
        yield "UID", settings.user
    if password is not None:
        yield "PWD", password


def _require_fitting_login(settings: ConnectionSettings, password: str | None) -> None:
    """What the driver would only answer with a riddle, or with a window that nobody sees."""
    method = (settings.authentication or "").lower()
    if settings.integrated and method:
        raise SettingsError("login.integrated: takes no authentication; remove one of them")
    if method in ("activedirectoryinteractive", "activedirectorydevicecode", "activedirectorydevicecodeflow"):
        raise SettingsError(
            f"login.authentication: {settings.authentication} asks a person; use ActiveDirectoryMsi or "
            "ActiveDirectoryServicePrincipal"
        )
    if method in _WITH_PASSWORD and not (settings.user and password):
        raise SettingsError(f"login: {settings.authentication} needs user and password")
    if method in _WITHOUT_PASSWORD and password:
        raise SettingsError(f"login: {settings.authentication} takes no password; remove it")
    if method == "activedirectoryintegrated" and settings.user:
        raise SettingsError(f"login: {settings.authentication} takes no user; remove it")


def _refuse_what_freetds_cannot(settings: ConnectionSettings, target: str) -> None:
    beyond = {
        "encrypt: strict": settings.encrypt is Encrypt.STRICT,
        "login.authentication": bool(settings.authentication),
        "multi_subnet_failover": settings.multi_subnet_failover,
        "host_name_in_certificate": bool(settings.host_name_in_certificate),
        "server_certificate": bool(settings.server_certificate),
    }
    if asked := [name for name, wanted in beyond.items() if wanted]:
        raise FeatureUnavailable(
            f"FreeTDS does not know {', '.join(asked)}", target=target, remedy=f"{_USE_MICROSOFT}, or remove the keys."
        )
    if settings.encrypt is Encrypt.MANDATORY and not settings.trust_server_certificate:
        raise FeatureUnavailable(
            "FreeTDS encrypts, but cannot be told to verify the certificate of the server",
            target=target,
            remedy=f"{_USE_MICROSOFT}, or set trust_server_certificate: true.",
        )


def _quoted(key: str, value: str, kind: DriverKind, target: str) -> str:
    """A value in braces, whatever it holds; FreeTDS has no way to escape the brace that ends it."""
    if "\0" in value:
        raise SettingsError(f"the value for {key} holds a character that no connection can carry")
    if kind is DriverKind.MICROSOFT:
        return "{" + value.replace("}", "}}") + "}"
    if _FREETDS_CANNOT.search(value):
        raise FeatureUnavailable(
            f"the value for {key} holds a closing brace in a place where FreeTDS cannot take it",
            target=target,
            remedy=f"{_USE_MICROSOFT}, or change the value.",
        )
    return "{" + value + "}"
