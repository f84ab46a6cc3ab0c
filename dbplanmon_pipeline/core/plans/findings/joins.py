"""Joins whose way of joining does not fit how many rows they get."""

from collections.abc import Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.access import FEW_LEFT, MANY_ROWS, WORTH_SHARE
from dbplanmon_pipeline.core.plans.findings.model import (
    POSTGRES,
    SQLSERVER,
    Found,
    Measure,
    Rule,
    Weight,
    counted,
    rows,
    rule,
    weight_of,
)
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView
from dbplanmon_pipeline.core.plans.tree import NodeKind

MANY_EXECUTIONS = 100_000.0
OFF_TIMES = 10.0
WORTH_EXECUTIONS = 1_000.0
NEGLIGIBLE_SHARE = 0.01
"""What was measured to take less of the statement is not worth a word."""

_TOLD_ELSEWHERE = frozenset({NodeKind.SPOOL, NodeKind.CONSTANT, NodeKind.COMPUTE, NodeKind.LOOKUP})


def _loops(view: StatementView) -> Iterator[tuple[Node, Node, Node]]:
    """(join, outer, inner) of each nested loop."""
    for node in view.nodes:
        if node.operator.kind == NodeKind.NESTED_LOOPS:
            inputs = view.inputs(node)
            if len(inputs) >= 2:
                yield node, inputs[0], inputs[-1]


@rule(
    "no-join-predicate",
    "Join without a condition",
    "Look for a forgotten join condition; where every pair is meant, make both sides as small as possible first.",
)
def no_join_predicate(view: StatementView) -> Iterator[Found]:
    """Every row of one side with every row of the other."""
    for node in view.nodes:
        if view.engine == Engine.SQLSERVER:
            pairs = _pairs(view, node) if any(one.kind == "NoJoinPredicate" for one in node.operator.warnings) else 0.0
        else:
            pairs = _pairs(view, node) if _is_cross_join(view, node) else 0.0
        if pairs > 1.0:
            text = f"{node.words} joins every row of one side with every row of the other, {figure(pairs)} pairs"
            weight = weight_of(node.tree_share) if view.matters else Weight.LOW
            yield Found(text, node, node.tree_share, (Measure("pairs", pairs, "pairs of rows"),), weight=weight)


def _pairs(view: StatementView, node: Node) -> float:
    """Pairs of rows; 0 where a side has at most one row, for then there is nothing to multiply."""
    sides = [child.actual if child.actual is not None else child.estimated or 0.0 for child in view.inputs(node)]
    return sides[0] * sides[1] if len(sides) == 2 and min(sides) > 1.0 else 0.0


def _is_cross_join(view: StatementView, node: Node) -> bool:
    """A nested loop of PostgreSQL whose inner side knows nothing of the outer one, and which keeps all pairs."""
    operator = node.operator
    if (
        operator.kind != NodeKind.NESTED_LOOPS
        or node.condition("Join Filter")
        or operator.join_type not in ("Inner", "")
    ):
        return False
    pairs = _pairs(view, node)
    kept = node.actual if node.actual is not None else node.estimated or 0.0
    if pairs < MANY_ROWS or kept < 0.99 * pairs:
        return False
    outer, inner = view.inputs(node)
    names = {part.operator.alias or part.operator.relation for part in view.below(outer)} - {""}
    conditions = " ".join(text for part in view.below(inner) for _, text in part.operator.conditions)
    return not any(f"{name}." in conditions for name in names)


@rule(
    "nested-loops-many-rows",
    "Nested loops over many rows",
    "For so many rows a hash or merge join is usually cheaper: see why the optimizer expects few rows or has no other "
    "choice, and check hints and row goals.",
)
def nested_loops_many_rows(view: StatementView) -> Iterator[Found]:
    """The inner side runs once per outer row."""
    if not view.matters:
        return
    for node, _, inner in _loops(view):
        if (
            inner.operator.kind in _TOLD_ELSEWHERE
            or inner.executions < MANY_EXECUTIONS
            or inner.tree_share < WORTH_SHARE
        ):
            continue
        text = f"{node.words} runs {_with_tables(view, inner)} {figure(inner.executions)} times"
        measures = (Measure("executions", inner.executions, "executions"),)
        yield Found(text, node, inner.tree_share, measures, subject=inner.operator.target or inner.operator.name)


