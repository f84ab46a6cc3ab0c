"""What changed between two plans of one statement, in the words of a DBA."""

from collections.abc import Iterator
from itertools import zip_longest

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.compare_access import Comparable, compare_access, compare_estimates
from dbplanmon_pipeline.core.plans.compare_compilation import compare_compilation
from dbplanmon_pipeline.core.plans.compare_joins import compare_joins
from dbplanmon_pipeline.core.plans.compare_work import compare_work
from dbplanmon_pipeline.core.plans.context import context_changes
from dbplanmon_pipeline.core.plans.differences import (
    DifferenceKind,
    PlanDiff,
    PlanDifference,
    came_and_went,
    figure,
    ordered,
    ratio_text,
)
from dbplanmon_pipeline.core.plans.tree import MissingIndex, NodeKind, Operator, Plan, PlanStatement
from dbplanmon_pipeline.core.plans.tsql_expression import comparable_expression
from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals

__all__ = ["DifferenceKind", "PlanDiff", "PlanDifference", "context_changes", "diff_plans"]

NO_DIFFERENCE = "No difference: the same operators, tables and indexes in the same order."

_COMPARED_ELSEWHERE = frozenset({NodeKind.AGGREGATE, NodeKind.SORT, NodeKind.SPOOL, NodeKind.EXCHANGE, NodeKind.HASH})
_NO_NEWS = frozenset({NodeKind.COMPUTE, NodeKind.FILTER})


def diff_plans(old: Plan, new: Plan) -> PlanDiff:
    """Compare two plans of one statement, or two plan files statement by statement.

    Operators are matched by what they do: reads by table and alias, joins by the tables below them. Costs and rows
    count only where they moved tenfold.
    """
    changes = ordered(change for pair in _pairs(old, new) for change in _statement(old.engine, *pair))
    return PlanDiff(changes, _summary(old, new, changes))


_Pair = tuple[PlanStatement | None, PlanStatement | None]


def _pairs(old: Plan, new: Plan) -> list[_Pair]:
    """Statements that belong together: by their place; where one file holds more, by query hash first."""
    if len(old.statements) == len(new.statements):
        return list(zip(old.statements, new.statements, strict=True))
    waiting = {statement.query_hash: statement for statement in new.statements if statement.query_hash}
    found: list[_Pair] = [(one, waiting.pop(one.query_hash)) for one in old.statements if one.query_hash in waiting]
    taken = {id(statement) for pair in found for statement in pair}
    lost, fresh = ([one for one in side.statements if id(one) not in taken] for side in (old, new))
    return [*found, *zip_longest(lost, fresh)]


def _statement(engine: Engine, before: PlanStatement | None, after: PlanStatement | None) -> Iterator[PlanDifference]:
    if before is None or after is None or before.root is None or after.root is None:
        yield from _lonely(before, after)
        return
    comparable = comparable_expression if engine == Engine.SQLSERVER else mask_postgres_literals
    trees = [
        change
        for old, new in zip(before.trees, after.trees, strict=False)
        for change in _trees(engine, old, new, comparable)
    ]
    changes = [*trees, *_parallelism(engine, before, after), *_advice(before, after, comparable)]
    yield from changes
    yield from compare_compilation(before, after)
    if not changes and [_outline(tree) for tree in before.trees] != [_outline(tree) for tree in after.trees]:
        text = "the same operators over the same tables, arranged differently"
        yield PlanDifference(DifferenceKind.OPERATOR, "", "", "", text)


def _lonely(before: PlanStatement | None, after: PlanStatement | None) -> Iterator[PlanDifference]:
    """A statement that only one of the plans has, or has a tree for."""
    was, now = ("plan" if side and side.root else "" for side in (before, after))
    if was != now:
        kind = next(side.kind for side in (before, after) if side) or "statement"
        text = f"{kind}: {'has a plan only now' if now else 'no longer has a plan'}"
        yield PlanDifference(DifferenceKind.STATEMENT, kind, was, now, text)


