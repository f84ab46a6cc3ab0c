"""A plan as an indented text tree."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.differences import figure
from dbplanmon_pipeline.core.plans.tree import Operator, Plan
from dbplanmon_pipeline.core.plans.tsql_expression import short_expression

_NO_MARKS: Mapping[tuple[int, int], Sequence[int]] = MappingProxyType({})


def render_tree(plan: Plan, marks: Mapping[tuple[int, int], Sequence[int]] = _NO_MARKS) -> str:
    """All statements, one operator per line with cost and rows, its conditions below; ends without a line break.

    Args:
        plan: of either engine.
        marks: numbers to put behind operators, by (statement, operator), both counted from 0.
    """
    lines: list[str] = []
    for number, statement in enumerate(plan.statements, 1):
        if len(plan.statements) > 1:
            lines.append(f"Statement {number}: {statement.kind or 'statement'}")
        if not statement.trees:
            lines.append("(no operators)")
            continue
        told = {operator: numbers for (place, operator), numbers in marks.items() if place == number - 1}
        first = 0
        for tree in statement.trees:
            lines.extend(_tree(tree, plan.engine, first, told))
            first += sum(1 for _ in tree.walk())
    return "\n".join(lines)


def _tree(root: Operator, engine: Engine, first: int, marks: Mapping[int, Sequence[int]]) -> list[str]:
    """Lines of one tree; `first` is the number of its root."""
    readable = short_expression if engine == Engine.SQLSERVER else str
    lines: list[str] = []
    waiting = [(root, 0)]
    number = first
    while waiting:
        operator, depth = waiting.pop()
        arrow = f"{'  ' * (depth - 1)}-> " if depth else ""
        lines.append(f"{arrow}{_headline(operator)}{''.join(f' [{mark}]' for mark in marks.get(number, ()))}")
        number += 1
        inset = " " * (len(arrow) + 4)
        lines.extend(f"{inset}{name}: {readable(expression)}" for name, expression in operator.conditions)
        waiting.extend((child, depth + 1) for child in reversed(operator.children))
    return lines


def _headline(operator: Operator) -> str:
    kind = operator.join_type if operator.join_type.lower() != "inner" else ""
    words = [
        "Parallel" if operator.parallel and not operator.name.startswith("Parallel") else "",
        operator.name,
        operator.direction if operator.direction == "Backward" else "",
        f"({', '.join(filter(None, (kind, operator.strategy)))})" if kind or operator.strategy else "",
        f"using {operator.index}" if operator.index else "",
        f"on {operator.target}" if operator.target else "",
        f"[{operator.role}]" if operator.role in ("InitPlan", "SubPlan") else "",
        _figures(operator),
    ]
    return " ".join(filter(None, words))


def _figures(operator: Operator) -> str:
    parts = []
    if operator.estimated_cost is not None:
        parts.append(f"cost {figure(operator.estimated_cost)}")
    if operator.estimated_rows is not None:
        parts.append(f"rows {figure(operator.estimated_rows)}")
    if operator.actual_rows is not None:
        parts.append(f"actual rows {figure(operator.actual_rows)}")
    if operator.actual_ms is not None:
        parts.append(f"actual {figure(operator.actual_ms)} ms")
    if operator.actual_loops is not None and operator.actual_loops != 1:
        parts.append(f"loops {figure(operator.actual_loops)}")
    return f"({', '.join(parts)})" if parts else ""
