"""What explains a plan and helps to restore it: the indexes and rows of its tables, read for all plans of a reading."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from dbplanmon_pipeline.core.model import CapturedPlan
from dbplanmon_pipeline.core.plans.showplan.attributes import plain_name
from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.errors import ProviderError
from dbplanmon_pipeline.providers.sqlserver.index_definitions import IndexRow, index_definition
from dbplanmon_pipeline.providers.sqlserver.session import Session
from dbplanmon_pipeline.providers.sqlserver.sqltext import statement_in
from dbplanmon_pipeline.providers.sqlserver.value_lists import WIDTHS, value_lists

MOST_TABLES = 20
MOST_INDEXES = 200
MOST_CHARACTERS = 60_000
"""Of the definitions of one plan; a table beyond one of these bounds is left out whole."""

MOST_ROWS = 5000
"""Columns of indexes read at once."""

_LARGEST_BODY = 2_000_000
_TEMPORARY = ("#", "@")

Name = tuple[str, str]
"""Schema and name."""


@dataclass(frozen=True, slots=True)
class TableIndexes:
    """What a table has: rows [count], None unknown; definitions by name of the index; `read_at` by the server."""

    read_at: datetime
    rows: int | None
    indexes: dict[str, str] = field(default_factory=dict)


class PlanContexts:
    """Reads what belongs to plans, once per reading and only for plans that are new.

    A context says in which database and when it was read, because one stored plan stands for all databases that have
    it: whoever compares contexts must not take the indexes of one tenant for those of another. A table that the login
    may not see is not in the context at all; so a table that is there has the indexes listed, and no others.

    Args:
        session: open on the database.
        database: its name there; tables of others are left out.
        redact: mask literals in filters.
    """

    def __init__(self, session: Session, database: str, *, redact: bool) -> None:
        self._session = session
        self._database = database
        self._redact = redact

    def added_to(self, plans: Sequence[CapturedPlan]) -> list[CapturedPlan]:
        """The plans with their contexts; as they are where the server does not answer, for they are worth more."""
        named = {at: tables for at, plan in enumerate(plans) if (tables := table_names(plan, self._database))}
        wanted = list(dict.fromkeys(name for tables in named.values() for name in tables))[: WIDTHS[-1]]
        if not wanted or not self._session.alive or self._session.budget.remaining() <= 0:
            return list(plans)
        try:
            found = self._read(wanted)
        except ProviderError:
            return list(plans)
        return [
            replace(plan, context={**plan.context, "database": self._session.target, **context})
            if (context := context_of(named.get(at, ()), found))
            else plan
            for at, plan in enumerate(plans)
        ]

    def _read(self, tables: Sequence[Name]) -> dict[Name, TableIndexes]:
        (wanted,) = value_lists([f"[{schema}].[{name}]" for schema, name in tables])
        rows = self._session.rows(statement_in("table_indexes", len(wanted)), wanted, limit=MOST_ROWS)
        found = dict(_by_table(rows, redact=self._redact))
        if len(rows) >= MOST_ROWS:
            found.popitem()
        return found


def table_names(plan: CapturedPlan, database: str) -> tuple[Name, ...]:
    """Tables and indexed views of this database that a plan names, at most MOST_TABLES; none of a huge plan."""
    tree = tree_of(plan) if plan.body and len(plan.body) <= _LARGEST_BODY else None
    named: dict[Name, None] = {}
    for operator in tree.operators() if tree else ():
        place = plain_name(str(operator.attributes.get("Database", "")))
        ours = not place or place.casefold() == database.casefold()
        if ours and operator.schema and operator.relation and not operator.relation.startswith(_TEMPORARY):
            named[operator.schema, operator.relation] = None
    return tuple(named)[:MOST_TABLES]


def context_of(tables: Sequence[Name], found: Mapping[Name, TableIndexes]) -> dict[str, Any]:
    """The part that concerns one plan; empty where none of its tables is known.

    Returns:
        `read_at`: ISO, UTC, by the server's clock.
        `indexes`: definition by `index on schema.table`, since two tables may have indexes of one name.
        `tables`: `rows` by `schema.table`, for the tables whose indexes are all listed.
    """
    indexes: dict[str, str] = {}
    known: dict[str, dict[str, Any]] = {}
    read_at = ""
    for schema, name in tables:
        table = found.get((schema, name))
        if table is None:
            continue
        place = f"{schema}.{name}"
        more = indexes | {f"{index} on {place}": text for index, text in table.indexes.items()}
        if len(more) <= MOST_INDEXES and sum(map(len, more.values())) <= MOST_CHARACTERS:
            indexes, known[place], read_at = more, {"rows": table.rows}, table.read_at.isoformat()
    return {"read_at": read_at, "indexes": indexes, "tables": known} if known else {}


def _by_table(rows: Sequence[tuple[Any, ...]], *, redact: bool) -> Iterator[tuple[Name, TableIndexes]]:
    for (schema, name), of_table in _runs(rows, lambda row: (row[0], row[1])):
        indexes = {
            index: index_definition(schema, name, [IndexRow(*row[4:]) for row in of_index], redact=redact)
            for index, of_index in _runs(of_table, lambda row: row[4])
            if index is not None
        }
        yield (schema, name), TableIndexes(of_table[0][3], of_table[0][2], indexes)


def _runs(
    rows: Sequence[tuple[Any, ...]], key: Callable[[tuple[Any, ...]], Any]
) -> Iterator[tuple[Any, list[tuple[Any, ...]]]]:
    for value, run in groupby(rows, key):
        yield value, list(run)
