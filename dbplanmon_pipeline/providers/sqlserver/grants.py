"""Scripts that give the monitor the rights it needs on SQL Server, and no others; pure text."""

from collections.abc import Sequence
from enum import StrEnum

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.sqlnames import quote_name
from dbplanmon_pipeline.providers.sqlserver.editions import RELEASES

PASSWORD_VARIABLE = "DBPLANMON_PASSWORD"  # noqa: S105 - the name of a variable
LONGEST_NAME = 128


class ServerKind(StrEnum):
    """Where the server runs, as far as rights differ."""

    BOX = "box"
    AZURE_SQL_DB = "azure-sql-db"
    MANAGED_INSTANCE = "managed-instance"
    RDS = "rds"


class LoginKind(StrEnum):
    """How the monitor proves who it is."""

    SQL = "sql"
    WINDOWS = "windows"
    ENTRA = "entra"


_GIVES = """\
-- It may then read statistics, statements and plans. No DENY is needed: no right below reads a row of any table of
-- yours or changes anything, and membership in public gives nothing more than you gave to public."""

_REPLICAS = """\
-- In an availability group run this at the primary replica, and give the login the same number on the others: there add
-- SID = (what SELECT SUSER_SID({literal}) shows here) where it is made, or its users lose it at a failover.
"""

_SERVER_WIDE = """\
-- Plan cache, start of the server and role of a replica; with it comes Query Store of each database it may enter.
-- Where Query Store is on in each watched database you may leave this out; start and role are then unknown."""

_EVERY_DATABASE = """\
-- Enter every database, also those made later. It opens the door only, and reads nothing in there.
GRANT CONNECT ANY DATABASE TO {name};"""

_DEFINITIONS = """\
-- Optional: with it an incident names an index that is gone. It shows no row of a table either, but the definitions of
-- everything{where}, such as the text of procedures.
-- GRANT VIEW {what} TO {name};"""

_ONE_DATABASE = """\
USE {database};
GO
IF DATABASE_PRINCIPAL_ID({literal}) IS NULL
    CREATE USER {name} FOR LOGIN {name};
-- Query Store of this database.
GRANT {right} TO {name};
{definitions}
GO"""

_AZURE_MASTER = """\
-- Connected to master: the login, and the way in, so that the databases can be listed.
IF NOT EXISTS (SELECT 1 FROM sys.{catalog} WHERE name = {literal})
    EXEC (N'{create}');
GO
IF DATABASE_PRINCIPAL_ID({literal}) IS NULL
    CREATE USER {name} FOR LOGIN {name};
GO
-- Service tiers Basic, S0 and S1 and elastic pools show the plan cache and the start of the server to members of this
-- role only. It also gives the right below in every database that has the user.
-- ALTER SERVER ROLE ##MS_ServerStateReader## ADD MEMBER {name};
"""

_AZURE_DATABASE = """\
-- Connected to {where}: USE does not change the database there.
IF DATABASE_PRINCIPAL_ID({literal}) IS NULL
    CREATE USER {name} FOR LOGIN {name};
-- Query Store and plan cache of this database.
GRANT VIEW DATABASE STATE TO {name};
{definitions}
GO
"""


def sqlserver_grants(
    user: str,
    *,
    kind: ServerKind = ServerKind.BOX,
    release: str = "2022",
    login: LoginKind = LoginKind.SQL,
    databases: Sequence[str] = (),
) -> str:
    r"""The script for one server, to be run by an administrator; running it again changes nothing.

    Args:
        user: the login; `DOMAIN\name` for a Windows login.
        kind: where the server runs.
        release: key of `editions.RELEASES`; decides on a box alone.
        login: how the monitor proves who it is.
        databases: the ones to watch; none means every database, where that can be given.

    Raises:
        ValueError: the combination is not possible, or a name cannot stand in a script; one line that says what to do.
    """
    _require_possible(user, kind, release, login, databases)
    if kind is ServerKind.AZURE_SQL_DB:
        return _azure(user, login, databases)
    right = "VIEW SERVER PERFORMANCE STATE" if _is_narrow(kind, release) else "VIEW SERVER STATE"
    name = _name(user)
    parts = [
        _heading(user, kind, release, login),
        "USE [master];\nGO",
        f"IF SUSER_ID({_literal(user)}) IS NULL\n    {_create_login(user, login)};\nGO",
        f"{_SERVER_WIDE}\nGRANT {right} TO {name};",
        *([] if databases else [_EVERY_DATABASE.format(name=name), _definitions(name, everywhere=True)]),
        "GO",
        *(_database(user, database, narrow=_is_narrow(kind, release)) for database in databases),
    ]
    return "\n\n".join(parts).replace("\n\nGO", "\nGO") + "\n"


