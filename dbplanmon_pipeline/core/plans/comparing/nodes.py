"""What differs between two operators that do the same for their plans, in few words."""

from collections.abc import Callable, Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import ESTIMATE_RATIO, figure
from dbplanmon_pipeline.core.plans.comparing.naming import IndexNames
from dbplanmon_pipeline.core.plans.postgres.expressions import comparable_pg_expression
from dbplanmon_pipeline.core.plans.showplan.expressions import comparable_expression
from dbplanmon_pipeline.core.plans.tree import Operator

Comparable = Callable[[str], str]
"""Brings an expression of a plan into the form in which two are equal that mean the same, without its values."""

_DERIVED = frozenset({"Outer References", "Outer Join Columns", "Inner Join Columns"})


def comparable_of(engine: Engine) -> Comparable:
    """The form for the expressions of an engine."""
    return comparable_expression if engine == Engine.SQLSERVER else comparable_pg_expression


def node_changes(engine: Engine, before: Operator, after: Operator, names: IndexNames) -> tuple[str, ...]:
    """`Index Seek became Table Scan`, `index a became b`, `rows 1 became 50`; the most telling first, no values."""
    return tuple(_node_changes(engine, before, after, names))


def conditions_differ(before: Operator, after: Operator, comparable: Comparable) -> bool:
    """True where an operator has other conditions; other values are no other condition."""
    if before.conditions == after.conditions:
        return False
    was, now = (sorted(own_conditions(side, comparable)) for side in (before, after))
    return was != now


def own_conditions(operator: Operator, comparable: Comparable) -> Iterator[tuple[str, str]]:
    """Conditions in the form to compare them in, without those that only follow from the inputs."""
    return ((name, comparable(text)) for name, text in operator.conditions if name not in _DERIVED)


def rows_ratio(before: Operator, after: Operator) -> float:
    """How many times more rows than before are expected, below 1 for fewer; 1 where unknown.

    Less than one row counts as one.
    """
    if before.estimated_rows is None or after.estimated_rows is None:
        return 1.0
    return max(after.estimated_rows, 1.0) / max(before.estimated_rows, 1.0)


def estimate_moved(before: Operator, after: Operator) -> bool:
    """True where ten times more or fewer rows are expected than before."""
    ratio = rows_ratio(before, after)
    return max(ratio, 1.0 / ratio) >= ESTIMATE_RATIO


def _node_changes(engine: Engine, before: Operator, after: Operator, names: IndexNames) -> Iterator[str]:
    if (before.relation, before.alias) != (after.relation, after.alias):
        yield f"{before.target or 'no table'} became {after.target or 'no table'}"
    if before.name != after.name:
        yield f"{before.name} became {after.name}"
    else:
        yield from _same_operator(engine, before, after, names)
    if before.join_type != after.join_type:
        yield f"{before.join_type or 'plain'} join became {after.join_type or 'plain'}"
    if before.parallel != after.parallel:
        yield "serial became parallel" if after.parallel else "parallel became serial"
    was, now = (str(one.attributes.get("EstimatedExecutionMode", "")).lower() for one in (before, after))
    if was and now and was != now:
        yield f"{was} mode became {now} mode"
    if estimate_moved(before, after):
        yield f"rows {figure(before.estimated_rows or 0.0)} became {figure(after.estimated_rows or 0.0)}"


def _same_operator(engine: Engine, before: Operator, after: Operator, names: IndexNames) -> Iterator[str]:
    if before.index != names.of(after.relation, after.index):
        yield f"index {before.index or 'none'} became {after.index or 'none'}"
    if before.direction != after.direction:
        yield f"{before.direction or 'any order'} became {after.direction or 'any order'}"
    if before.strategy != after.strategy:
        yield f"{before.strategy or 'plain'} became {after.strategy or 'plain'}"
    if conditions_differ(before, after, comparable_of(engine)):
        yield "other condition"
