"""Conditions that keep the optimizer from using an index or from knowing how many rows to expect."""

import re
from collections.abc import Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.findings.access import MANY_ROWS, WORTH_SHARE
from dbplanmon_pipeline.core.plans.findings.model import SQLSERVER, Found, Rule, Weight, rows, rule, weight_of
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView
from dbplanmon_pipeline.core.plans.showplan.expressions import comparable_expression
from dbplanmon_pipeline.core.plans.tree import NodeKind, PlanWarning
from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals

_SEEK = "Seek Plan"
_SCANS = (NodeKind.TABLE_SCAN, NodeKind.INDEX_SCAN)
_COLUMN = r"(?:\[[^\]]+\]|[A-Za-z_#]\w*)\.(?:\[[^\]]+\]|[A-Za-z_]\w*)"
_WRAPPED = re.compile(
    rf"\b(?!CONVERT_IMPLICIT\b|PROBE\b|AND\b|OR\b|NOT\b|IN\b)([a-zA-Z_]\w*)\((?:[^()@]*[\s,(])?({_COLUMN})"
)
_WRAPPED_PG = re.compile(
    r"\b(lower|upper|date_trunc|date_part|to_char|COALESCE|EXTRACT|substr|substring|btrim|abs|timezone)"
    r"\((?:[^()]*,\s*)?(?:\w+ FROM )?\(?([a-z_][\w.]*)\)?(?:::\w+)?[,)\s]"
)
_CAST_PG = re.compile(
    r"\(?\b([a-z_][\w.]*)\)?::(date|numeric|double precision|integer|bigint|uuid)(?:\([\d,?]+\))?\s*[=<>]"
)
"""Casts that change the value; those to text, as of each varchar that is compared, are served by the index."""
_LONGEST = 120


def _conversions(view: StatementView, issue: str) -> Iterator[tuple[PlanWarning, str, Node | None]]:
    """Warnings of one kind with a short expression and the operator whose condition holds it, each once."""
    conditions = [
        (node, " ".join(comparable_expression(text) for _, text in node.operator.conditions)) for node in view.nodes
    ]
    seen = set()
    for warning in view.statement.warnings:
        if warning.kind != "PlanAffectingConvert" or not warning.fields.get("ConvertIssue", "").startswith(issue):
            continue
        expression = comparable_expression(warning.fields.get("Expression", ""))
        if expression not in seen:
            seen.add(expression)
            conversion = expression.partition("=")[0] if expression.startswith("CONVERT") else expression
            place = next((node for node, text in conditions if conversion and conversion in text), None)
            yield warning, expression, place


@rule(
    "implicit-conversion-seek",
    "Implicit conversion that prevents a seek",
    "Compare values of one type: give the parameter or variable the type of the column (often varchar, not nvarchar), "
    "or change the column.",
    SQLSERVER,
)
def implicit_conversion_seek(view: StatementView) -> Iterator[Found]:
    """The engine's own warning that a seek was not possible."""
    for _, expression, node in _conversions(view, _SEEK):
        share = node.tree_share if node else 1.0
        weight = weight_of(share) if view.matters else Weight.LOW
        text = f"{_short(expression)} converts a column before it is compared, so its index cannot be searched"
        yield Found(text, node, share, subject=expression, weight=weight)


@rule(
    "implicit-conversion-estimate",
    "Implicit conversion that blurs an estimate",
    "Compare values of one type, so that the statistics of the column can be used for the estimate.",
    SQLSERVER,
)
def implicit_conversion_estimate(view: StatementView) -> Iterator[Found]:
    """The engine's warning, where the conversion stands in a condition; in a list of results it harms nothing."""
    if not view.matters:
        return
    for _, expression, node in _conversions(view, "Cardinality"):
        if node is not None:
            text = f"{_short(expression)} stands in a condition, so the row estimate there is a guess"
            yield Found(text, node, node.share, subject=expression, weight=Weight.LOW)


@rule(
    "non-sargable-predicate",
    "Condition on a computed column value",
    "Write the condition so that the column stands alone on its side, as a range for example; else index the "
    "expression as a computed column or expression index.",
)
def non_sargable_predicate(view: StatementView) -> Iterator[Found]:
    """Functions around a column in the filter of a scan, which no index on the column serves."""
    if not view.matters:
        return
    for node in view.nodes:
        if node.operator.kind in _SCANS and node.share >= WORTH_SHARE:
            found = _wrapped(view.engine, node)
            if found and _reads_many(view, node):
                what = f"applies {found[0]} to {found[1]} in its filter"
                text = f"{node.words} {what}, so no index on that column can be searched"
                yield Found(text, node, node.share, (rows("rows_kept", node.rows),), subject=f"{found[0]} {found[1]}")


def _wrapped(engine: Engine, node: Node) -> tuple[str, str] | None:
    """Function and column of the first wrapped column."""
    if engine == Engine.SQLSERVER:
        found = _WRAPPED.search(comparable_expression(node.condition("Predicate")))
        return (found[1], found[2]) if found else None
    condition = mask_postgres_literals(node.condition("Filter"))
    cast = _CAST_PG.search(condition)
    if cast:
        return f"a cast to {cast[2]}", cast[1]
    found = _WRAPPED_PG.search(condition)
    return (found[1].lower(), found[2]) if found else None


def _reads_many(view: StatementView, node: Node) -> bool:
    """False for small tables, where a scan is as good as a seek."""
    if view.engine == Engine.SQLSERVER:
        read = node.operator.actual_rows_read or node.figure("EstimatedRowsRead") or node.figure("TableCardinality")
        return (read or node.rows) >= MANY_ROWS / 10
    return (node.operator.estimated_cost or 0.0) >= 100.0


@rule(
    "unmatched-indexes",
    "Filtered index that could not be used",
    "Add OPTION (RECOMPILE), or write the value of the index's filter as a literal: a parameter may have another one.",
    SQLSERVER,
)
def unmatched_indexes(view: StatementView) -> Iterator[Found]:
    """The engine's own warning."""
    if any(warning.kind == "UnmatchedIndexes" for warning in view.statement.warnings):
        text = "a filtered index would fit, but the statement is parameterised and the plan must serve every value"
        yield Found(text, share=1.0, weight=Weight.MEDIUM if view.matters else Weight.LOW)


def _short(expression: str) -> str:
    return expression if len(expression) <= _LONGEST else f"{expression[: _LONGEST - 1]}…"


RULES: tuple[Rule, ...] = (
    implicit_conversion_seek,
    implicit_conversion_estimate,
    non_sargable_predicate,
    unmatched_indexes,
)