def _trees(engine: Engine, old: Operator, new: Operator, comparable: Comparable) -> Iterator[PlanDifference]:
    before, after = list(old.walk()), list(new.walk())
    yield from compare_access(before, after, comparable)
    yield from compare_joins(old, new)
    yield from _aggregation(before, after)
    yield from came_and_went(DifferenceKind.SORT, _sorts(before, comparable), _sorts(after, comparable))
    yield from came_and_went(DifferenceKind.SPOOL, _spools(before), _spools(after))
    yield from came_and_went(DifferenceKind.OPERATOR, _others(before), _others(after))
    if not (old.kind.reads_relation and new.kind.reads_relation):
        yield from compare_estimates("result", old, new)
    yield from compare_work(engine, old, new)


def _parallelism(engine: Engine, before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    was, now = _workers(list(before.operators())), _workers(list(after.operators()))
    if was != now:
        alone = "serial" if engine == Engine.SQLSERVER else "one process"
        reason = "" if now else str(after.attributes.get("NonParallelPlanReason", ""))
        why = f", because {reason}" if reason else ""
        text = f"parallelism: {was or alone} became {now or alone}{why}"
        yield PlanDifference(DifferenceKind.PARALLELISM, "", was, now, text)


def _workers(operators: list[Operator]) -> str:
    """`parallel`, with the workers planned where the plan names them; empty for a serial plan."""
    if not any(operator.parallel or operator.kind == NodeKind.EXCHANGE for operator in operators):
        return ""
    planned = [operator.attributes.get("Workers Planned") for operator in operators]
    workers = sum(number for number in planned if isinstance(number, int))
    if not workers:
        return "parallel"
    return "parallel with 1 worker" if workers == 1 else f"parallel with {workers} workers"


def _aggregation(before: list[Operator], after: list[Operator]) -> Iterator[PlanDifference]:
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


def _sorts(operators: list[Operator], comparable: Comparable) -> list[str]:
    sorts = (one for one in operators if one.kind == NodeKind.SORT)
    keys = ((_with_strategy(one), comparable(dict(one.conditions).get("Sort Key", ""))) for one in sorts)
    return [f"{name} by {key}" if key else name for name, key in keys]


def _spools(operators: list[Operator]) -> list[str]:
    return [_with_strategy(operator) for operator in operators if operator.kind == NodeKind.SPOOL]


def _others(operators: list[Operator]) -> list[str]:
    """Operators no other comparison looks at; those that only compute are no news."""
    return [
        operator.name
        for operator in operators
        if operator.kind not in _COMPARED_ELSEWHERE
        and operator.kind not in _NO_NEWS
        and not operator.kind.is_join
        and not (operator.kind.reads_relation and (operator.relation or operator.kind == NodeKind.BITMAP_INDEX))
    ]


def _advice(before: PlanStatement, after: PlanStatement, comparable: Comparable) -> Iterator[PlanDifference]:
    """Warnings and wishes the engine wrote into one plan only."""
    warned = ([f"{item.kind} {comparable(item.detail)}".strip() for item in side.warnings] for side in (before, after))
    yield from came_and_went(DifferenceKind.WARNING, *warned, one="warning")
    wished = ([_wish(index) for index in side.missing_indexes] for side in (before, after))
    yield from came_and_went(DifferenceKind.WARNING, *wished, one="missing index")


def _wish(index: MissingIndex) -> str:
    keys = ", ".join((*index.equality_columns, *index.inequality_columns))
    return f"on {index.relation} ({keys})"


def _outline(root: Operator) -> list[tuple[object, ...]]:
    return [
        (
            node.name,
            node.role,
            node.relation,
            node.index,
            node.join_type,
            node.strategy,
            node.direction,
            len(node.children),
        )
        for node in root.walk()
    ]


def _summary(old: Plan, new: Plan, changes: tuple[PlanDifference, ...]) -> str:
    cost = _cost(old, new)
    if not changes:
        return f"{NO_DIFFERENCE}{f' {cost}.' if cost else ''}"
    more = len(changes) - 1
    rest = f", and {more} more {'difference' if more == 1 else 'differences'}" if more else ""
    return f"{changes[0].text}{rest}{f'; {cost[0].lower()}{cost[1:]}' if cost else ''}."


def _cost(old: Plan, new: Plan) -> str:
    before, after = (sum(statement.estimated_cost or 0.0 for statement in plan.statements) for plan in (old, new))
    if before == after or not before or not after:
        return ""
    return f"Estimated cost {figure(before)} became {figure(after)} ({ratio_text(before, after)})"
