"""What changed between two plans of one statement, in the words of a DBA."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.access import compare_access, compare_estimates
from dbplanmon_pipeline.core.plans.comparing.compilation import compare_compilation
from dbplanmon_pipeline.core.plans.comparing.context import context_changes
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDiff, PlanDifference, ordered
from dbplanmon_pipeline.core.plans.comparing.joins import compare_joins
from dbplanmon_pipeline.core.plans.comparing.naming import NO_NEW_NAMES, IndexNames, index_names, with_former_names
from dbplanmon_pipeline.core.plans.comparing.nodes import Comparable, comparable_of
from dbplanmon_pipeline.core.plans.comparing.operators import (
    compare_functions,
    compare_operators,
    compare_table_variables,
)
from dbplanmon_pipeline.core.plans.comparing.pairing import statement_pairs
from dbplanmon_pipeline.core.plans.comparing.parameters import compare_parameters
from dbplanmon_pipeline.core.plans.comparing.partition_counts import compare_partitions, with_partitions_alike
from dbplanmon_pipeline.core.plans.comparing.settings import compare_settings
from dbplanmon_pipeline.core.plans.comparing.summary import NO_DIFFERENCE, summarise
from dbplanmon_pipeline.core.plans.comparing.warnings import compare_warnings
from dbplanmon_pipeline.core.plans.comparing.work import compare_work, target_weights
from dbplanmon_pipeline.core.plans.findings.model import Finding
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, Plan, PlanStatement, same_statement

__all__ = ["NO_DIFFERENCE", "DifferenceKind", "PlanDiff", "PlanDifference", "context_changes", "diff_plans"]


def diff_plans(old: Plan, new: Plan, *, fresh: Sequence[Finding] = (), stayed: Sequence[Finding] = ()) -> PlanDiff:
    """Compare two plans of one statement, or two plan files statement by statement.

    Operators are compared by what they do: reads by table and alias, joins by the tables below them. Costs and rows
    count only where they moved tenfold. Names that the server makes up are no difference.

    Args:
        old: the former plan.
        new: the present one, of the same engine.
        fresh: findings that only the present plan has, as `compared_findings` gives them, for the summary.
        stayed: findings that both have, likewise.
    """
    return summarise(old, new, ordered(_changes(old, new)), fresh, stayed)


def _changes(old: Plan, new: Plan) -> Iterator[PlanDifference]:
    several = min(sum(1 for one in plan.statements if one.trees) for plan in (old, new)) > 1
    costs = [sum(one.estimated_cost or 0.0 for one in plan.statements) for plan in (old, new)]
    for was, now in statement_pairs(old, new):
        before = None if was is None else old.statements[was]
        after = None if now is None else new.statements[now]
        number = now if now is not None else was or 0
        share = max(map(_share, (before, after), costs)) if several else 1.0
        for change in _statement(old.engine, before, after):
            weight = None if change.weight is None else change.weight * share
            text = f"statement {number + 1}: {change.text}" if several else change.text
            yield replace(change, text=text, weight=weight, statement=number)


def _share(statement: PlanStatement | None, total: float) -> float:
    """Part of the cost of a file that a statement bears [0-1]; all of it where no costs are told."""
    if statement is None:
        return 0.0
    return (statement.estimated_cost or 0.0) / total if total > 0 else 1.0


def _statement(engine: Engine, before: PlanStatement | None, after: PlanStatement | None) -> Iterator[PlanDifference]:
    if before is None or after is None or before.root is None or after.root is None:
        yield from _lonely(before, after)
        return
    if same_statement(before, after):
        return
    before, after = with_partitions_alike(*with_former_names(before, after))
    comparable, names = comparable_of(engine), index_names(before, after)
    changes = [*compare_table_variables(before, after), *compare_partitions(before, after)]
    changes += [
        change
        for old, new in zip(before.trees, after.trees, strict=False)
        for change in _trees(engine, old, new, comparable, names)
    ]
    changes += compare_functions(before, after)
    changes += _parallelism(engine, before, after)
    changes += compare_warnings(before, after, comparable)
    yield from changes
    yield from compare_parameters(engine, before, after)
    yield from compare_compilation(before, after)
    yield from compare_settings(before, after, alike=not changes)
    if not changes and _outlines(before) != _outlines(after, names):
        text = "the same operators over the same tables, arranged differently"
        yield PlanDifference(DifferenceKind.OPERATOR, "", "", "", text)


def _lonely(before: PlanStatement | None, after: PlanStatement | None) -> Iterator[PlanDifference]:
    """A statement that only one of the plans has, or has a tree for."""
    was, now = ("plan" if side and side.root else "" for side in (before, after))
    if was != now:
        kind = next(side.kind for side in (before, after) if side) or "statement"
        text = f"{kind}: {'has a plan only now' if now else 'no longer has a plan'}"
        yield PlanDifference(DifferenceKind.STATEMENT, kind, was, now, text)


def _trees(
    engine: Engine, old: Operator, new: Operator, comparable: Comparable, names: IndexNames
) -> Iterator[PlanDifference]:
    before, after = list(old.walk()), list(new.walk())
    reads = list(compare_access(before, after, comparable, names, target_weights(engine, old, new)))
    yield from reads
    yield from compare_joins(old, new, comparable)
    yield from compare_operators(before, after, comparable)
    if not (old.kind.reads_relation and new.kind.reads_relation):
        # The same figures at the only table that made the result so large are told there.
        told = {(one.before, one.after) for one in reads if one.kind is DifferenceKind.ESTIMATE}
        yield from (one for one in compare_estimates("result", old, new) if (one.before, one.after) not in told)
    yield from compare_work(engine, old, new)


def _parallelism(engine: Engine, before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    was, now = _workers(before), _workers(after)
    if was != now:
        alone = "serial" if engine == Engine.SQLSERVER else "one process"
        reason = "" if now else str(after.attributes.get("NonParallelPlanReason", ""))
        why = f", because {reason}" if reason else ""
        text = f"parallelism: {was or alone} became {now or alone}{why}"
        yield PlanDifference(DifferenceKind.PARALLELISM, "", was, now, text)
    elif was:
        left, right = (str(side.attributes.get("DegreeOfParallelism", "")) for side in (before, after))
        # Plans that were not run have none, or 0.
        if left not in ("", "0", right) and right not in ("", "0"):
            text = f"parallelism: degree {left} became {right}"
            yield PlanDifference(DifferenceKind.PARALLELISM, "", left, right, text)


def _workers(statement: PlanStatement) -> str:
    """`parallel`, with the workers planned where the plan names them; empty for a serial plan."""
    operators = list(statement.operators())
    if not any(operator.parallel or operator.kind == NodeKind.EXCHANGE for operator in operators):
        return ""
    planned = [operator.attributes.get("Workers Planned") for operator in operators]
    workers = sum(number for number in planned if isinstance(number, int))
    if not workers:
        return "parallel"
    return "parallel with 1 worker" if workers == 1 else f"parallel with {workers} workers"


def _outlines(statement: PlanStatement, names: IndexNames = NO_NEW_NAMES) -> list[tuple[object, ...]]:
    return [
        (
            node.name,
            node.role,
            node.relation,
            names.of(node.relation, node.index),
            node.join_type,
            node.strategy,
            node.direction,
            len(node.children),
        )
        for node in statement.operators()
    ]
