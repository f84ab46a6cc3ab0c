"""The SQL Server type of an expression, and the column it came from."""

from dataclasses import dataclass

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from dbplanmon_pipeline_tests.support.tds.duck_tables import Database, plain_name

INTEGERS = {"tinyint", "smallint", "int", "bigint"}
_FROM_DUCK = {
    "TINYINT": "smallint",
    "UTINYINT": "tinyint",
    "SMALLINT": "smallint",
    "USMALLINT": "int",
    "INTEGER": "int",
    "UINTEGER": "bigint",
    "BIGINT": "bigint",
    "HUGEINT": "bigint",
    "UBIGINT": "decimal(20,0)",
    "FLOAT": "real",
    "DOUBLE": "float",
    "BOOLEAN": "bit",
    "BLOB": "varbinary(max)",
    "DATE": "date",
    "TIME": "time",
    "TIMESTAMP": "datetime2",
    "TIMESTAMP WITH TIME ZONE": "datetimeoffset",
    "UUID": "uniqueidentifier",
}
_PASSING = (
    exp.Max,
    exp.Min,
    exp.Coalesce,
    exp.Paren,
    exp.Alias,
    exp.Lag,
    exp.Lead,
    exp.FirstValue,
    exp.Window,
    exp.Neg,
    exp.Abs,
    exp.Substring,
    exp.Left,
    exp.Right,
    exp.Upper,
    exp.Lower,
    exp.Trim,
)


@dataclass(frozen=True)
class Origin:
    """Where a value comes from: the view and column it is passed through from, or nothing; and its type, if known."""

    sqltype: str | None = None
    view: str = ""
    column: str = ""


UNKNOWN = Origin()


def type_of_duck(ducktype: str, longest: int) -> str:
    """The type for a computed column, by DuckDB's type and the length of the longest text in it."""
    if ducktype.startswith("DECIMAL"):
        return ducktype.lower().replace(" ", "")
    return _FROM_DUCK.get(ducktype, "nvarchar(max)" if longest > 4000 else "nvarchar(4000)")


def base_of(sqltype: str | None) -> str:
    """The type without its size."""
    return (sqltype or "").partition("(")[0]


def is_text(sqltype: str | None) -> bool:
    """True for character types."""
    return base_of(sqltype) in {"char", "varchar", "nchar", "nvarchar", "sysname"}


def origin(expression: exp.Expr, scope: Scope, database: Database) -> Origin:
    """Where the value of a qualified expression comes from."""
    if isinstance(expression, exp.Column):
        return _column_origin(expression, scope, database)
    if isinstance(expression, _PASSING):
        return origin(expression.this, scope, database)
    if isinstance(expression, exp.Cast):
        inner = origin(expression.this, scope, database)
        return Origin(sqltype_of(expression.to), inner.view, inner.column)
    if isinstance(expression, exp.Convert):
        inner = origin(expression.expression, scope, database)
        return Origin(sqltype_of(expression.this), inner.view, inner.column)
    if isinstance(expression, exp.Case):
        branches = [branch.args["true"] for branch in expression.args["ifs"]]
        return _first_known([*branches, expression.args.get("default")], scope, database)
    if isinstance(expression, exp.If):
        return _first_known([expression.args["true"], expression.args.get("false")], scope, database)
    if isinstance(expression, exp.Sum | exp.Avg):
        return Origin(_total(origin(expression.this, scope, database).sqltype))
    return Origin(_plain_type(expression, scope, database))


def projections(scope: Scope) -> list[exp.Expr]:
    """The output columns of a query."""
    assert isinstance(scope.expression, exp.Query)
    return scope.expression.selects


def sqltype_of(kind: exp.DataType) -> str:
    """A type as T-SQL writes it, in lower case."""
    text = kind.sql("tsql").lower().replace(" ", "")
    return {"integer": "int", "double": "float", "sysname": "nvarchar(128)"}.get(text, text)


def _column_origin(column: exp.Column, scope: Scope, database: Database) -> Origin:
    source = scope.sources.get(column.table)
    if source is None and scope.parent:
        return _column_origin(column, scope.parent, database)
    if isinstance(source, exp.Table):
        view = plain_name(f"{source.db}.{source.name}" if source.db else source.name)
        table = database.table(view)
        return Origin(table.sqltype(column.name), view, column.name.lower()) if table else UNKNOWN
    if isinstance(source, Scope):
        while source.set_operation_scopes:
            source = source.set_operation_scopes[0]
        for projection in projections(source):
            if projection.alias_or_name.lower() == column.name.lower():
                return origin(projection, source, database)
    return UNKNOWN


def _first_known(branches: list[exp.Expr | None], scope: Scope, database: Database) -> Origin:
    found = [origin(branch, scope, database) for branch in branches if branch is not None]
    return next((one for one in found if one.view), next((one for one in found if one.sqltype), UNKNOWN))


def _total(sqltype: str | None) -> str | None:
    base = base_of(sqltype)
    if base in {"decimal", "numeric"} and sqltype:
        return f"decimal(38,{sqltype.rstrip(')').partition(',')[2] or '0'})"
    return {"tinyint": "int", "smallint": "int", "real": "float"}.get(base, sqltype)


def _plain_type(expression: exp.Expr, scope: Scope, database: Database) -> str | None:
    if isinstance(expression, exp.Count):
        return "bigint" if expression.args.get("big_int") else "int"
    if isinstance(expression, exp.DateDiff):
        return "bigint" if expression.args.get("big_int") else "int"
    if isinstance(expression, exp.DateAdd):
        return origin(expression.this, scope, database).sqltype
    if isinstance(expression, exp.RowNumber):
        return "bigint"
    if isinstance(expression, exp.Literal):
        return None if expression.is_string else ("int" if expression.is_int else None)
    if isinstance(expression, exp.Binary):
        return _arithmetic(expression, scope, database)
    return None


def _arithmetic(expression: exp.Binary, scope: Scope, database: Database) -> str | None:
    sides = [origin(side, scope, database).sqltype for side in (expression.left, expression.right)]
    bases = [base_of(side) for side in sides]
    if "float" in bases:
        return "float"
    if all(base in INTEGERS for base in bases):
        order = ["tinyint", "smallint", "int", "bigint"]
        return max(bases, key=order.index)
    return None
