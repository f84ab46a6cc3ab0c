"""For which values two plans were made."""

import re
from collections.abc import Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference, figure
from dbplanmon_pipeline.core.plans.comparing.nodes import estimate_moved
from dbplanmon_pipeline.core.plans.postgres.expressions import has_parameters
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, PlanStatement
from dbplanmon_pipeline.core.statements.postgres import MASK, mask_postgres_literals

SAME_SIZE = 2.0
"""A table that grew or shrank by less explains no estimate that moved tenfold."""

_VALUES = ("Seek Predicate", "Predicate", "Filter", "Index Cond", "Recheck Cond")


def compare_parameters(engine: Engine, before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """Parameters that the plans were compiled for, as far as told or shown by the estimates; never a value."""
    if engine == Engine.POSTGRES:
        yield from _generic(before, after)
        return
    told = list(_compiled(before, after))
    yield from told
    if not any(one.node for one in told):
        yield from _shown_by_estimates(before, after)


def _compiled(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    was, now = ({one.name: one.compiled_value for one in side.parameters} for side in (before, after))
    for name in (one for one in now if one in was):
        if MASK in (was[name], now[name]) and was[name] and now[name]:
            continue
        if was[name] and now[name] and was[name] != now[name]:
            text = f"compiled for another value of {name}"
            yield PlanDifference(DifferenceKind.PARAMETER, name, "one value", "another value", text)
        elif bool(was[name]) != bool(now[name]):
            left, right = ("one value" if side[name] else "any value" for side in (was, now))
            text = f"compiled for {right} of {name}, before for {left}"
            yield PlanDifference(DifferenceKind.PARAMETER, name, left, right, text)


def _shown_by_estimates(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """The same parameter in the conditions of the same table, which is no larger, and ten times more or fewer rows."""
    names = [one.name for one in after.parameters]
    was, now = _reads(before.operators()), _reads(after.operators())
    for target, new in now.items():
        old = was.get(target)
        if old is None or not estimate_moved(old, new) or not _as_large(old, new):
            continue
        used = [name for name in names if _uses(old, name) and _uses(new, name)]
        if used:
            left, right = figure(old.estimated_rows or 0.0), figure(new.estimated_rows or 0.0)
            text = (
                f"{target}: {', '.join(used)} was expected to select {left} rows and now {right}, of a table that is "
                "no larger or smaller: compiled for another value, or with other statistics"
            )
            yield PlanDifference(DifferenceKind.PARAMETER, target, left, right, text)


def _reads(operators: Iterator[Operator]) -> dict[str, Operator]:
    """Reads by table, of tables that are read once."""
    found: dict[str, list[Operator]] = {}
    for one in operators:
        if one.kind.reads_relation and one.relation and one.kind not in (NodeKind.LOOKUP, NodeKind.BITMAP_INDEX):
            found.setdefault(one.target, []).append(one)
    return {target: reads[0] for target, reads in found.items() if len(reads) == 1}


def _uses(operator: Operator, name: str) -> bool:
    return any(
        re.search(rf"{re.escape(name)}(?![\w$#])", text) for label, text in operator.conditions if label in _VALUES
    )


def _as_large(before: Operator, after: Operator) -> bool:
    was, now = (figure_of(str(one.attributes.get("TableCardinality") or "")) for one in (before, after))
    return was is not None and now is not None and max(was, now, 1.0) <= SAME_SIZE * max(min(was, now), 1.0)


def _generic(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """A generic plan leaves parameters open where a custom one has their values."""
    was, now = _made_for(before), _made_for(after)
    if was and now and was != now:
        text = f"made for {now} of the parameters, before for {was}"
        yield PlanDifference(DifferenceKind.PARAMETER, "", was, now, text)


def _made_for(statement: PlanStatement) -> str:
    """`any value` or `one value`; empty where the conditions do not tell."""
    operators = list(statement.operators())
    if any(one.role == "InitPlan" or "Subplan Name" in one.attributes for one in operators):
        # What a subplan returns is written like a parameter.
        return ""
    reads = (one for one in operators if one.kind.reads_relation)
    conditions = [text for one in reads for label, text in one.conditions if label in _VALUES]
    if any(map(has_parameters, conditions)):
        return "any value"
    return "one value" if any(MASK in mask_postgres_literals(text) for text in conditions) else ""
