"""Questions a statement asks about server, session and objects, answered without a table."""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from dbplanmon_pipeline_tests.support.tds.answers import Login
from dbplanmon_pipeline_tests.support.tds.duck_tables import Database, object_id, plain_name

Scalars = Mapping[str, object]
_FUNCTIONS = {
    "APP_NAME",
    "COL_LENGTH",
    "CONNECTIONPROPERTY",
    "DATABASEPROPERTYEX",
    "DB_ID",
    "DB_NAME",
    "GETUTCDATE",
    "HAS_DBACCESS",
    "HAS_PERMS_BY_NAME",
    "HOST_NAME",
    "IS_MEMBER",
    "IS_ROLEMEMBER",
    "IS_SRVROLEMEMBER",
    "ORIGINAL_LOGIN",
    "SCHEMA_NAME",
    "SERVERPROPERTY",
    "SUSER_NAME",
    "SYSTEM_USER",
    "SYSUTCDATETIME",
    "USER_NAME",
}
PER_ROW = "HAS_DBACCESS"
_SIZES = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8, "bit": 1, "float": 8, "real": 4, "datetimeoffset": 10}


def is_scalar(node: exp.Expr) -> bool:
    """True for an expression that is answered here; one over columns is not."""
    if isinstance(node, exp.Anonymous):
        return str(node.this).upper() in _FUNCTIONS and not is_per_row(node)
    if isinstance(node, exp.Parameter):
        return isinstance(node.this, exp.Parameter)
    return isinstance(node, exp.CurrentTimestamp | exp.CurrentTimestampLTZ | exp.CurrentUser | exp.ObjectId)


def is_per_row(node: exp.Expr) -> bool:
    """True for `HAS_DBACCESS(column)`, which is answered by what the test says of each name."""
    return isinstance(node, exp.Anonymous) and str(node.this).upper() == PER_ROW and node.find(exp.Column) is not None


def access_lists(scalars: Scalars) -> tuple[list[str], list[int]]:
    """The names and answers given as `scalars["HAS_DBACCESS"]`, a mapping of database to 0 or 1; all others are 1."""
    given = scalars.get(PER_ROW)
    access: dict[str, int] = dict(given) if isinstance(given, Mapping) else {}
    return [*access, ""], [*access.values(), 1]


def normalised(text: str) -> str:
    """The text by which a scalar is looked up: upper case, no space around punctuation, no N before texts."""
    upper = re.sub(r"\bN'", "'", " ".join(text.upper().split()))
    return re.sub(r"\s*([(),])\s*", r"\1", upper)


def key_of(node: exp.Expr) -> str:
    """The look-up text of an expression of a statement."""
    if isinstance(node, exp.CurrentTimestampLTZ):
        return "SYSDATETIMEOFFSET()"
    if isinstance(node, exp.CurrentTimestamp):
        return "GETDATE()"
    if isinstance(node, exp.CurrentUser):
        return "SUSER_SNAME()"
    if isinstance(node, exp.Parameter):
        return f"@@{node.this.name}".upper()
    if isinstance(node, exp.ObjectId):
        return normalised(f"OBJECT_ID({', '.join(part.sql('tsql') for part in node.iter_expressions())})")
    return normalised(node.sql("tsql"))


def value_of(key: str, scalars: Scalars, login: Login, database: Database, now: Callable[[], dt.datetime]) -> Any:
    """The answer: what the test says, else what the session and the tables say, else NULL as SQL Server does."""
    given = {normalised(name): value for name, value in scalars.items()}
    if key in given:
        return given[key]
    name, _, rest = key.partition("(")
    arguments = [word.strip("'") for word in rest.rstrip(")").split(",") if word]
    if name in {"GETDATE", "GETUTCDATE", "SYSUTCDATETIME", "SYSDATETIMEOFFSET"}:
        return _moment(name, now())
    if name == "OBJECT_ID":
        return object_id(arguments[0]) if database.table(plain_name(arguments[0])) else None
    if name == "COL_LENGTH":
        return _column_length(database, *arguments[:2])
    return _of_session(name, arguments, login)


def _moment(name: str, now: dt.datetime) -> dt.datetime:
    if name == "SYSDATETIMEOFFSET":
        return now
    return (now if name == "GETDATE" else now.astimezone(dt.UTC)).replace(tzinfo=None)


def _column_length(database: Database, view: str, column: str) -> int | None:
    table = database.table(plain_name(view))
    sqltype = table.sqltype(column) if table else None
    if sqltype is None:
        return None
    base, _, size = sqltype.rstrip(")").partition("(")
    if size == "max":
        return -1
    return int(size) * (2 if base.startswith("n") else 1) if size.isdigit() else _SIZES.get(base, 8)


def _of_session(name: str, arguments: list[str], login: Login) -> Any:
    answers = {
        "@@SERVERNAME": "tds-test",
        "@@SPID": 51,
        "@@VERSION": "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64)",
        "APP_NAME": login["app"],
        "DB_ID": 5,
        "DB_NAME": login["database"],
        "HAS_DBACCESS": 1,
        "HAS_PERMS_BY_NAME": 1,
        "HOST_NAME": login["host"],
        "ORIGINAL_LOGIN": login["user"],
        "SCHEMA_NAME": "dbo",
        "SUSER_NAME": login["user"],
        "SUSER_SNAME": login["user"],
        "SYSTEM_USER": login["user"],
        "USER_NAME": "dbo",
    }
    return None if arguments and name in {"DB_ID", "DB_NAME"} else answers.get(name)
