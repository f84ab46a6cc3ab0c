"""Indexes that the optimizer asks for, merged, and set against those that are there."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.context import DISABLED
from dbplanmon_pipeline.core.plans.findings.model import SQLSERVER, Found, Measure, Rule, Weight, rule
from dbplanmon_pipeline.core.plans.findings.view import StatementView
from dbplanmon_pipeline.core.plans.showplan.attributes import plain_name
from dbplanmon_pipeline.core.plans.tree import MissingIndex, NodeKind
from dbplanmon_pipeline.core.remedies.index_ddl import widening_scripts
from dbplanmon_pipeline.core.sqlnames import quote_name

WORTH_PERCENT = 20.0
"""A wish that promises less is not told."""

HIGH_PERCENT = 80.0
WIDE_KEYS = 5
WIDE_INCLUDES = 8
NAME_LENGTH = 128
_COLUMNS = re.compile(
    r"\(((?:\[(?:[^\]]|\]\])+\]|[^()\[\]])+)\)(?:\s*INCLUDE\s*\(((?:\[(?:[^\]]|\]\])+\]|[^()\[\]])+)\))?", re.IGNORECASE
)
_NAME = re.compile(r"\[(?:[^\]]|\]\])+\]|[^\s,]+")
_SEARCHED = re.compile(r"\.\[((?:[^\]]|\]\])+)\] (?:=|<>|[<>]=?) ")
_UNLIKE = re.compile(r"\bCLUSTERED\b|\)\s*WHERE\b", re.IGNORECASE)
"""In the definition of a clustered index, which the plan had to choose from, and of a filtered one."""

_ON = " on "
_OF_SERVER = frozenset({"master", "model", "msdb"})
"""Databases whose tables are not ours to index."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Wishes for one table whose keys begin alike, as one index.

    Attributes:
        keys / included: columns, in the order of the index.
        equality: how many of the keys are compared for equality; their order is free.
        impact_percent: the largest promise among them.
        merged: how many wishes it stands for.
    """

    schema: str
    relation: str
    keys: tuple[str, ...]
    included: tuple[str, ...]
    equality: int
    impact_percent: float
    merged: int = 1
    database: str = ""

    @property
    def table(self) -> str:
        """`dbo.Orders`."""
        return f"{self.schema}.{self.relation}" if self.schema else self.relation

    @property
    def is_wide(self) -> bool:
        """So many columns that every write to the table pays for it."""
        return len(self.keys) > WIDE_KEYS or len(self.included) > WIDE_INCLUDES


def merged_wishes(wishes: Iterable[MissingIndex]) -> list[Wish]:
    """One index for wishes of which one serves the other, the most promising first.

    Two wishes fall together where all keys of one are the leading keys of the other; equality columns may change
    places for that. Included columns are put together.
    """
    found: list[Wish] = []
    for wish in sorted(map(_wish, wishes), key=lambda one: -len(one.keys)):
        place = next((number for number, other in enumerate(found) if _serves(other, wish)), None)
        if not wish.keys or not all((wish.relation, *wish.keys, *wish.included)):
            continue
        if place is None:
            found.append(wish)
        else:
            found[place] = _joined(found[place], wish)
    return sorted(found, key=lambda one: -one.impact_percent)


def _wish(index: MissingIndex) -> Wish:
    keys = (*index.equality_columns, *index.inequality_columns)
    return Wish(
        index.schema,
        index.relation,
        keys,
        index.included_columns,
        len(index.equality_columns),
        index.impact_percent,
        database=index.database,
    )


def _serves(wide: Wish, narrow: Wish) -> bool:
    """True where the keys of the narrow one can lead those of the wide one."""
    if (wide.database, wide.schema, wide.relation) != (narrow.database, narrow.schema, narrow.relation):
        return False
    if wide.keys[: len(narrow.keys)] == narrow.keys:
        return True
    return narrow.equality == len(narrow.keys) <= wide.equality and set(narrow.keys) <= set(wide.keys[: wide.equality])


def _joined(wide: Wish, narrow: Wish) -> Wish:
    """The wide one, with its free equality columns put so that it serves both."""
    free = wide.keys[: wide.equality]
    if wide.keys[: len(narrow.keys)] != narrow.keys:
        free = (*narrow.keys, *(name for name in free if name not in narrow.keys))
    keys = (*free, *wide.keys[wide.equality :])
    included = tuple(dict.fromkeys(name for name in (*wide.included, *narrow.included) if name not in keys))
    # Once its order serves two wishes it must not be changed for a third.
    return replace(
        wide,
        keys=keys,
        included=included,
        equality=min(wide.equality, narrow.equality),
        impact_percent=max(wide.impact_percent, narrow.impact_percent),
        merged=wide.merged + 1,
    )


@dataclass(frozen=True, slots=True)
class KnownIndex:
    """An index that is there: its key columns in order, all its columns, and the statement that makes it.

    `name` is empty where a wish has no such index.
    """

    name: str = ""
    keys: tuple[str, ...] = ()
    columns: frozenset[str] = frozenset()
    definition: str = ""

    def lacks(self, wish: Wish) -> tuple[str, ...]:
        """Columns of the wish that it does not hold."""
        return tuple(name for name in (*wish.keys, *wish.included) if name not in self.columns)


_NO_INDEX = KnownIndex()


def known_indexes(table: str, context: Mapping[str, Any]) -> list[KnownIndex]:
    """Indexes of a table that can stand for a wished one: in use, for all rows, and not the table itself."""
    indexes = context.get("indexes")
    found = []
    for name, told in indexes.items() if isinstance(indexes, Mapping) else ():
        definition = str(told)
        index, _, on = str(name).rpartition(_ON)
        columns = _COLUMNS.search(definition)
        if not columns or definition.startswith(DISABLED) or _UNLIKE.search(definition):
            continue
        if on == table or (not index and table in definition):
            keys, included = _listed(columns[1]), _listed(columns[2] or "")
            found.append(KnownIndex(index or on, keys, frozenset((*keys, *included)), definition))
    return found


def _listed(text: str) -> tuple[str, ...]:
    """`a`, `b` for `[a] DESC, [b]`; the last word of a part is a direction, not a column."""
    parts = (_NAME.search(part) for part in text.split(","))
    return tuple(plain_name(part.group()) for part in parts if part)


def existing_for(wish: Wish, context: Mapping[str, Any]) -> KnownIndex:
    """An index that begins with the wished keys, one that lacks no column first; one without a name where none does."""
    near = _NO_INDEX
    for index in known_indexes(wish.table, context):
        leading = index.keys[: len(wish.keys)]
        if leading == wish.keys or (wish.equality == len(wish.keys) and set(leading) == set(wish.keys)):
            if not index.lacks(wish):
                return index
            near = near if near.name else index
    return near


def searched_for(wish: Wish, view: StatementView) -> str:
    """An index that the plan itself searches by the wished keys, and which lacks only included columns."""
    for node in view.nodes:
        operator = node.operator
        if operator.kind == NodeKind.INDEX_SEEK and (operator.schema, operator.relation) == (
            wish.schema,
            wish.relation,
        ):
            searched = set(_SEARCHED.findall(node.condition("Seek Predicate")))
            if operator.attributes.get("IndexKind") == "NonClustered" and searched == set(wish.keys) and wish.included:
                return operator.index
    return ""


def worth_building(wish: Wish) -> Wish | None:
    """What to build of a wish: of a wide one the keys alone; nothing of one whose keys are too many already."""
    if len(wish.keys) > WIDE_KEYS:
        return None
    return replace(wish, included=()) if wish.is_wide else wish


def index_name(wish: Wish) -> str:
    """A name that says what it is for, no longer than the server takes."""
    return "_".join(("IX", wish.relation, *wish.keys))[:NAME_LENGTH]


def index_script(wish: Wish, *, with_database: bool = False) -> str:
    """The statement that makes the index, on demand with the database of its table; never run by us."""
    database = wish.database if with_database and wish.schema else ""
    table = ".".join(_quoted(part) for part in (database, wish.schema, wish.relation) if part)
    included = f" INCLUDE ({_list(wish.included)})" if wish.included else ""
    return f"CREATE NONCLUSTERED INDEX {_quoted(index_name(wish))} ON {table} ({_list(wish.keys)}){included};"


@rule(
    "missing-index",
    "Index that the optimizer misses",
    "It looks at this statement only: compare with the indexes that are there, mind that every write maintains one "
    "more, and build it in a quiet hour, or online where the edition can.",
    SQLSERVER,
)
def missing_index(view: StatementView) -> Iterator[Found]:
    """Wishes of the optimizer that promise enough, each group as one index."""
    if not view.matters:
        return
    for wish in merged_wishes(view.statement.missing_indexes):
        if wish.impact_percent < WORTH_PERCENT or wish.relation.startswith(("#", "@")) or wish.database in _OF_SERVER:
            continue
        there = existing_for(wish, view.context)
        if there.name and not there.lacks(wish):
            continue
        wider = None if wish.is_wide else widening_scripts(there.definition, there.lacks(wish))
        near = there.name if wider or wish.is_wide else ""
        near = near or searched_for(wish, view)
        yield Found(
            f"an index on {wish.table} ({', '.join(wish.keys)}) would save an estimated {wish.impact_percent:.0f} %"
            f"{f', {wish.merged} wishes in one' if wish.merged > 1 else ''}",
            share=min(1.0, wish.impact_percent / 100),
            measures=(Measure("estimated_gain", wish.impact_percent, "%"),),
            subject=f"{wish.table} ({', '.join(wish.keys)})",
            advice=_advice(wish, near),
            script=wider[0] if wider else "" if near else _script(wish, view),
            weight=Weight.HIGH if wish.impact_percent >= HIGH_PERCENT and not wish.is_wide else Weight.MEDIUM,
        )


def _script(wish: Wish, view: StatementView) -> str:
    """Empty where nothing is worth building. A statement that reads several databases does not say its own."""
    narrow = worth_building(wish)
    databases = {node.operator.attributes.get("Database") for node in view.nodes} - {None, "[tempdb]"}
    return index_script(narrow, with_database=len(databases) > 1) if narrow else ""


def _advice(wish: Wish, near: str) -> str:
    if near and wish.is_wide:
        return f"The index {near} begins with these columns: all it lacks would make it wide, so include few at a time."
    if near:
        missing = ", ".join(wish.included)
        return f"The index {near} begins with these columns: include {missing} there instead of making another."
    if wish.is_wide:
        columns = len(wish.keys) + len(wish.included)
        return f"It is wide ({columns} columns): begin with the keys alone, and see how much of the gain they bring."
    return ""


def _list(names: Sequence[str]) -> str:
    return ", ".join(map(_quoted, names))


def _quoted(name: str) -> str:
    return quote_name(name, Engine.SQLSERVER)


RULES: tuple[Rule, ...] = (missing_index,)
