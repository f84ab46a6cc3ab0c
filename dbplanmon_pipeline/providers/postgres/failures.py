"""Translates errors of psycopg into the error tree, with the way out and without secrets."""

import re

import psycopg

from dbplanmon_pipeline.errors import (
    CannotConnect,
    FeatureUnavailable,
    LoginFailed,
    PermissionMissing,
    ProviderError,
    QueryTimedOut,
)

_MAX_CHARACTERS = 300
INSTALL = "Run CREATE EXTENSION pg_stat_statements; in this database, or leave it out (databases.exclude)."
_PRELOAD = "Add pg_stat_statements to shared_preload_libraries and restart the server."

_Kind = type[ProviderError]

_BY_STATE: dict[str, tuple[_Kind, str, str]] = {
    "28P01": (LoginFailed, "the password is wrong", "Check the password in the settings."),
    "28": (LoginFailed, "the server rejects the login", "Check user, password and pg_hba.conf."),
    "3D000": (CannotConnect, "there is no such database", "Correct the name in the settings or remove it there."),
    "42501": (PermissionMissing, "permission denied", "Grant pg_monitor to the role of the monitor."),
    "57014": (QueryTimedOut, "a statement was cancelled or ran out of time", "Raise collection.budget_per_database."),
    "55P03": (
        QueryTimedOut,
        "a lock was not free in time",
        "Look for long transactions that hold locks on this database.",
    ),
    "40": (
        QueryTimedOut,
        "the statement lost a deadlock or stood in the way of replication",
        "It is tried again; look at the load of the server when it lasts.",
    ),
    "53300": (CannotConnect, "the server has no free connection", "Raise max_connections or close idle sessions."),
    "53": (CannotConnect, "the server is short of resources", "Check memory and disk space of the server."),
    "57P": (CannotConnect, "the server is starting or stopping, or ended the session", "Wait until it is up again."),
    "08": (CannotConnect, "the connection was lost", "Check the server and the network."),
    "42P01": (FeatureUnavailable, "pg_stat_statements is not installed", INSTALL),
    "42883": (
        FeatureUnavailable,
        "pg_stat_statements is not as expected",
        "Run ALTER EXTENSION pg_stat_statements UPDATE;",
    ),
    "42703": (
        FeatureUnavailable,
        "pg_stat_statements is not as expected",
        "Run ALTER EXTENSION pg_stat_statements UPDATE;",
    ),
    "55000": (FeatureUnavailable, "pg_stat_statements is not loaded", _PRELOAD),
}

_BY_WORDS: tuple[tuple[str, str], ...] = (
    (r"password authentication failed", "28P01"),
    (r"no password supplied|no pg_hba\.conf entry|authentication failed|role \".*\" does not exist", "28"),
    (r"not permitted to log in|permission denied for database|authentication method", "28"),
    (r"database \".*\" does not exist", "3D000"),
    (r"too many (clients|connections)|remaining connection slots", "53300"),
    (r"starting up|shutting down|recovery mode|terminating connection", "57P"),
)
_TIMEOUT = r"timeout|timed out"
_CUT = r"server closed the connection|Connection reset|connection is (lost|closed)|EOF detected|Broken pipe"

_PASSES_SOON = ("08", "40")
"""Classes of states after which the same may go well within a second."""

_CONNECTING: tuple[tuple[str, str, str], ...] = (
    (r"Connection refused", "nothing listens there", "Check host, port and whether the server runs."),
    (_TIMEOUT, "no answer in time", "Check host, port, firewall and the load of the server."),
    (_CUT, "the connection was cut", "Check the server and the network."),
    (r"resolve host|translate host name", "the host name is not known", "Check the name and the DNS."),
    (
        r"SSL|TLS|certificate",
        "the encrypted connection failed",
        "Check sslmode, certificates and the server's ssl setting.",
    ),
    (r"No route|unreachable", "the network does not reach it", "Check routing and firewall."),
)


def translate(error: psycopg.Error, target: str, secrets: tuple[str, ...] = ()) -> ProviderError:
    """The expected error that stands for `error`; unexpected states keep the server's own words, scrubbed."""
    state = error.sqlstate or _state_of_words(str(error))
    found = _BY_STATE.get(state) or _BY_STATE.get(state[:3]) or _BY_STATE.get(state[:2])
    if found is not None:
        kind, message, remedy = found
        made = kind(f"{message} ({state})" if len(state) == 5 else message, target=target, remedy=remedy)
        made.passes_soon = state.startswith(_PASSES_SOON)
        return made
    if isinstance(error, psycopg.OperationalError):
        return _unreachable(str(error), target, secrets)
    words = scrubbed(str(error), secrets)
    return ProviderError(f"a statement of the monitor failed ({state or type(error).__name__}): {words}", target=target)


def scrubbed(message: str, secrets: tuple[str, ...]) -> str:
    """One bounded line without any of the secrets and without password fields."""
    line = " ".join(message.split())
    for secret in secrets:
        if secret:
            line = line.replace(secret, "***")
    line = re.sub(r"(?i)(password\s*=\s*)('[^']*'|\S+)", r"\1***", line)
    line = re.sub(r"(://[^:/@\s]+:)[^@\s]+@", r"\1***@", line)
    return line[:_MAX_CHARACTERS]


def _state_of_words(message: str) -> str:
    """Class of an error while connecting: libpq gives no SQLSTATE there, only the words of the server."""
    return next((state for pattern, state in _BY_WORDS if re.search(pattern, message)), "")


def _unreachable(message: str, target: str, secrets: tuple[str, ...]) -> CannotConnect:
    for pattern, meaning, remedy in _CONNECTING:
        if re.search(pattern, message):
            made = CannotConnect(f"cannot connect: {meaning}", target=target, remedy=remedy)
            made.passes_soon = pattern in (_TIMEOUT, _CUT)
            return made
    return CannotConnect(
        f"cannot connect: {scrubbed(message, secrets)}", target=target, remedy="Check the server and the network."
    )
