"""T-SQL into DuckDB's SQL, with the meaning of SQL Server where the two differ."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope, traverse_scope
from sqlglot.schema import MappingSchema

from dbplanmon_pipeline_tests.support.tds.answers import ServerError
from dbplanmon_pipeline_tests.support.tds.duck_scalars import PER_ROW, is_per_row, is_scalar, key_of
from dbplanmon_pipeline_tests.support.tds.duck_tables import Database, plain_name
from dbplanmon_pipeline_tests.support.tds.duck_types import INTEGERS, Origin, base_of, is_text, origin, sqltype_of

_TEXTS = {
    exp.DType.CHAR,
    exp.DType.NCHAR,
    exp.DType.VARCHAR,
    exp.DType.NVARCHAR,
    exp.DType.TEXT,
    exp.DType.NAME,
    exp.DType.XML,
    exp.DType.UUID,
    exp.DType.USERDEFINED,
}
_WHOLE_TEXTS = {exp.DType.XML, exp.DType.UUID, exp.DType.NAME, exp.DType.USERDEFINED}
ACCESS_PARAMETERS = ("access_names", "access_answers")
"""Parameters of `sql` that hold what the test says of databases, see `duck_scalars.access_lists`."""
_BLOBS = {exp.DType.BINARY, exp.DType.VARBINARY}


class Refused(Exception):
    """A statement the server would refuse."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(error.message)
        self.error = error


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


def translate(tree: exp.Expr, database: Database) -> Translation:
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
    root = build_scope(tree)
    origins = [origin(projection, _leftmost(root), database) for projection in _leftmost(root).expression.selects]
    _keep_meaning(tree, database)
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


def _qualified(tree: exp.Expr, database: Database, views: set[str]) -> exp.Expr:
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for view in views:
        where, name = view.split(".", 1)
        table = database.table(view)
        assert table is not None
        schema.setdefault(where, {})[name] = {column: "int" for column, _ in table.columns}
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


def _keep_meaning(tree: exp.Expr, database: Database) -> None:
    """Rewrite, innermost first, what means something else in DuckDB."""
    for scope in traverse_scope(tree):
        for node in reversed(list(scope.find_all(exp.Expr))):
            for kind, rewrite in _REWRITES.items():
                if isinstance(node, kind):
                    changed = rewrite(node, scope, database)
                    if changed is not node:
                        node.replace(changed)
                    break


def _division(node: exp.Div, scope: Scope, database: Database) -> exp.Expr:
    sides = [base_of(origin(side, scope, database).sqltype) for side in (node.left, node.right)]
    if all(side in INTEGERS for side in sides):
        return exp.IntDiv(this=exp.paren(node.left.copy()), expression=exp.paren(node.right.copy()))
    return exp.Div(this=node.left.copy(), expression=node.right.copy(), typed=False, safe=False)


def _addition(node: exp.Add, scope: Scope, database: Database) -> exp.Expr:
    sides = (node.left, node.right)
    if any(_is_string(side) or is_text(origin(side, scope, database).sqltype) for side in sides):
        return exp.DPipe(this=node.left.copy(), expression=node.right.copy(), safe=False)
    return node


def _is_string(node: exp.Expr) -> bool:
    return isinstance(node, exp.National | exp.DPipe) or (isinstance(node, exp.Literal) and node.is_string)


def _average(node: exp.Avg, scope: Scope, database: Database) -> exp.Expr:
    if base_of(origin(node.this, scope, database).sqltype) in INTEGERS:
        return exp.cast(exp.func("TRUNC", node.copy()), exp.DType.BIGINT)
    return node


def _cast(node: exp.Cast, scope: Scope, database: Database) -> exp.Expr:
    return _converted(node.this, node.to, type(node))


def _convert(node: exp.Convert, scope: Scope, database: Database) -> exp.Expr:
    style = node.args.get("style")
    if style is None:
        return _converted(node.expression, node.this, exp.Cast)
    source = base_of(origin(node.expression, scope, database).sqltype)
    if source in {"binary", "varbinary"} and node.this.this in _TEXTS:
        text = exp.func("HEX", node.expression.copy())
        return exp.DPipe(this=exp.Literal.string("0x"), expression=text) if style.name == "1" else text
    return node