def _with_tables(view: StatementView, node: Node) -> str:
    """`Nested Loops over dbo.a and dbo.b` for an operator that reads no table itself."""
    if node.operator.target:
        return node.words
    tables = list(dict.fromkeys(one.operator.target for one in view.below(node) if one.operator.relation))
    more = f" and {len(tables) - 2} more" if len(tables) > 2 else ""
    return f"{node.words} over {' and '.join(tables[:2])}{more}" if tables else node.words


@rule(
    "nested-loops-underestimated",
    "Nested loops chosen for too few rows",
    "Find out why the outer side was expected to be small: old statistics, correlated columns, a sniffed or generic "
    "parameter.",
)
def nested_loops_underestimated(view: StatementView) -> Iterator[Found]:
    """The optimizer expected few rows, and there were many."""
    for node, outer, inner in _loops(view):
        expected, came = outer.estimated, outer.actual
        if expected is None or came is None or inner.executions < WORTH_EXECUTIONS:
            continue
        negligible = inner.operator.actual_ms is not None and inner.tree_share < NEGLIGIBLE_SHARE
        if came >= OFF_TIMES * max(expected, 1.0) and not negligible:
            text = (
                f"{node.words} expected {counted(expected, 'outer row')} and got {figure(came)}, so "
                f"{_with_tables(view, inner)} ran "
                f"{figure(inner.executions)} times"
            )
            measures = (
                rows("estimated_rows", expected),
                rows("actual_rows", came),
                Measure("executions", inner.executions, "executions"),
            )
            subject = outer.operator.target or outer.operator.name
            yield Found(text, node, inner.tree_share, measures, subject=subject)


@rule(
    "many-to-many-merge",
    "Merge join of many to many",
    "Make one side unique: a unique index or constraint, DISTINCT or grouping before the join; it then needs no work "
    "table.",
    SQLSERVER,
)
def many_to_many_merge(view: StatementView) -> Iterator[Found]:
    """A merge join that must go back over equal values keeps them in tempdb."""
    if not view.matters:
        return
    for node in view.nodes:
        if node.operator.kind == NodeKind.MERGE_JOIN and node.flag("ManyToMany"):
            given = sum(child.rows for child in view.inputs(node))
            if given >= MANY_ROWS and node.share >= WORTH_SHARE:
                text = f"{node.words} merges {figure(given)} rows many to many, through a work table in tempdb"
                yield Found(text, node, node.share, (rows("rows", given),))


@rule(
    "join-filter-discards",
    "Join that throws most pairs away",
    "Make the condition an equality of plain columns, which can be hashed or searched by an index; part an OR into two "
    "joins.",
    POSTGRES,
)
def join_filter_discards(view: StatementView) -> Iterator[Found]:
    """Pairs that were made for nothing."""
    for node in view.nodes:
        removed = (node.figure("Rows Removed by Join Filter") or 0.0) * node.executions
        if node.ran and removed >= MANY_ROWS and node.rows <= FEW_LEFT * removed and node.share >= WORTH_SHARE:
            text = f"{node.words} tests {figure(removed + node.rows)} pairs of rows and keeps {figure(node.rows)}"
            measures = (Measure("pairs_removed", removed, "pairs of rows"), rows("rows_kept", node.rows))
            yield Found(text, node, node.share, measures)


RULES: tuple[Rule, ...] = (
    no_join_predicate,
    join_filter_discards,
    nested_loops_many_rows,
    nested_loops_underestimated,
    many_to_many_merge,
)
