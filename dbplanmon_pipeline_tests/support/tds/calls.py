"""Procedure calls: which procedure, which values; and the ones every server must know."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dbplanmon_pipeline_tests.support.tds.answers import Result, RowCount, ServerError
from dbplanmon_pipeline_tests.support.tds.incoming import Reader, parameter

_NUMBERED = {
    1: "sp_cursor",
    2: "sp_cursoropen",
    3: "sp_cursorprepare",
    5: "sp_cursorprepexec",
    7: "sp_cursorfetch",
    9: "sp_cursorclose",
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    14: "sp_prepexecrpc",
    15: "sp_unprepare",
}
_SEPARATORS = {0x80, 0xFE, 0xFF}
_COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
_TYPE_QUESTION = re.compile(r"(?:exec(?:ute)?\s+)?sp_datatype_info\w*\s+(-?\d+)", re.IGNORECASE)
_SETTING = re.compile(r"(?:set|use|if\s+@@trancount)\b", re.IGNORECASE)
_READING = re.compile(r"\b(?:select|exec|execute)\b", re.IGNORECASE)
_USE = re.compile(r"\buse\s+(?:\[([^\]]+)\]|(\w+))", re.IGNORECASE)

_TYPE_COLUMNS = [
    ("TYPE_NAME", "sysname"),
    ("DATA_TYPE", "smallint"),
    ("PRECISION", "int"),
    ("LITERAL_PREFIX", "varchar(32)"),
    ("LITERAL_SUFFIX", "varchar(32)"),
    ("CREATE_PARAMS", "varchar(32)"),
    ("NULLABLE", "smallint"),
    ("CASE_SENSITIVE", "smallint"),
    ("SEARCHABLE", "smallint"),
    ("UNSIGNED_ATTRIBUTE", "smallint"),
    ("MONEY", "smallint"),
    ("AUTO_INCREMENT", "smallint"),
    ("LOCAL_TYPE_NAME", "sysname"),
    ("MINIMUM_SCALE", "smallint"),
    ("MAXIMUM_SCALE", "smallint"),
    ("SQL_DATA_TYPE", "smallint"),
    ("SQL_DATETIME_SUB", "smallint"),
    ("NUM_PREC_RADIX", "int"),
    ("INTERVAL_PRECISION", "smallint"),
    ("USERTYPE", "smallint"),
]
_KNOWN_TYPES = {
    -9: ("nvarchar", 4000),
    -8: ("nchar", 4000),
    -3: ("varbinary", 8000),
    12: ("varchar", 8000),
    93: ("datetime2", 27),
}


@dataclass(frozen=True)
class Call:
    """One procedure call: lower-case name without its schema, and the values in order."""

    name: str
    values: list[Any]


def bare_name(procedure: str) -> str:
    """A procedure's name in lower case, without its schema."""
    return procedure.lower().split(".")[-1].strip("[]")


def calls(reader: Reader) -> Iterator[Call]:
    """The calls of one message; clients may send several."""
    while reader.peek() is not None:
        length = reader.number("<H")
        if length == 0xFFFF:
            code = reader.number("<H")
            name = _NUMBERED.get(code, f"procedure {code}")
        else:
            name = reader.take(2 * length).decode("utf-16-le")
        reader.number("<H")
        yield Call(bare_name(name), list(_values(reader)))


def answer_to_call(call: Call) -> Result | RowCount | ServerError | None:
    """The answer of every server to housekeeping calls; None where the handler decides."""
    if call.name.startswith("sp_datatype_info"):
        return datatype_info(call.values[0] if call.values else None)
    if call.name in {"sp_unprepare", "sp_prepare"}:
        return RowCount(-1)
    if call.name == "sp_describe_undeclared_parameters":
        return ServerError(11501, "The types of undeclared parameters are not deduced by this server.")
    return None


def answer_to_batch(sql: str) -> Result | RowCount | None:
    """The answer of every server to settings and to a driver's questions; None where the handler decides."""
    bare = without_comments(sql)
    if question := _TYPE_QUESTION.match(bare):
        return datatype_info(int(question[1]))
    if _SETTING.match(bare) and not _READING.search(bare):
        return RowCount(-1)
    return None


def database_after(sql: str, database: str) -> str:
    """The database a connection works in after a batch of settings."""
    found = _USE.findall(without_comments(sql))
    return (found[-1][0] or found[-1][1]) if found else database


def without_comments(sql: str) -> str:
    """The text without comments and outer white space."""
    return _COMMENTS.sub(" ", sql).strip()


def datatype_info(code: int | None) -> Result:
    """What ODBC's SQLGetTypeInfo asks after a login.

    pyodbc takes column sizes and the precision of moments from it: without an answer it cuts parameters to seconds.
    """
    if code not in _KNOWN_TYPES:
        return Result(_TYPE_COLUMNS, [])
    name, precision = _KNOWN_TYPES[code]
    moment = code == 93
    kind = (9, 3) if moment else (code, None)
    row = (
        name,
        code,
        precision,
        "'",
        "'",
        None,
        1,
        0,
        3,
        None,
        0,
        None,
        name,
        None,
        7 if moment else None,
        *kind,
        None,
        None,
        0,
    )
    return Result(_TYPE_COLUMNS, [row])


def _values(reader: Reader) -> Iterator[Any]:
    while (following := reader.peek()) is not None:
        if following in _SEPARATORS:
            reader.take(1)
            return
        reader.text("<B")
        reader.number("<B")
        yield parameter(reader)