def _converted(value: exp.Expr, kind: exp.DataType, cast: Callable[..., exp.Expr]) -> exp.Expr:
    """A cast with SQL Server's meaning: float is double, bit is boolean, texts are cut at their length."""
    plain = {exp.DType.FLOAT: exp.DType.DOUBLE, exp.DType.BIT: exp.DType.BOOLEAN}.get(kind.this)
    if plain:
        return cast(this=value.copy(), to=exp.DataType.build(plain))
    if kind.this in _TEXTS:
        text = cast(this=value.copy(), to=exp.DataType.build(exp.DType.TEXT))
        size = kind.expressions[0].name if kind.expressions else "30"
        whole = not size.isdigit() or kind.this in _WHOLE_TEXTS
        return text if whole else exp.func("LEFT", text, exp.Literal.number(size))
    if kind.this in _BLOBS:
        return cast(this=value.copy(), to=exp.DataType.build(exp.DType.VARBINARY))
    if sqltype_of(kind).startswith("datetime2"):
        return cast(this=value.copy(), to=exp.DataType.build(exp.DType.TIMESTAMP))
    if sqltype_of(kind).startswith("datetimeoffset"):
        return cast(this=value.copy(), to=exp.DataType.build(exp.DType.TIMESTAMPTZ))
    return cast(this=value.copy(), to=kind.copy())


def _function(node: exp.Anonymous, scope: Scope, database: Database) -> exp.Expr:
    name = str(node.this).upper()
    if is_per_row(node):
        return _access(node.expressions[0])
    if name == "DATALENGTH":
        return _data_length(node.expressions[0], scope, database)
    if name == "TODATETIMEOFFSET":
        return exp.cast(node.expressions[0].copy(), exp.DType.TIMESTAMPTZ)
    if name == "SWITCHOFFSET":
        return node.expressions[0].copy()
    return node


def _access(database_name: exp.Expr) -> exp.Expr:
    names, answers = (exp.Parameter(this=exp.var(name)) for name in ACCESS_PARAMETERS)
    position = exp.Anonymous(this="LIST_POSITION", expressions=[names, database_name.copy()])
    answer = exp.Anonymous(this="LIST_EXTRACT", expressions=[answers, position])
    return exp.Coalesce(this=answer, expressions=[exp.Literal.number(1)])


def _data_length(value: exp.Expr, scope: Scope, database: Database) -> exp.Expr:
    base = base_of(origin(value, scope, database).sqltype)
    if base in {"binary", "varbinary"}:
        return exp.Anonymous(this="OCTET_LENGTH", expressions=[value.copy()])
    characters = exp.Anonymous(this="LENGTH", expressions=[value.copy()])
    if base in {"varchar", "char"}:
        return characters
    if is_text(base) or not base:
        return exp.Mul(this=characters, expression=exp.Literal.number(2))
    raise Refused(ServerError(102, f"DATALENGTH of {base} is not translated."))


def _at_zone(node: exp.AtTimeZone, scope: Scope, database: Database) -> exp.Expr:
    return exp.cast(node.this.copy(), exp.DType.TIMESTAMPTZ)


def _literal(node: exp.National, scope: Scope, database: Database) -> exp.Expr:
    return exp.Literal.string(node.name)


_REWRITES: dict[type[exp.Expr], Callable[..., exp.Expr]] = {
    exp.Div: _division,
    exp.Add: _addition,
    exp.Avg: _average,
    exp.Cast: _cast,
    exp.Convert: _convert,
    exp.Anonymous: _function,
    exp.AtTimeZone: _at_zone,
    exp.National: _literal,
}


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


def parse(sql: str) -> list[exp.Expr]:
    """The statements of a batch, settings left out.

    Raises:
        Refused: 102, no T-SQL.
    """
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="tsql") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise Refused(ServerError(102, f"Incorrect syntax. {str(error).splitlines()[0]}", 15)) from None
    left = [tree for tree in trees if not isinstance(tree, exp.Set | exp.Use | exp.Semicolon)]
    for tree in left:
        if not isinstance(tree, exp.Query):
            raise Refused(ServerError(102, f"Incorrect syntax: {tree.key} is not answered here.", 15))
    return left
