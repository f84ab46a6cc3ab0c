"""Rows of the index catalogue as the statement that makes the index."""

from collections.abc import Sequence
from typing import NamedTuple

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.context import DISABLED
from dbplanmon_pipeline.core.sqlnames import quote_name
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals

LONGEST_FILTER = 2000
"""Characters of a filter that are read; a longer one is cut and its index told as a comment."""

_CLUSTERED, _NONCLUSTERED = 1, 2
_OTHER_KINDS = {
    3: "XML INDEX",
    4: "SPATIAL INDEX",
    5: "CLUSTERED COLUMNSTORE INDEX",
    6: "NONCLUSTERED COLUMNSTORE INDEX",
    7: "NONCLUSTERED HASH INDEX",
}


class IndexRow(NamedTuple):
    """One column of an index, as `sql/table_indexes.sql` gives it; `column` is None where it may not be seen."""

    name: str
    index_type: int
    is_unique: bool
    is_primary_key: bool
    is_unique_constraint: bool
    is_disabled: bool
    filter: str | None
    column: str | None
    key_ordinal: int | None
    is_descending: bool | None
    is_included: bool | None


def index_definition(schema: str, table: str, rows: Sequence[IndexRow], *, redact: bool) -> str:
    """`CREATE INDEX ...` without storage options, `ALTER TABLE ... ADD CONSTRAINT ...` where a constraint owns it.

    What cannot be written so (other kinds than rowstore, hidden columns, cut filters) is a comment beginning with
    `--`. In front of a disabled index stands `DISABLED`, a comment, too.

    Args:
        schema: of the table.
        table: the index is on.
        rows: its columns, keys first and in order.
        redact: mask literals of the filter with `?`.
    """
    definition = _definition(schema, table, rows, redact=redact)
    return f"{DISABLED}{definition}" if rows[0].is_disabled else definition


def _definition(schema: str, table: str, rows: Sequence[IndexRow], *, redact: bool) -> str:
    index = rows[0]
    place = f"{_quoted(schema)}.{_quoted(table)}"
    kind = _OTHER_KINDS.get(index.index_type)
    if kind or index.index_type not in (_CLUSTERED, _NONCLUSTERED):
        return f"-- {kind or 'INDEX of another kind'} {_quoted(index.name)} ON {place}"
    keys = [
        _quoted(row.column) + (" DESC" if row.is_descending else "") for row in rows if row.key_ordinal and row.column
    ]
    included = [_quoted(row.column) for row in rows if row.is_included and row.column]
    if not keys or any(row.column is None for row in rows) or len(index.filter or "") >= LONGEST_FILTER:
        return f"-- INDEX {_quoted(index.name)} ON {place}"
    clustered = "CLUSTERED" if index.index_type == _CLUSTERED else "NONCLUSTERED"
    columns = ", ".join(keys)
    if index.is_primary_key or index.is_unique_constraint:
        word = "PRIMARY KEY" if index.is_primary_key else "UNIQUE"
        return f"ALTER TABLE {place} ADD CONSTRAINT {_quoted(index.name)} {word} {clustered} ({columns})"
    unique = "UNIQUE " if index.is_unique else ""
    more = f" INCLUDE ({', '.join(included)})" if included else ""
    where = f" WHERE {mask_tsql_literals(index.filter) if redact else index.filter}" if index.filter else ""
    return f"CREATE {unique}{clustered} INDEX {_quoted(index.name)} ON {place} ({columns}){more}{where}"


def _quoted(name: str | None) -> str:
    return quote_name(name or "?", Engine.SQLSERVER)
