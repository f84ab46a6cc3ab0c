"""How many partitions of a table two PostgreSQL plans read: a plan that no longer leaves any out reads them all."""

import re
from collections.abc import Iterator
from dataclasses import replace

from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.plans.comparing.naming import rebuilt
from dbplanmon_pipeline.core.plans.postgres.partitions import ANY, PARTITIONS, index_of_table
from dbplanmon_pipeline.core.plans.tree import Operator, PlanStatement

WORTH_TIMES = 2
"""A new partition now and then is no news."""


def with_partitions_alike(before: PlanStatement, after: PlanStatement) -> tuple[PlanStatement, PlanStatement]:
    """Both statements, the only partition that one reads named as the several ones that the other reads together."""
    return _named_as_all(before, after), _named_as_all(after, before)


def compare_partitions(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """Tables of which far more or fewer partitions are read."""
    was, now = _read(before), _read(after)
    for target, (count, weight) in now.items():
        former, former_weight = was.get(target, (0, 0.0))
        if former and max(former, count) >= WORTH_TIMES * min(former, count):
            left, right = (f"{one} partition{'s' if one > 1 else ''}" for one in (former, count))
            text = f"{target}: {right} {'are' if count > 1 else 'is'} read, before {former}"
            yield PlanDifference(DifferenceKind.ACCESS_PATH, target, left, right, text, max(weight, former_weight))


def _named_as_all(statement: PlanStatement, other: PlanStatement) -> PlanStatement:
    of_all = {(one.schema, one.alias): one.relation for one in other.operators() if PARTITIONS in one.attributes}
    if not of_all:
        return statement

    def named(operator: Operator) -> Operator:
        relation = of_all.get((operator.schema, operator.alias), "")
        if PARTITIONS in operator.attributes or not _is_one_of(operator.relation, relation):
            return operator
        index = index_of_table(operator.index, operator.relation)
        return replace(operator, relation=relation, index=index, attributes={**operator.attributes, PARTITIONS: 1})

    return rebuilt(statement, named)


def _is_one_of(relation: str, names: str) -> bool:
    return bool(relation) and re.fullmatch(".+".join(map(re.escape, names.split(ANY))), relation) is not None


def _read(statement: PlanStatement) -> dict[str, tuple[int, float]]:
    """Partitions of each table, and their share of the estimated cost."""
    whole = (statement.root.estimated_cost if statement.root else None) or 0.0
    found: dict[str, tuple[int, float]] = {}
    for operator in statement.operators():
        if PARTITIONS in operator.attributes and operator.relation:
            count, share = found.get(operator.target, (0, 0.0))
            own = min(1.0, (operator.estimated_cost or 0.0) / whole) if whole else 0.0
            found[operator.target] = max(count, int(operator.attributes[PARTITIONS])), max(share, own)
    return found
