"""T-SQL into DuckDB's SQL, with the meaning of SQL Server where the two differ."""

from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema

from dbplanmon_pipeline_tests.support.tds.answers import ServerError
from dbplanmon_pipeline_tests.support.tds.duck_meaning import ACCESS_PARAMETERS, Refused, keep_meaning
from dbplanmon_pipeline_tests.support.tds.duck_scalars import PER_ROW, is_scalar, key_of
from dbplanmon_pipeline_tests.support.tds.duck_tables import Database, plain_name
from dbplanmon_pipeline_tests.support.tds.duck_types import Origin, origin, projections


@dataclass(frozen=True)
class Translation:
    """A statement for DuckDB.

    Attributes:
        sql: its text, parameters named.
        names: of the output columns, as written.
        origins: of the output columns.
        views: plain names of the tables it reads.
        parameters: name in `sql` -> position (from 0) among the client's parameters.
        scalars: name in `sql` -> look-up text of a scalar.
    """

    sql: str
    names: list[str]
    origins: list[Origin]
    views: set[str]
    parameters: dict[str, int]
    scalars: dict[str, str]


def views_of(tree: exp.Expr) -> set[str]:
    """The plain names of the views a statement reads, table functions included, its own WITH names left out."""
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    tables = [table for table in tree.find_all(exp.Table) if table.db or table.name.lower() not in own]
    named = {_view_name(table) for table in tables if table.name or isinstance(table.this, exp.Anonymous)}
    return named | {_function_name(apply) for apply in tree.find_all(exp.Lateral) if isinstance(apply.this, exp.Dot)}


def translate(tree: exp.Query, database: Database) -> Translation:
    """Translate one query.

    Raises:
        Refused: with the number of an unknown view (208), column (207) or a construct DuckDB has no word for (102).
    """
    views = views_of(tree)
    for view in sorted(views):
        if database.table(view) is None:
            raise Refused(ServerError(208, f"Invalid object name '{view}'."))
    names = [_written_name(projection) for projection in tree.selects]
    scalars = _take_out_scalars(tree)
    tree.set("options", None)
    _join_table_functions(tree, database)
    tree = _qualified(tree, database, views)
    if "*" in names:
        names = [projection.alias_or_name for projection in tree.selects]
    first = _leftmost(build_scope(tree))
    origins = [origin(projection, first, database) for projection in projections(first)]
    keep_meaning(tree, database)
    parameters = _parameters(tree, scalars)
    _name_tables(tree)
    return Translation(tree.sql("duckdb"), names, origins, views, parameters, scalars)


def _written_name(projection: exp.Expr) -> str:
    named = isinstance(projection, exp.Alias | exp.Column | exp.Star)
    return projection.alias_or_name if named else ""


def _leftmost(scope: Scope | None) -> Scope:
    assert scope is not None
    while scope.set_operation_scopes:
        scope = scope.set_operation_scopes[0]
    return scope


def _view_name(table: exp.Table) -> str:
    name = str(table.this.this) if isinstance(table.this, exp.Anonymous) else table.name
    return plain_name(f"{table.db}.{name}" if table.db else name)


def _function_name(apply: exp.Lateral) -> str:
    return plain_name(f"{apply.this.this.name}.{apply.this.expression.this}")


def _take_out_scalars(tree: exp.Expr) -> dict[str, str]:
    """Replace what `duck_scalars` answers by parameters, outermost first."""
    found: dict[str, str] = {}

    def replaced(node: exp.Expr) -> exp.Expr:
        if not is_scalar(node):
            return node
        name = f"scalar_{len(found)}"
        found[name] = key_of(node)
        return exp.Parameter(this=exp.var(name))

    for node in list(tree.find_all(exp.Expr, bfs=True)):
        if is_scalar(node) and not (node.parent and any(is_scalar(above) for above in _above(node))):
            node.replace(replaced(node))
    return found


