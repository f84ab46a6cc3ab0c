"""What two plans do beside reading and joining: group, sort, keep aside, call functions, stop early."""

from collections.abc import Iterator, Sequence

from dbplanmon_pipeline.core.plans.comparing.differences import (
    ESTIMATE_RATIO,
    DifferenceKind,
    PlanDifference,
    came_and_went,
    figure,
)
from dbplanmon_pipeline.core.plans.comparing.nodes import Comparable
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, PlanStatement

_COMPARED_ELSEWHERE = frozenset({NodeKind.AGGREGATE, NodeKind.SORT, NodeKind.SPOOL, NodeKind.EXCHANGE, NodeKind.HASH})
_NO_NEWS = frozenset({NodeKind.COMPUTE, NodeKind.FILTER})


def compare_operators(
    before: Sequence[Operator], after: Sequence[Operator], comparable: Comparable
) -> Iterator[PlanDifference]:
    """Aggregation, sorts, spools and other operators of two trees."""
    yield from _aggregation(before, after)
    yield from came_and_went(DifferenceKind.SORT, _sorts(before, comparable), _sorts(after, comparable))
    yield from came_and_went(DifferenceKind.SPOOL, _spools(before), _spools(after))
    yield from came_and_went(DifferenceKind.OPERATOR, _others(before), _others(after))
    yield from _row_goals(before, after)


def compare_functions(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """Functions in T-SQL that are called row by row, and forbid parallel plans."""
    was, now = (_functions(side) for side in (before, after))
    for name in dict.fromkeys([*was, *now]):
        if (name in was) != (name in now):
            word = "is now called row by row" if name in now else "is no longer called row by row"
            left, right = (name if name in side else "" for side in (was, now))
            yield PlanDifference(DifferenceKind.FUNCTION, name, left, right, f"function {name} {word}")


def compare_table_variables(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """A temporary table, which has statistics, in one plan, and a table variable, which has none, in the other."""
    was, now = (
        {one.relation for one in side.operators() if one.relation.startswith(("#", "@"))} for side in (before, after)
    )
    lost, fresh = sorted(was - now), sorted(now - was)
    if len(lost) == len(fresh) == 1 and lost[0][0] != fresh[0][0]:
        left, right = (f"{_what(name)} {name}" for name in (lost[0], fresh[0]))
        text = f"{right} took the place of {left}"
        yield PlanDifference(DifferenceKind.ACCESS_PATH, fresh[0], left, right, text, 1.0)


def _what(name: str) -> str:
    return "table variable" if name.startswith("@") else "temporary table"


def _aggregation(before: Sequence[Operator], after: Sequence[Operator]) -> Iterator[PlanDifference]:
    was, now = ({_with_strategy(node) for node in side if node.kind == NodeKind.AGGREGATE} for side in (before, after))
    if was == now:
        return
    left, right = (", ".join(sorted(side)) for side in (was - now, now - was))
    if left and right:
        text = f"aggregation: {left} became {right}"
    else:
        text = f"aggregation: {right} is new" if right else f"aggregation: {left} is gone"
    yield PlanDifference(DifferenceKind.AGGREGATION, "", left, right, text)


def _with_strategy(operator: Operator) -> str:
    return f"{operator.name} ({operator.strategy})" if operator.strategy else operator.name


def _sorts(operators: Sequence[Operator], comparable: Comparable) -> list[str]:
    sorts = (one for one in operators if one.kind == NodeKind.SORT)
    keys = ((_with_strategy(one), comparable(dict(one.conditions).get("Sort Key", ""))) for one in sorts)
    return [f"{name} by {key}" if key else name for name, key in keys]


def _spools(operators: Sequence[Operator]) -> list[str]:
    return [_with_strategy(operator) for operator in operators if operator.kind == NodeKind.SPOOL]


def _others(operators: Sequence[Operator]) -> list[str]:
    """Operators no other comparison looks at; those that only compute are no news."""
    return [
        operator.name
        for operator in operators
        if operator.kind not in _COMPARED_ELSEWHERE
        and operator.kind not in _NO_NEWS
        and not operator.kind.is_join
        and not (operator.kind.reads_relation and (operator.relation or operator.kind == NodeKind.BITMAP_INDEX))
    ]


def _functions(statement: PlanStatement) -> dict[str, None]:
    names = statement.attributes.get("UserDefinedFunctions", ())
    return dict.fromkeys(str(name).replace("[", "").replace("]", "") for name in names if name)


def _row_goals(before: Sequence[Operator], after: Sequence[Operator]) -> Iterator[PlanDifference]:
    """Reads that are expected to end long before all their rows came, in one plan only."""
    was, now = _early_ends(before), _early_ends(after)
    for target in dict.fromkeys([*was, *now]):
        left, right = was.get(target, ""), now.get(target, "")
        if bool(left) != bool(right):
            word = f"is now expected to end after {right}" if right else f"is no longer expected to end after {left}"
            yield PlanDifference(DifferenceKind.ROW_GOAL, target, left, right, f"{target}: the read {word}")


def _early_ends(operators: Sequence[Operator]) -> dict[str, str]:
    found = {}
    for operator in operators:
        without = figure_of(str(operator.attributes.get("EstimateRowsWithoutRowGoal") or ""))
        planned = operator.estimated_rows or 0.0
        if operator.kind.reads_relation and without is not None and without >= ESTIMATE_RATIO * max(planned, 1.0):
            found[operator.target] = f"{figure(planned)} of {figure(without)} rows"
    return found