def _require_possible(user: str, kind: ServerKind, release: str, login: LoginKind, databases: Sequence[str]) -> None:
    for word in (user, *databases):
        if not 0 < len(word) <= LONGEST_NAME or not word.isprintable() or "$(" in word:
            raise ValueError(f"a name has 1 to {LONGEST_NAME} printable characters and no $( in it")
    if release not in RELEASES:
        raise ValueError(f"release {release} is not known; known are {', '.join(RELEASES)}")
    if (login is LoginKind.WINDOWS) != ("\\" in user):
        raise ValueError(r"a Windows login is written DOMAIN\name, and no other login has a backslash")
    if login is LoginKind.WINDOWS and kind is ServerKind.AZURE_SQL_DB:
        raise ValueError("Azure SQL Database knows no Windows logins; use sql or entra")
    if login is LoginKind.ENTRA and (
        kind is ServerKind.RDS or (kind is ServerKind.BOX and not _is_narrow(kind, release))
    ):
        raise ValueError("Entra logins need Azure, or SQL Server 2022 and newer outside of RDS")
    if kind is ServerKind.RDS and not databases:
        raise ValueError("on RDS nobody may give the right to enter every database; name each one to watch")


def _is_narrow(kind: ServerKind, release: str) -> bool:
    """The rights of 2022 let performance be seen without security; elsewhere it is not sure that they can be given."""
    return kind is ServerKind.BOX and RELEASES[release] >= RELEASES["2022"]


def _heading(user: str, kind: ServerKind, release: str, login: LoginKind) -> str:
    where = {
        ServerKind.BOX: f"SQL Server {release}" + (" and newer" if RELEASES[release] >= RELEASES["2022"] else ""),
        ServerKind.MANAGED_INSTANCE: "Azure SQL Managed Instance",
        ServerKind.RDS: "SQL Server in Amazon RDS",
    }[kind]
    who = "the master user" if kind is ServerKind.RDS else "a member of sysadmin"
    replicas = _REPLICAS.format(literal=_literal(user)) if kind is ServerKind.BOX and login is LoginKind.SQL else ""
    notes = f"{_password_words(login)}{replicas}{_GIVES}"
    return f"-- Rights of {_name(user)} on {where}. Run this with sqlcmd as {who}.\n{notes}"


def _password_words(login: LoginKind) -> str:
    if login is not LoginKind.SQL:
        return ""
    return (
        f"-- sqlcmd takes the password of the login from the environment variable {PASSWORD_VARIABLE}, so that it\n"
        "-- stands in no file; it must hold no apostrophe.\n"
    )


def _create_login(user: str, login: LoginKind) -> str:
    how = {
        LoginKind.SQL: f"WITH PASSWORD = N'$({PASSWORD_VARIABLE})', CHECK_POLICY = ON",
        LoginKind.WINDOWS: "FROM WINDOWS",
        LoginKind.ENTRA: "FROM EXTERNAL PROVIDER",
    }[login]
    return f"CREATE LOGIN {_name(user)} {how}"


def _database(user: str, database: str, *, narrow: bool) -> str:
    right = "VIEW DATABASE PERFORMANCE STATE" if narrow else "VIEW DATABASE STATE"
    name = _name(user)
    return _ONE_DATABASE.format(
        database=_name(database), literal=_literal(user), name=name, right=right, definitions=_definitions(name)
    )


def _definitions(name: str, *, everywhere: bool = False) -> str:
    what, where = ("ANY DEFINITION", "") if everywhere else ("DEFINITION", " in this database")
    return _DEFINITIONS.format(what=what, where=where, name=name)


def _azure(user: str, login: LoginKind, databases: Sequence[str]) -> str:
    name, literal = _name(user), _literal(user)
    create = _create_login(user, login).replace(", CHECK_POLICY = ON", "").replace("'", "''")
    catalog = "sql_logins" if login is LoginKind.SQL else "server_principals"
    heading = (
        f"-- Rights of {name} on Azure SQL Database. Run each part with sqlcmd as an administrator of the server.\n"
    )
    places = [f"the database {_name(database)}" for database in databases] or ["each database to watch"]
    return "\n".join(
        [
            f"{heading}{_password_words(login)}{_GIVES}\n",
            _AZURE_MASTER.format(name=name, literal=literal, create=create, catalog=catalog),
            *(
                _AZURE_DATABASE.format(where=where, name=name, literal=literal, definitions=_definitions(name))
                for where in places
            ),
        ]
    )


def _name(name: str) -> str:
    return quote_name(name, Engine.SQLSERVER)


def _literal(text: str) -> str:
    return "N'" + text.replace("'", "''") + "'"
