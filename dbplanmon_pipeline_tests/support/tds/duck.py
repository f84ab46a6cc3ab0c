"""A handler that answers T-SQL from tables held in DuckDB, so that the collector's own statements run."""

import datetime as dt
import re
import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
from sqlglot import exp

from dbplanmon_pipeline_tests.support.tds.answers import Answer, Request, Result, RowCount, ServerError
from dbplanmon_pipeline_tests.support.tds.duck_meaning import ACCESS_PARAMETERS, Refused
from dbplanmon_pipeline_tests.support.tds.duck_scalars import PER_ROW, Scalars, access_lists, value_of
from dbplanmon_pipeline_tests.support.tds.duck_tables import Database, Table, new_store, plain_name
from dbplanmon_pipeline_tests.support.tds.duck_translate import Translation, parse, translate, views_of
from dbplanmon_pipeline_tests.support.tds.duck_types import type_of_duck

__all__ = ["DuckHandler", "Statement", "Table"]

Tables = Mapping[str, Table]
_TRANSLATIONS: dict[tuple[int, str], list[Translation]] = {}
"""By shape of the database and statement, for all handlers of this process: translating costs more than answering."""

_STATEMENT_KINDS = {"batch", "sp_executesql", "sp_prepexec", "sp_execute"}


@dataclass(frozen=True)
class Statement:
    """One statement answered with rows.

    Attributes:
        large_bytes: per output column of type nvarchar(max), what its values take on the wire.
        plan_bytes: of these, what comes from a view's column `query_plan`.
    """

    sql: str
    database: str
    row_count: int
    large_bytes: dict[str, int]
    plan_bytes: int


