"""Row estimates that were wrong, or that could only be guessed."""

import re
from collections.abc import Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.access import WORTH_SHARE
from dbplanmon_pipeline.core.plans.findings.model import POSTGRES, SQLSERVER, Found, Rule, Weight, counted, rows, rule
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView
from dbplanmon_pipeline.core.plans.tree import NodeKind

OFF_TIMES = 10.0
WORTH_ROWS = 1_000.0
WORTH_TOO_MANY = 10_000.0
"""Rows that were expected and did not come; they only cost memory and a heavier way of joining."""


_SIZED = frozenset(
    {NodeKind.SORT, NodeKind.HASH, NodeKind.HASH_JOIN, NodeKind.AGGREGATE, NodeKind.ADAPTIVE_JOIN, NodeKind.MERGE_JOIN}
)
_RETURNED = re.compile(r"\$(\d+)")
_PARAMETER = re.compile(r"(?<![\w$])\$(\d+)")


def off_times(node: Node) -> float:
    """How many times more or fewer rows than expected came; 1 where unknown. Fewer than one row count as one."""
    if node.actual is None or node.estimated is None:
        return 1.0
    came, expected = max(node.actual, 1.0), max(node.estimated, 1.0)
    return max(came / expected, expected / came)


def _is_off(view: StatementView, node: Node) -> bool:
    came, expected = node.actual or 0.0, node.estimated or 0.0
    least = WORTH_ROWS if came > expected else WORTH_TOO_MANY
    return (
        off_times(node) >= OFF_TIMES
        and max(came, expected) * max(1.0, node.executions) >= least
        and not _counts_otherwise(view, node)
    )


def _counts_otherwise(view: StatementView, node: Node) -> bool:
    """Below a merge join PostgreSQL counts rows again that it goes back to; a table being built delivers none."""
    above = node.parent
    if view.engine == Engine.SQLSERVER or above is None:
        return node.operator.name == "Batch Hash Table Build"
    return above.operator.kind == NodeKind.MERGE_JOIN and node is view.inputs(above)[-1]


@rule(
    "row-estimate-off",
    "Row estimate far off",
    "Look at the statistics of the columns in the condition, at correlated columns (extended statistics) and at "
    "parameters; what stands above was chosen for another number of rows.",
)
def row_estimate_off(view: StatementView) -> Iterator[Found]:
    """Where a misjudgement begins, if something above it was chosen or sized by it."""
    if not view.matters:
        return
    for node in view.nodes:
        if not _is_off(view, node) or any(_is_off(view, child) for child in view.inputs(node)) or _is_cut_short(node):
            continue
        consequence, share = _consequence(view, node)
        if consequence:
            expected, came = node.estimated or 0.0, node.actual or 0.0
            more = "more" if came > expected else "fewer"
            were = "was" if figure(expected) == "1" else "were"
            text = (
                f"{node.words} delivers {counted(came, 'row')} where {figure(expected)} {were} expected "
                f"({figure(off_times(node))} times {more}); {consequence}"
            )
            measures = (rows("estimated_rows", expected), rows("actual_rows", came))
            yield Found(text, node, share, measures)


def _is_cut_short(node: Node) -> bool:
    """Fewer rows than expected mean nothing below an operator that stops early."""
    fewer = (node.actual or 0.0) < (node.estimated or 0.0)
    return fewer and any(above.operator.kind in (NodeKind.TOP, NodeKind.MERGE_JOIN) for above in node.above())


def _consequence(view: StatementView, node: Node) -> tuple[str, float]:
    """What was chosen or sized by the estimate, the nearest that is worth a word; and its share of the statement [0-1].

    Empty where nothing was.
    """
    for what, share in _consequences(view, node):
        if share >= WORTH_SHARE:
            return what, share
    return "", 0.0


def _consequences(view: StatementView, node: Node) -> Iterator[tuple[str, float]]:
    below = node
    for above in node.above():
        kind = above.operator.kind
        if kind == NodeKind.NESTED_LOOPS and below.place == 0:
            yield "the nested loops above were chosen for those", view.inputs(above)[-1].tree_share
        elif kind in _SIZED:
            share = above.share + node.share
            yield f"the {above.operator.name} above was chosen or got its memory for those", share
        below = above