def _above(node: exp.Expr) -> list[exp.Expr]:
    found = []
    while node.parent:
        node = node.parent
        found.append(node)
    return found


def _join_table_functions(tree: exp.Expr, database: Database) -> None:
    """Turn APPLY of a table function into a join with the table of that name, by its first columns."""
    for join in list(tree.find_all(exp.Join)):
        if isinstance(join.this, exp.Lateral):
            _join_apply(join, join.this, database)
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Anonymous):
            table.replace(_filtered(table, database))


def _join_apply(join: exp.Join, apply: exp.Lateral, database: Database) -> None:
    outer = not apply.args.get("cross_apply")
    condition: exp.Expr = exp.true()
    if isinstance(apply.this, exp.Dot):
        view = _function_name(apply)
        alias = apply.alias or view.split(".")[-1]
        schema, name = view.split(".")
        condition = _arguments_equal(view, alias, apply.this.expression.expressions, database)
        join.set("this", exp.alias_(exp.table_(name, db=schema), alias, table=True))
    else:
        apply.set("cross_apply", None)
    join.set("side", "LEFT" if outer else None)
    join.set("kind", None if outer else "INNER")
    join.set("on", condition)


def _filtered(table: exp.Table, database: Database) -> exp.Expr:
    view = _view_name(table)
    schema, name = view.split(".")
    condition = _arguments_equal(view, name, table.this.expressions, database)
    rows = exp.select("*").from_(exp.table_(name, db=schema)).where(condition)
    return rows.subquery(table.alias or name)


def _arguments_equal(view: str, alias: str, arguments: list[exp.Expr], database: Database) -> exp.Expr:
    columns = database.table(view)
    assert columns is not None
    pairs = zip(columns.columns, arguments, strict=False)
    return exp.and_(*(exp.column(name, alias).eq(argument.copy()) for (name, _), argument in pairs))


def _qualified(tree: exp.Query, database: Database, views: set[str]) -> exp.Query:
    schema: dict[str, object] = {}
    for view in views:
        where, name = view.split(".", 1)
        table = database.table(view)
        assert table is not None
        views_there = schema.setdefault(where, {})
        assert isinstance(views_there, dict)
        views_there[name] = {column: "int" for column, _ in table.columns}
    try:
        return qualify(
            tree,
            dialect="tsql",
            schema=MappingSchema(schema, dialect="tsql"),
            quote_identifiers=False,
            validate_qualify_columns=True,
        )
    except OptimizeError as error:
        raise Refused(ServerError(207, f"Invalid column name. {str(error).splitlines()[0]}")) from None


def _parameters(tree: exp.Expr, scalars: dict[str, str]) -> dict[str, int]:
    found = {}
    for parameter in tree.find_all(exp.Parameter):
        name = parameter.name
        if name in scalars:
            continue
        if name in ACCESS_PARAMETERS:
            scalars[name] = PER_ROW
            continue
        if not name.upper().startswith("P") or not name[1:].isdigit():
            raise Refused(ServerError(137, f'Must declare the scalar variable "@{name}".', 15))
        found[name] = int(name[1:]) - 1
    return found


def _name_tables(tree: exp.Expr) -> None:
    for table in tree.find_all(exp.Table):
        if table.db:
            table.set("this", exp.to_identifier(_view_name(table), quoted=True))
            table.set("db", None)
            table.set("hints", None)


def parse(sql: str) -> list[exp.Query]:
    """The statements of a batch, settings left out.

    Raises:
        Refused: 102, no T-SQL.
    """
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="tsql") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise Refused(ServerError(102, f"Incorrect syntax. {str(error).splitlines()[0]}", 15)) from None
    queries = []
    for tree in trees:
        if isinstance(tree, exp.Query):
            queries.append(tree)
        elif not isinstance(tree, exp.Set | exp.Use | exp.Semicolon):
            raise Refused(ServerError(102, f"Incorrect syntax: {tree.key} is not answered here.", 15))
    return queries
