"""Two plans side by side, line by line, with what only one of them has marked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.plans.differences import figure
from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.core.plans.tree import Operator, Plan
from dbplanmon_pipeline.core.plans.tsql_expression import short_expression

MOST_LINES = 400
MOST_CONDITIONS = 6
DEEPEST = 20
MOVED_TIMES = 10.0
"""An estimate that moved so much is marked."""

_WORDS, _CONDITION = 300, 400


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One operator.

    Attributes:
        depth: below the root, at most DEEPEST.
        name / target: what it does, and to what.
        conditions: of its joins and filters.
        mark: `gone`, `new`, `moved` (another estimate) or empty.
    """

    depth: int
    name: str
    target: str
    conditions: tuple[str, ...]
    cost: str
    rows: str
    estimated_rows: float | None
    key: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class PlanSide:
    """One plan; `reason` says why there are no lines."""

    plan_hash: int
    origin: str
    cost: str
    lines: tuple[PlanLine, ...]
    left_out: int = 0
    reason: str = ""


def plan_sides(
    old: CapturedPlan | None, new: CapturedPlan | None, hashes: tuple[int, int]
) -> tuple[PlanSide, PlanSide] | None:
    """The plan before and the plan now, marked against each other; None where neither is there."""
    if old is None and new is None:
        return None
    before, after = _side(old, hashes[0]), _side(new, hashes[1])
    if not before.lines or not after.lines:
        return before, after
    marked_before, marked_after = _marked(before.lines, after.lines)
    return replace(before, lines=marked_before), replace(after, lines=marked_after)


def plan_side(plan: CapturedPlan | None, plan_hash: int) -> PlanSide:
    """One plan alone, without marks."""
    return _side(plan, plan_hash)


def _side(plan: CapturedPlan | None, plan_hash: int) -> PlanSide:
    if plan is None:
        return PlanSide(plan_hash, "", "", (), reason="was not captured" if plan_hash else "no other plan is known")
    if plan.reason:
        return PlanSide(plan_hash, plan.origin, "", (), reason=one_line(plan.reason.removeprefix("no plan: "), _WORDS))
    tree = tree_of(plan)
    if tree is None:
        return PlanSide(plan_hash, plan.origin, "", (), reason="is of a form that cannot be shown")
    lines = _lines(tree)
    costs = [statement.estimated_cost for statement in tree.statements if statement.estimated_cost is not None]
    cost = figure(sum(costs)) if costs else ""
    return PlanSide(plan_hash, plan.origin, cost, tuple(lines[:MOST_LINES]), max(0, len(lines) - MOST_LINES))


def _lines(plan: Plan) -> list[PlanLine]:
    found = []
    for statement in plan.statements:
        for tree in statement.trees:
            waiting = [(tree, 0)]
            while waiting:
                operator, depth = waiting.pop()
                found.append(_line(operator, depth, plan.engine))
                waiting.extend((child, depth + 1) for child in reversed(operator.children))
    return found


def _line(operator: Operator, depth: int, engine: Engine) -> PlanLine:
    readable = short_expression if engine == Engine.SQLSERVER else str
    kind = operator.join_type if operator.join_type.lower() != "inner" else ""
    detail = ", ".join(filter(None, (kind, operator.strategy)))
    parallel = "Parallel " if operator.parallel and not operator.name.startswith("Parallel") else ""
    name = f"{parallel}{operator.name}{f' ({detail})' if detail else ''}"
    using = f"using {operator.index}" if operator.index else ""
    on = f"on {operator.target}" if operator.target else ""
    target = " ".join(filter(None, (using, on)))
    return PlanLine(
        min(depth, DEEPEST),
        one_line(name, _WORDS),
        one_line(target, _WORDS),
        tuple(
            one_line(f"{label}: {readable(expression)}", _CONDITION)
            for label, expression in operator.conditions[:MOST_CONDITIONS]
        ),
        figure(operator.estimated_cost) if operator.estimated_cost is not None else "",
        figure(operator.estimated_rows) if operator.estimated_rows is not None else "",
        operator.estimated_rows,
        (name, operator.relation, operator.alias, operator.index),
    )


def _marked(before: Sequence[PlanLine], after: Sequence[PlanLine]) -> tuple[tuple[PlanLine, ...], tuple[PlanLine, ...]]:
    """Lines that match in order stay unmarked, unless their estimate moved."""
    left = ["gone"] * len(before)
    right = ["new"] * len(after)
    matcher = SequenceMatcher(None, [line.key for line in before], [line.key for line in after], autojunk=False)
    for first, second, length in matcher.get_matching_blocks():
        for step in range(length):
            moved = _has_moved(before[first + step].estimated_rows, after[second + step].estimated_rows)
            left[first + step] = right[second + step] = "moved" if moved else ""
    return (
        tuple(replace(line, mark=mark) for line, mark in zip(before, left, strict=True)),
        tuple(replace(line, mark=mark) for line, mark in zip(after, right, strict=True)),
    )


def _has_moved(before: float | None, after: float | None) -> bool:
    if not before or not after:
        return False
    return max(before / after, after / before) >= MOVED_TIMES
