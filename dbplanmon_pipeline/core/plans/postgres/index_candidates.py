"""Indexes that might serve a PostgreSQL plan, read off the filters of the tables it reads whole; to be tried only."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.findings.view import Node, view_of
from dbplanmon_pipeline.core.plans.tree import NodeKind, Plan
from dbplanmon_pipeline.core.sqlnames import quote_name
from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals

WORTH_COST = 1_000.0
"""Of the statement, in the planner's units; below it is not worth a trial."""

WORTH_SHARE = 0.2
MOST_COLUMNS = 3
MOST_CANDIDATES = 2
LONGEST_CONDITION = 2_000
"""Characters; a longer filter is a list that no index serves well."""

LONGEST_NAME = 63
"""Bytes of a name that PostgreSQL keeps."""

_WORD = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_COLUMN = rf"(?P<table>{_WORD})\.(?P<column>{_WORD})"
_BARE = re.compile(
    rf"{_COLUMN}|\({_COLUMN.replace('<table>', '<cast_table>').replace('<column>', '<cast_column>')}\)::[\w ]+"
)
_COMPARED = re.compile(r"(?P<left>.+?) (?P<sign>=|<=|>=|<|>) (?P<right>.+)", re.DOTALL)
_AND = " AND "
_GIVEN = re.compile(r"\$\d+|\?")


@dataclass(frozen=True, slots=True)
class IndexCandidate:
    """Columns of one table, those compared for equality first."""

    schema: str
    relation: str
    columns: tuple[str, ...]

    @property
    def definition(self) -> str:
        """The statement that makes it, with every name quoted."""
        name = "_".join((self.relation, *self.columns, "idx")).encode()[:LONGEST_NAME].decode(errors="ignore")
        keys = ", ".join(map(_quoted, self.columns))
        return f"CREATE INDEX {_quoted(name)} ON {_quoted(self.schema)}.{_quoted(self.relation)} ({keys})"


def index_candidates(plan: Plan) -> tuple[IndexCandidate, ...]:
    """At most MOST_CANDIDATES, for the dearest scans first; none for plans of another engine and for cheap ones.

    A candidate has the columns that the filter compares with a value the scan is given, and no more than one that is
    compared by its order. Whether the planner would use it, and what that saves, only the planner can tell.
    """
    found: dict[IndexCandidate, float] = {}
    for statement in plan.statements if plan.engine == Engine.POSTGRES else ():
        view = view_of(plan.engine, statement)
        if view.cost >= WORTH_COST:
            for node in view.nodes:
                if node.operator.kind == NodeKind.TABLE_SCAN and node.share >= WORTH_SHARE:
                    found |= dict.fromkeys(_candidate(node), node.share)
    return tuple(sorted(found, key=lambda one: -found[one])[:MOST_CANDIDATES])


def _candidate(node: Node) -> Iterator[IndexCandidate]:
    operator = node.operator
    if not operator.schema or not operator.relation or operator.schema.startswith("pg_"):
        return
    equal: dict[str, None] = {}
    ranged: dict[str, None] = {}
    condition = node.condition("Filter")
    for part in conjuncts(mask_postgres_literals(condition)) if len(condition) <= LONGEST_CONDITION else ():
        compared = _comparison(part, operator.alias or operator.relation)
        if compared:
            (equal if compared[1] == "=" else ranged)[compared[0]] = None
    columns = [*equal, *[name for name in ranged if name not in equal][:1]][:MOST_COLUMNS]
    if columns and not any("\0" in name for name in (operator.schema, operator.relation, *columns)):
        yield IndexCandidate(operator.schema, operator.relation, tuple(columns))


def _comparison(part: str, table: str) -> tuple[str, str] | None:
    """Column and sign of a comparison of a column of this table with a value; None for anything else."""
    compared = _COMPARED.fullmatch(part)
    if compared is None:
        return None
    for side, other in ((compared["left"], compared["right"]), (compared["right"], compared["left"])):
        found = _BARE.fullmatch(side.strip())
        # Columns have their table in front, here; so what has a dot depends on a row.
        if found and _GIVEN.search(other) and "." not in other:
            named = _plain(found["table"] or found["cast_table"])
            return (_plain(found["column"] or found["cast_column"]), compared["sign"]) if named == table else None
    return None


def conjuncts(expression: str) -> list[str]:
    """Conditions that must all hold, without the brackets around each; the whole where they are joined otherwise."""
    parts = _parted(expression)
    while len(parts) == 1 and (inner := _unwrapped(parts[0])) != parts[0]:
        parts = _parted(inner)
    return [_unwrapped(part) for part in parts]


def _parted(expression: str) -> list[str]:
    """What stands between the outermost ANDs."""
    parts, depth, start = [], 0, 0
    quoted = False
    for position, sign in enumerate(expression):
        quoted ^= sign == '"'
        if not quoted:
            depth += (sign == "(") - (sign == ")")
            if depth == 0 and sign == " " and expression.startswith(_AND, position):
                parts.append(expression[start:position])
                start = position + len(_AND)
    return [part.strip() for part in (*parts, expression[start:])]


def _unwrapped(part: str) -> str:
    """Without one pair of brackets around the whole."""
    part = part.strip()
    if not (part.startswith("(") and part.endswith(")")):
        return part
    depth, quoted = 0, False
    for position, sign in enumerate(part):
        quoted ^= sign == '"'
        if not quoted:
            depth += (sign == "(") - (sign == ")")
            if depth == 0:
                return part[1:-1] if position == len(part) - 1 else part
    return part


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _quoted(name: str) -> str:
    return quote_name(name, Engine.POSTGRES)
