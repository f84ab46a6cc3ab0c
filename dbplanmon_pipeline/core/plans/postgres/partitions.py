"""Partitions of one table that a PostgreSQL plan reads alike, as one operator: what people mean by the table.

A plan of a table with 200 partitions has 200 scans that differ in a number within a name. Each costs next to nothing,
one more comes every night, and the whole of them is what is slow.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, Plan, PlanStatement

PARTITIONS = "Partitions"
"""Attribute of an operator that stands for several: of how many partitions it is."""

ANY = "*"
"""Stands for the part of a name that differs between partitions."""

_NUMBERED = re.compile(r"(.+)_\d+", re.DOTALL)
_QUALIFIER = re.compile(r'_\d+(?="?\.)')
_DIGITS = re.compile(r"\d+")
_CHUNK = re.compile(r"_hyper_\d+_\d+_chunk")
_BY_WORKER = frozenset({"Workers"})


def alias_of_table(relation: str, alias: str) -> str:
    """The alias that a statement gives to the table a partition is of; empty where nothing says that it is one.

    PostgreSQL numbers the alias of each partition (`orders_17 o_3`), TimescaleDB names chunks by numbers.
    """
    if _CHUNK.fullmatch(relation):
        return ANY
    numbered = _NUMBERED.fullmatch(alias)
    return numbered.group(1) if numbered and relation and relation != alias else ""


def index_of_table(index: str, relation: str) -> str:
    """The name of an index without what names the partition: `*_tenant_idx` of `orders_17_tenant_idx`."""
    own = ANY + index.removeprefix(relation) if relation and index.startswith(relation) else index
    return _DIGITS.sub(ANY, own)


def gathered(plan: Plan) -> Plan:
    """The plan with one operator for all partitions of a table that are read alike; the very same plan without such.

    Costs, rows and times of the operator are those of all its partitions together, its conditions those of the table,
    and `attributes["Partitions"]` is their number. Names hold `*` for what differs.
    """
    if plan.engine is not Engine.POSTGRES or not any(map(_may_gather, plan.operators())):
        return plan
    return replace(plan, statements=tuple(map(_gathered_statement, plan.statements)))


def _gathered_statement(statement: PlanStatement) -> PlanStatement:
    return replace(
        statement,
        root=_gathered_tree(statement.root) if statement.root else None,
        further=tuple(map(_gathered_tree, statement.further)),
    )


def _may_gather(operator: Operator) -> bool:
    return operator.kind is NodeKind.APPEND and len(operator.children) > 1


def _gathered_tree(root: Operator) -> Operator:
    """Inputs before what they feed, so that no depth is too deep, and each operator is looked at once."""
    done: dict[int, Operator] = {}
    keys = _Keys()
    for operator in reversed(list(root.walk())):
        children = tuple(done[id(child)] for child in operator.children)
        if _may_gather(operator):
            children = _together(children, keys)
        done[id(operator)] = operator if not children else replace(operator, children=children)
        keys.add(done[id(operator)])
    return done[id(root)]


class _Keys:
    """Equal numbers for trees that do the same to partitions of the same tables."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[object, ...], int] = {}
        self._of: dict[int, tuple[Operator, int]] = {}

    def of(self, root: Operator) -> int:
        """The number of a tree that was added."""
        return self._of[id(root)][1]

    def add(self, operator: Operator) -> None:
        """Number a tree whose inputs were added."""
        table = alias_of_table(operator.relation, operator.alias)
        said = (
            *(operator.name, operator.role, operator.join_type, operator.strategy, operator.direction),
            *(operator.parallel, operator.schema, table or (operator.relation, operator.alias), bool(operator.index)),
            tuple((name, _of_table(text)) for name, text in operator.conditions),
            tuple(map(self.of, operator.children)),
        )
        # The operator is kept, so that no other one gets its id.
        self._of[id(operator)] = operator, self._numbers.setdefault(said, len(self._numbers))