@rule(
    "function-scan-estimate",
    "Function whose rows are guessed",
    "Make it an inline function or fill a temporary table first; on PostgreSQL declare ROWS, or a support function.",
)
def function_scan_estimate(view: StatementView) -> Iterator[Found]:
    """Multi-statement functions and set-returning ones: the optimizer takes a fixed number."""
    if not view.matters:
        return
    guesses = (1.0, 100.0) if view.engine == Engine.SQLSERVER else (100.0, 1_000.0)
    for node in view.nodes:
        if node.operator.kind != NodeKind.FUNCTION_SCAN or node.estimated not in guesses or _is_of_server(view, node):
            continue
        if not any(above.operator.kind.is_join for above in node.above()):
            continue
        if node.actual is not None and off_times(node) < OFF_TIMES:
            continue
        came = f", and {figure(node.actual)} came" if node.actual is not None else ""
        text = f"{node.words} is taken to deliver {counted(node.estimated or 0.0, 'row')} whatever it does{came}"
        measures = [rows("estimated_rows", node.estimated or 0.0)]
        measures += [rows("actual_rows", node.actual)] if node.actual is not None else []
        yield Found(text, node, 0.2, tuple(measures), weight=Weight.MEDIUM if node.actual is not None else Weight.LOW)


def _is_of_server(view: StatementView, node: Node) -> bool:
    """Functions inside of system views of SQL Server, which nobody can write anew, have no schema of a person."""
    return view.engine == Engine.SQLSERVER and node.operator.schema in ("", "sys")


@rule(
    "table-variable",
    "Table variable in a join",
    "Use a temporary table, which has statistics, or OPTION (RECOMPILE); from 2019 on raise the compatibility level to "
    "150.",
    SQLSERVER,
)
def table_variable(view: StatementView) -> Iterator[Found]:
    """Table variables have no statistics; up to 2017 one row is assumed."""
    if not view.matters:
        return
    for node in view.nodes:
        if not (node.operator.kind.reads_relation and node.operator.relation.startswith("@")):
            continue
        if not any(above.operator.kind.is_join for above in node.above()) and off_times(node) < OFF_TIMES:
            continue
        came = f" and {figure(node.actual)} came" if node.actual is not None else ""
        text = f"{node.words} has no statistics: {counted(node.estimated or 0.0, 'row')} assumed{came}"
        is_off = off_times(node) >= OFF_TIMES
        yield Found(
            text,
            node,
            node.share,
            (rows("estimated_rows", node.estimated or 0.0),),
            weight=Weight.MEDIUM if is_off else Weight.LOW,
        )


@rule(
    "row-goal",
    "Plan made for the first rows only",
    "If the rows that are looked for come late or not at all, the whole table is read: give the condition an index, or "
    "test with OPTION (USE HINT ('DISABLE_OPTIMIZER_ROWGOAL')).",
    SQLSERVER,
)
def row_goal(view: StatementView) -> Iterator[Found]:
    """TOP, EXISTS, IN and FAST n make scans look cheap."""
    if not view.matters:
        return
    for node in view.nodes:
        without = node.figure("EstimateRowsWithoutRowGoal") or 0.0
        planned = node.operator.estimated_rows or 0.0
        if node.operator.kind not in (NodeKind.TABLE_SCAN, NodeKind.INDEX_SCAN) or without < WORTH_ROWS:
            continue
        came = node.operator.actual_rows_read if node.ran else None
        missed = came is not None and came >= OFF_TIMES * max(planned, 1.0) and came >= WORTH_ROWS
        if missed or (came is None and node.share >= WORTH_SHARE and planned * OFF_TIMES <= without):
            read = f", and {figure(came)} were read" if came is not None else ""
            text = f"{node.words} is expected to stop after {figure(planned)} of {figure(without)} rows{read}"
            yield Found(text, node, node.share, (rows("planned_rows", planned), rows("all_rows", without)))


@rule(
    "generic-plan-skew",
    "Generic plan for a value that is not average",
    "Compare with plan_cache_mode = force_custom_plan for this statement; where values differ much, use that, or send "
    "the value as a literal.",
    POSTGRES,
)
def generic_plan_skew(view: StatementView) -> Iterator[Found]:
    """Conditions on a parameter of a prepared statement whose rows are far from the average."""
    if not view.matters:
        return
    computed = {
        number
        for node in view.nodes
        for number in _RETURNED.findall(str(node.operator.attributes.get("Subplan Name", "")))
    }
    for node in view.nodes:
        used = set(_PARAMETER.findall(node.condition("Filter", "Index Cond", "Recheck Cond"))) - computed - {"0"}
        if used and node.operator.kind.reads_relation and _is_off(view, node):
            expected, came = node.estimated or 0.0, node.actual or 0.0
            names = ", ".join(f"${number}" for number in sorted(used, key=int))
            text = (
                f"{node.words} was planned for {figure(expected)} rows, the average over all values of {names}, "
                f"and delivers {figure(came)}"
            )
            measures = (rows("estimated_rows", expected), rows("actual_rows", came))
            script = "SET LOCAL plan_cache_mode = force_custom_plan;"
            yield Found(text, node, node.tree_share, measures, script=script)


RULES: tuple[Rule, ...] = (
    row_estimate_off,
    function_scan_estimate,
    table_variable,
    row_goal,
    generic_plan_skew,
)
