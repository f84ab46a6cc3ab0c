"""What the numbers and states of SQL Server and its drivers mean for the monitor."""

from typing import NamedTuple

from dbplanmon_pipeline.errors import (
    CannotConnect,
    FeatureUnavailable,
    LoginFailed,
    PermissionMissing,
    ProviderError,
    QueryTimedOut,
)


class Cause(NamedTuple):
    """One way to fail: kind of error, what is wrong, what to do, and whether the same may go well within a second."""

    kind: type[ProviderError]
    message: str
    remedy: str
    passes_soon: bool = False

    def error(self, target: str, message: str = "") -> ProviderError:
        """The expected error; `message` where more than the cause's own is to be said."""
        made = self.kind(message or self.message, target=target, remedy=self.remedy)
        made.passes_soon = self.passes_soon
        return made


_GRANTS = "Run the script that dbplanmon grants prints."
_WAIT = "Wait until it is up again."
_NETWORK = "Check the server and the network."
_LATER = "It is tried again; look at the load of the server when it lasts."
_NAMES = "Check the version of the server and report this line."

_LOGIN = Cause(LoginFailed, "the server rejects the login", "Check user, password and the rights of the login.")
_TRUST = Cause(
    LoginFailed, "the server does not trust the account", "Check the Kerberos ticket and the SPN of the server."
)
_ACCOUNT = Cause(LoginFailed, "the login is locked, disabled or its password has expired", "Unlock or renew the login.")
_TRIGGER = Cause(LoginFailed, "a logon trigger of the server turns the login away", "Let the trigger pass this login.")
_LICENCE = Cause(LoginFailed, "the server has no licence for a further user", "Free or buy one.")
_NO_ACCESS = Cause(LoginFailed, "the login may not enter this database", _GRANTS)
_NO_DATABASE = Cause(
    CannotConnect,
    "the database is not there, not online, or not open to this login",
    "Correct the name in the settings, or run the script that dbplanmon grants prints.",
)
_OFFLINE = Cause(CannotConnect, "the database is offline, restoring or in recovery", _WAIT)
_MIRROR = Cause(
    CannotConnect, "the database is a mirror or a standby that takes no connections", "Connect to its principal server."
)
_ONE_USER = Cause(
    CannotConnect, "the database is in single-user mode and taken", "Wait, or leave it out until it is over."
)
_PERMISSION = Cause(PermissionMissing, "permission denied", _GRANTS)
_REPLICA_CLOSED = Cause(
    CannotConnect,
    "the availability replica takes no connections to this database now",
    "Allow reads on the secondary, or connect to the listener.",
)
_READ_INTENT = Cause(
    FeatureUnavailable, "the secondary takes read-only connections only", "Set application_intent: read_only."
)
_WRITE_INTENT = Cause(
    FeatureUnavailable,
    "the primary replica takes no read-only connections to this database",
    "Remove application_intent: read_only, or connect to a readable secondary.",
)
_DEADLOCK = Cause(QueryTimedOut, "the statement lost a deadlock", _LATER, passes_soon=True)
_LOCKED = Cause(
    QueryTimedOut, "a lock was not free in time", "Look for schema changes and long transactions on this database."
)
_MOVED = Cause(QueryTimedOut, "data moved while it was read without locks", _LATER, passes_soon=True)
_SLOW = Cause(QueryTimedOut, "a statement ran out of time", "Raise collection.budget_per_database.")
_VERSIONS = Cause(QueryTimedOut, "the server gave up the row versions that were read", _LATER)
_GOVERNED = Cause(
    QueryTimedOut, "a limit of the server on the cost of statements stopped one", "Exempt the login from the limit."
)
_DAMAGED = Cause(ProviderError, "the server cannot read a page of this database", "Run DBCC CHECKDB on it.")
_CANCELLED = Cause(QueryTimedOut, "a statement was cancelled or ran out of time", _SLOW.remedy)
_NO_NAME = Cause(FeatureUnavailable, "this server does not know a name we read", _NAMES)
_STARTING = Cause(CannotConnect, "the server is starting, stopping or being upgraded", _WAIT)
_FULL = Cause(CannotConnect, "the server has no free connection", "Close idle sessions or raise user connections.")
_BUSY = Cause(CannotConnect, "the service is busy or moving the database", _LATER, passes_soon=True)
_SHORT = Cause(
    QueryTimedOut, "the server is short of memory, locks or disk space", "Check memory and disk space there."
)
_FIREWALL = Cause(
    CannotConnect, "the firewall of the service lets nobody in from here", "Add a firewall rule for this address."
)
_LOST = Cause(CannotConnect, "the connection was lost", _NETWORK, passes_soon=True)
_KILLED = Cause(CannotConnect, "an administrator ended the session", "Ask who ended it, when it happens again.")
_TOO_LATE = Cause(
    CannotConnect,
    "cannot connect: no answer in time",
    "Check host, port, firewall and whether the server runs.",
    passes_soon=True,
)
_REFUSED = Cause(
    CannotConnect, "cannot connect: nothing listens there", "Check host, port and whether the server runs."
)
_UNKNOWN_HOST = Cause(CannotConnect, "cannot connect: the host name is not known", "Check the name and the DNS.")


def _each(cause: Cause, *numbers: int) -> dict[int, Cause]:
    return dict.fromkeys(numbers, cause)


