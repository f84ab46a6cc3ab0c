"""Expressions that mean something else to DuckDB than to SQL Server, rewritten."""

from collections.abc import Callable

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

from dbplanmon_pipeline_tests.support.tds.answers import ServerError
from dbplanmon_pipeline_tests.support.tds.duck_scalars import is_per_row
from dbplanmon_pipeline_tests.support.tds.duck_tables import Database
from dbplanmon_pipeline_tests.support.tds.duck_types import INTEGERS, base_of, is_text, origin, sqltype_of

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
_BLOBS = {exp.DType.BINARY, exp.DType.VARBINARY}
ACCESS_PARAMETERS = ("access_names", "access_answers")
"""Parameters of `sql` that hold what the test says of databases, see `duck_scalars.access_lists`."""


class Refused(Exception):
    """A statement the server would refuse."""

    def __init__(self, error: ServerError) -> None:
        super().__init__(error.message)
        self.error = error


def keep_meaning(tree: exp.Expr, database: Database) -> None:
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
