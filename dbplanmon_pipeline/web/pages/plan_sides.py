"""Two plans side by side, an operator per line, with what changed of each and what only one of them has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.comparing.matching import match_plans
from dbplanmon_pipeline.core.plans.render import operator_words
from dbplanmon_pipeline.core.plans.showplan.expressions import short_expression
from dbplanmon_pipeline.core.plans.stored import shown_tree_of
from dbplanmon_pipeline.core.plans.tree import Operator, Plan

MOST_LINES = 400
MOST_CONDITIONS = 6
DEEPEST = 20
_WORDS, _CONDITION = 300, 400


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One operator.

    Attributes:
        depth: below the root, at most DEEPEST.
        name / target: what it does, and to what.
        conditions: of its joins and filters.
        mark: `same`, `changed`, `gone` (only in the plan before) or `new` (only in the present one); empty where
            there is nothing to compare with.
        what: the changes in few words; empty but for `changed`.
        number / other: of this operator in its plan, from 1, and of its mate in the other one; 0 without one,
            or where its line is left out.
    """

    depth: int
    name: str
    target: str
    conditions: tuple[str, ...]
    cost: str
    rows: str
    actual_rows: str
    mark: str = ""
    what: tuple[str, ...] = ()
    number: int = 0
    other: int = 0


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
    before, after = (shown_tree_of(plan) if plan else None for plan in (old, new))
    marks: tuple[_Marks, _Marks] = ({}, {})
    if before is not None and after is not None and before.engine == after.engine:
        marks = _marks(before, after)
    return _side(old, before, hashes[0], marks[0]), _side(new, after, hashes[1], marks[1])


def plan_side(plan: CapturedPlan | None, plan_hash: int) -> PlanSide:
    """One plan alone, without marks."""
    return _side(plan, shown_tree_of(plan) if plan else None, plan_hash, {})


@dataclass(frozen=True, slots=True)
class _Mark:
    mark: str
    what: tuple[str, ...] = ()
    other: int = 0


_Marks = dict[int, _Mark]
"""By the number of the operator in its plan, from 0."""


def _marks(before: Plan, after: Plan) -> tuple[_Marks, _Marks]:
    first = (_first_numbers(before), _first_numbers(after))
    marks: tuple[_Marks, _Marks] = ({}, {})
    for statement in match_plans(before, after):
        for node in statement.nodes:
            was = None if statement.old is None or node.old is None else first[0][statement.old] + node.old
            now = None if statement.new is None or node.new is None else first[1][statement.new] + node.new
            what = tuple(one_line(words, _WORDS) for words in node.what)
            if was is not None:
                marks[0][was] = _Mark(node.change.value, what, _shown(now))
            if now is not None:
                marks[1][now] = _Mark(node.change.value, what, _shown(was))
    return marks


def _shown(number: int | None) -> int:
    """The number from 1, 0 where there is none or its line is left out."""
    return 0 if number is None or number >= MOST_LINES else number + 1


def _first_numbers(plan: Plan) -> list[int]:
    """The number of the first operator of each statement, counted over the whole plan."""
    numbers, number = [], 0
    for statement in plan.statements:
        numbers.append(number)
        number += sum(1 for _ in statement.operators())
    return numbers


def _side(plan: CapturedPlan | None, tree: Plan | None, plan_hash: int, marks: Mapping[int, _Mark]) -> PlanSide:
    if plan is None:
        return PlanSide(plan_hash, "", "", (), reason="was not captured" if plan_hash else "no other plan is known")
    if plan.reason:
        return PlanSide(plan_hash, plan.origin, "", (), reason=one_line(plan.reason.removeprefix("no plan: "), _WORDS))
    if tree is None:
        return PlanSide(plan_hash, plan.origin, "", (), reason="is of a form that cannot be shown")
    lines = [
        _line(operator, depth, tree.engine, number, marks.get(number))
        for number, (operator, depth) in enumerate(_operators(tree))
    ]
    costs = [statement.estimated_cost for statement in tree.statements if statement.estimated_cost is not None]
    cost = figure(sum(costs)) if costs else ""
    return PlanSide(plan_hash, plan.origin, cost, tuple(lines[:MOST_LINES]), max(0, len(lines) - MOST_LINES))


def _operators(plan: Plan) -> Iterator[tuple[Operator, int]]:
    """All operators with their depth, parents first."""
    for statement in plan.statements:
        waiting = [(tree, 0) for tree in reversed(statement.trees)]
        while waiting:
            operator, depth = waiting.pop()
            yield operator, depth
            waiting.extend((child, depth + 1) for child in reversed(operator.children))


def _line(operator: Operator, depth: int, engine: Engine, number: int, mark: _Mark | None) -> PlanLine:
    readable = short_expression if engine == Engine.SQLSERVER else str
    name, target = operator_words(operator)
    return PlanLine(
        min(depth, DEEPEST),
        one_line(name, _WORDS),
        one_line(target, _WORDS),
        tuple(
            one_line(f"{label}: {readable(expression)}", _CONDITION)
            for label, expression in operator.conditions[:MOST_CONDITIONS]
        ),
        _told(operator.estimated_cost),
        _told(operator.estimated_rows),
        _told(operator.actual_rows),
        mark.mark if mark else "",
        mark.what if mark else (),
        number + 1,
        mark.other if mark else 0,
    )


def _told(value: float | None) -> str:
    return "" if value is None else figure(value)