class DuckHandler:
    """Answers statements over tables in the shape of SQL Server's views.

    It is more lenient than SQL Server about syntax: that a statement runs here does not prove it runs there. Texts
    compare by case, unlike in most SQL Server collations.

    Args:
        tables: by view name (`sys.query_store_plan`), or how to get them for a database; a table function is a table
            whose first columns are its arguments. Read once per database, until `refresh`.
        scalars: answers to `SERVERPROPERTY('x')` and the like, by their text; or how to get them for a database.
            `HAS_DBACCESS` may hold a mapping of database names to 0 or 1, for use on a column.
        now: the server's clock, aware; its zone is the server's.
        denied: views that may not be read, with the error number (300, 297, 229) if it is not 300. May be changed.
    """

    def __init__(
        self,
        tables: Tables | Callable[[str], Tables],
        *,
        scalars: Scalars | Callable[[str], Scalars] | None = None,
        now: Callable[[], dt.datetime],
        denied: Collection[str] | Mapping[str, int] = (),
    ) -> None:
        self.denied = dict(denied) if isinstance(denied, Mapping) else dict.fromkeys(denied, 300)
        self.statements: list[Statement] = []
        self._tables = tables
        self._scalars = scalars or {}
        self._now = now
        self._guard = threading.Lock()
        self._store = new_store()
        self._databases: dict[str, Database] = {}

    @property
    def plan_bytes_sent(self) -> int:
        """Bytes of plan text sent so far."""
        return sum(statement.plan_bytes for statement in self.statements)

    def refresh(self, database: str | None = None) -> None:
        """Forget the tables of one database, or of all: they are read again when next needed."""
        with self._guard:
            for name in [database] if database else list(self._databases):
                if name in self._databases:
                    self._databases.pop(name).close()

    def __call__(self, request: Request) -> Answer:
        """Answer one request."""
        if request.kind not in _STATEMENT_KINDS:
            return ServerError(2812, f"Could not find stored procedure '{request.sql}'.")
        try:
            answers = [self._answer(request, one) for one in self._translated(request)]
        except Refused as refused:
            return self._permission_errors(refused.error)
        except duckdb.BinderException as error:
            return ServerError(207, f"Invalid column name. {_first_line(error)}")
        except duckdb.CatalogException as error:
            return ServerError(195, f"Not a recognized built-in function name. {_first_line(error)}", 15)
        except duckdb.Error as error:
            return ServerError(245, f"Conversion failed. {_first_line(error)}")
        return answers or RowCount(-1)

    def _database(self, name: str) -> Database:
        with self._guard:
            if name not in self._databases:
                tables = self._tables(name) if callable(self._tables) else self._tables
                self._databases[name] = Database(self._store, tables)
            return self._databases[name]

    def _translated(self, request: Request) -> list[Translation]:
        database = self._database(request.login["database"])
        found = _TRANSLATIONS.get((database.shape, request.sql))
        if found is None:
            trees = parse(request.sql)
            self._refuse_denied(trees)
            found = [translate(tree, database) for tree in trees]
            _TRANSLATIONS[database.shape, request.sql] = found
        for one in found:
            self._check(one.views)
        return found

    def _refuse_denied(self, trees: list[exp.Query]) -> None:
        for tree in trees:
            self._check(views_of(tree))

    def _check(self, views: set[str]) -> None:
        for view, number in self.denied.items():
            if plain_name(view) in views:
                raise Refused(_permission_error(number, plain_name(view)))

    @staticmethod
    def _permission_errors(error: ServerError) -> Answer:
        if error.number != 300:
            return error
        return [error, ServerError(297, "The user does not have permission to perform this action.")]

    def _answer(self, request: Request, translation: Translation) -> Result:
        name = request.login["database"]
        database = self._database(name)
        values: dict[str, object] = {
            parameter: _for_duck(request.params[position]) for parameter, position in translation.parameters.items()
        }
        scalars = self._scalars(name) if callable(self._scalars) else self._scalars
        access = dict(zip(ACCESS_PARAMETERS, access_lists(scalars), strict=True))
        for parameter, key in translation.scalars.items():
            values[parameter] = (
                access[parameter] if key == PER_ROW else value_of(key, scalars, request.login, database, self._now)
            )
        ducktypes, rows = database.run(translation.sql, values, translation.views)
        columns = [
            (name, origin.sqltype or type_of_duck(ducktype, _longest(rows, at)))
            for at, (name, origin, ducktype) in enumerate(
                zip(translation.names, translation.origins, ducktypes, strict=True)
            )
        ]
        self.statements.append(_recorded(request, translation, columns, rows))
        return Result(columns, rows)


def _recorded(
    request: Request, translation: Translation, columns: list[tuple[str, str]], rows: list[tuple[Any, ...]]
) -> Statement:
    large = {at: _wire_bytes(rows, at) for at, (_, sqltype) in enumerate(columns) if sqltype == "nvarchar(max)"}
    plans = sum(count for at, count in large.items() if translation.origins[at].column == "query_plan")
    named = {columns[at][0]: count for at, count in large.items()}
    return Statement(request.sql, request.login["database"], len(rows), named, plans)


def _wire_bytes(rows: list[tuple[Any, ...]], at: int) -> int:
    return sum(len(row[at].encode("utf-16-le")) for row in rows if row[at] is not None)


def _longest(rows: list[tuple[Any, ...]], at: int) -> int:
    return max((len(row[at]) for row in rows if isinstance(row[at], str)), default=0)


def _for_duck(value: object) -> object:
    return str(value).upper() if isinstance(value, uuid.UUID) else value


def _permission_error(number: int, view: str) -> ServerError:
    if number == 229:
        schema, name = view.split(".")
        where = f"object '{name}', database 'mssqlsystemresource', schema '{schema}'"
        return ServerError(229, f"The SELECT permission was denied on the {where}.", 14, 5)
    if number == 297:
        return ServerError(297, "The user does not have permission to perform this action.")
    return ServerError(number, "VIEW SERVER STATE permission was denied on object 'server', database 'master'.", 14)


def _first_line(error: Exception) -> str:
    return re.split(r"[\n]", str(error))[0]