BY_NUMBER: dict[int, Cause] = {
    **_each(_LOGIN, 18456, 18457, 40531, 40532, 40607),
    **_each(_TRIGGER, 17892),
    **_each(_LICENCE, 18458, 18459, 18460),
    **_each(_TRUST, 17806, 18450, 18452),
    **_each(_ACCOUNT, 18463, 18464, 18465, 18466, 18467, 18468, 18470, 18471, 18486, 18487, 18488),
    **_each(_NO_ACCESS, 916),
    **_each(_NO_DATABASE, 911, 4060, 4064),
    **_each(_OFFLINE, 904, 921, 922, 923, 926, 927, 942, 945, 946, 952, 3908, 5063),
    **_each(_MIRROR, 954, 955, 956, 957, 958, 959),
    **_each(_ONE_USER, 924, 5064),
    **_each(_PERMISSION, 229, 230, 262, 297, 300, 371, 15247),
    **_each(_REPLICA_CLOSED, 976, 982, 983, 988),
    **_each(_READ_INTENT, 978),
    **_each(_WRITE_INTENT, 979),
    **_each(_DEADLOCK, 1205),
    **_each(_LOCKED, 1222),
    **_each(_MOVED, 601),
    **_each(_VERSIONS, 3947, 3960, 3961, 3966, 3967),
    **_each(_GOVERNED, 8649, 10922),
    **_each(_DAMAGED, 605, 823, 824, 825),
    **_each(_NO_NAME, 102, 156, 195, 207, 208, 2812, 4121),
    **_each(_STARTING, 6005, 17142, 17147, 17148, 18401, 18451, 18461),
    **_each(_FULL, 10928, 10929, 10936, 17197, 17809),
    **_each(_BUSY, 10930, 40143, 40197, 40501, 40540, 40544, 40545, 40549, 40550, 40613, 42108, 42109),
    **_each(_BUSY, 49918, 49919, 49920),
    **_each(_FIREWALL, 40615, 40914, 47073),
    **_each(_SHORT, 701, 802, 1101, 1105, 1204, 8623, 8628, 8645, 8651, 8657, 8658, 9002, 40551, 40552, 40553),
    **_each(_KILLED, 596, 6104),
}
"""By the number the server gives, which both drivers pass on."""

FIRST_TO_COUNT = frozenset(
    {916, 922, 924, 927, 942, 945, 976, 978, 979, 982, 983, 4060, 17892, 18486, 18487, 18488, 40532, 40613, 40615}
)
"""Sent together with 18456, and telling more than that."""

HARMLESS_WORDS = frozenset({102, 156, 195, 207, 208, 229, 230, 262, 297, 300, 371, 2812, 4121})
"""The server's words for these hold words of our own statements and names of rights only, never a value."""

LOST_BY_NUMBER: dict[int, Cause] = {
    **_each(_LOST, -2, 20003, 20004, 20006, 20017, 20047, 64, 121, 233, 10053, 10054),
    **_each(_TOO_LATE, 258, 10060),
    **_each(_REFUSED, 20009, 10061),
    **_each(_UNKNOWN_HOST, 20012, 20013, 11001),
}
"""By the number of the driver or of the operating system, which also exist as numbers of the server."""

LOST_BY_STATE = frozenset({"01000", "08001", "08003", "08004", "08007", "08S01", "HYT01"})
"""States that tell a number of the driver from one of the server."""

BY_STATE: dict[str, Cause] = {
    "08": _LOST,
    "28": _LOGIN,
    "40001": _DEADLOCK,
    "42S02": _NO_NAME,
    "42S22": _NO_NAME,
    "HY008": _CANCELLED,
    "HYT00": _SLOW,
    "HYT01": _LOST,
    "S1T00": _SLOW,
}

LOST_BY_WORDS: tuple[tuple[str, Cause], ...] = (("^Unknown error$", _LOST),)
"""FreeTDS has nothing else to say when it writes to a connection that the server has closed."""

CONNECTING_BY_WORDS: tuple[tuple[str, Cause], ...] = (
    (
        r"encryption not supported",
        Cause(
            CannotConnect,
            "cannot connect: the server offers no encryption, and the settings ask for it",
            "Give the server a certificate; encrypt: optional goes without.",
        ),
    ),
    (
        r"subject name does not match|host ?name mismatch",
        Cause(
            CannotConnect,
            "cannot connect: the certificate of the server bears another name",
            "Connect under that name or set host_name_in_certificate.",
        ),
    ),
    (
        r"certificate",
        Cause(
            CannotConnect,
            "cannot connect: the certificate of the server is not trusted",
            "Add its authority to the system's trusted ones; trust_server_certificate: true accepts any.",
        ),
    ),
    (
        r"SSPI|GSSAPI|Kerberos|krb5",
        Cause(
            LoginFailed,
            "there is no valid Kerberos ticket",
            "Run kinit for the account of the monitor, or provide a keytab.",
        ),
    ),
    (
        r"SSL|TLS|handshake",
        Cause(
            CannotConnect,
            "cannot connect: the encrypted connection failed",
            "Check encrypt, the certificate, and which versions of TLS the server takes.",
        ),
    ),
    (r"timeout|timed out|time ?out", _TOO_LATE),
    (
        r"locating server/instance|instance specified|server locator",
        Cause(
            CannotConnect,
            "cannot connect: the named instance was not found",
            "Start SQL Server Browser, open UDP 1434, or set the port.",
        ),
    ),
    (
        r"unable to connect to data source",
        Cause(
            CannotConnect,
            "cannot connect, and FreeTDS gives no reason",
            "Check host name, port, encrypt and the Kerberos ticket; Microsoft's driver would say more.",
        ),
    ),
)
"""By words of the driver, tried in this order, for failures before the login that have no number."""