def _together(children: Sequence[Operator], keys: _Keys) -> tuple[Operator, ...]:
    """Children with those that read partitions alike as one, at the place of the first."""
    told = [(child, keys.of(child)) for child in children]
    alike: dict[int, list[Operator]] = defaultdict(list)
    for child, key in told:
        alike[key].append(child)
    merged = {key: _one(group) for key, group in alike.items() if _are_partitions(group)}
    for one in merged.values():
        for operator in reversed(list(one.walk())):
            keys.add(operator)
    return tuple(merged.get(key, one) for one, key in told if key not in merged or one is alike[key][0])


def _are_partitions(group: Sequence[Operator]) -> bool:
    """True for several trees that read different partitions: the same table twice is a query that asks twice."""
    if len(group) < 2:
        return False
    tables = [tuple(node.relation for node in child.walk() if node.relation) for child in group]
    has_table = any(alias_of_table(node.relation, node.alias) for node in group[0].walk())
    return has_table and len(set(tables)) == len(tables)


def _one(group: Sequence[Operator]) -> Operator:
    """One tree for several of equal form; figures are sums, as an append reads one after the other."""
    walks = [list(child.walk()) for child in group]
    done: dict[int, Operator] = {}
    for same in reversed(list(zip(*walks, strict=True))):
        first = same[0]
        children = tuple(done[id(child)] for child in first.children)
        done[id(first)] = replace(_summed(same), children=children)
    return done[id(group[0])]


def _summed(same: Sequence[Operator]) -> Operator:
    first = same[0]
    table = alias_of_table(first.relation, first.alias)
    relation = _name_of_all([one.relation for one in same]) if table else first.relation
    return replace(
        first,
        relation=relation,
        alias=("" if table == ANY else table) if table else first.alias,
        index=_name_of_all([one.index for one in same]),
        conditions=tuple((name, _of_table(text)) for name, text in first.conditions),
        estimated_rows=_sum(one.estimated_rows for one in same),
        estimated_cost=_sum(one.estimated_cost for one in same),
        startup_cost=_least(one.startup_cost for one in same),
        actual_rows=_sum(one.actual_rows for one in same),
        actual_loops=_most(one.actual_loops for one in same),
        actual_ms=_sum(one.actual_ms for one in same),
        actual_rows_read=_sum(one.actual_rows_read for one in same),
        rows_by_worker=(),
        attributes={**_attributes(same), PARTITIONS: sum(one.attributes.get(PARTITIONS, 1) for one in same)},
    )


def _name_of_all(names: Sequence[str]) -> str:
    """`orders_*` for `orders_1` and `orders_2`, for `orders_eu` and `orders_us`; a name that all have is kept."""
    if len(set(names)) == 1:
        return names[0]
    masked = {_DIGITS.sub(ANY, name) for name in names}
    if len(masked) == 1:
        return masked.pop()
    start = _shared_start(masked)
    end = _shared_start({name[len(start) :][::-1] for name in masked})[::-1]
    return f"{start.rstrip(ANY)}{ANY}{end.lstrip(ANY)}"


def _shared_start(names: set[str]) -> str:
    first, last = min(names), max(names)
    same = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), len(first))
    return first[:same]


def _of_table(expression: str) -> str:
    """`o.id = $1` for `o_17.id = $1`."""
    return _CHUNK.sub(lambda found: _DIGITS.sub(ANY, found.group()), _QUALIFIER.sub("", expression))


def _attributes(same: Sequence[Operator]) -> Mapping[str, Any]:
    """Figures as sums, and what all say alike."""
    told = {name: [one.attributes.get(name) for one in same] for name in same[0].attributes if name not in _BY_WORKER}
    found = {}
    for name, values in told.items():
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            found[name] = sum(value for value in values if value is not None)
        elif all(value == values[0] for value in values):
            found[name] = values[0]
    return found


def _sum(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return sum(known) if known else None


def _least(figures: Iterable[float | None]) -> float | None:
    return min((figure for figure in figures if figure is not None), default=None)


def _most(figures: Iterable[float | None]) -> float | None:
    return max((figure for figure in figures if figure is not None), default=None)
