"""How two plans join the same tables."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dbplanmon_pipeline.core.plans.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator

_NO_SOURCE = frozenset({NodeKind.BITMAP_INDEX, NodeKind.LOOKUP})
_SOURCES = frozenset({NodeKind.CTE_SCAN, NodeKind.FUNCTION_SCAN, NodeKind.CONSTANT})

Inputs = frozenset[str]


@dataclass(frozen=True, slots=True)
class Join:
    """A join with the sources below its first (driving, probing) and last (driven, built) input."""

    operator: Operator
    outer: Inputs
    inner: Inputs

    @property
    def sources(self) -> Inputs:
        """All sources below it."""
        return self.outer | self.inner

    @property
    def method(self) -> str:
        """`Hash Join (Left)`; a plain inner join is not called so."""
        kind = self.operator.join_type
        return f"{self.operator.name} ({kind})" if kind and kind.lower() not in ("inner", "inner join") else self.name

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.operator.name


def compare_joins(old: Operator, new: Operator) -> Iterator[PlanDifference]:
    """Join methods, join order and build sides."""
    before, after = _joins(old), _joins(new)
    for sources in before:
        if sources in after:
            yield from _same_join(before[sources], after[sources])
    lost = [join for sources, join in before.items() if sources not in after]
    fresh = [join for sources, join in after.items() if sources not in before]
    if not lost and not fresh:
        return
    yield from _methods(lost, fresh)
    was, now = _order(old), _order(new)
    if lost and fresh and was != now:
        text = f"join order: {was} became {now}"
        yield PlanDifference(DifferenceKind.JOIN_ORDER, "", was, now, text)


def _joins(root: Operator) -> dict[Inputs, Join]:
    """Joins of at least two sources by those sources, the topmost first."""
    below = _sources_below(root)
    found: dict[Inputs, Join] = {}
    for operator in root.walk():
        if operator.kind.is_join and len(operator.children) >= 2:
            inputs = _inputs(operator)
            outer, inner = (inputs[-1], inputs[0]) if inputs[0].role == "Build" else (inputs[0], inputs[-1])
            join = Join(operator, below[id(outer)], below[id(inner)])
            if join.outer and join.inner and len(join.sources) > 1:
                found.setdefault(join.sources, join)
    return found


def _inputs(operator: Operator) -> tuple[Operator, ...]:
    """Inputs without init plans and subplans, which only deliver values."""
    return tuple(child for child in operator.children if child.role not in ("InitPlan", "SubPlan")) or operator.children


def _sources_below(root: Operator) -> dict[int, Inputs]:
    """Sources of each operator of the tree by its `id`, inputs first."""
    found: dict[int, Inputs] = {}
    for operator in reversed(list(root.walk())):
        below = [found[id(child)] for child in operator.children]
        found[id(operator)] = frozenset().union(_source(operator), *below)
    return found


def _source(operator: Operator) -> Inputs:
    name = operator.alias or operator.relation
    reads = (operator.kind.reads_relation and operator.kind not in _NO_SOURCE) or operator.kind in _SOURCES
    return frozenset({name}) if reads and name else frozenset()


def _same_join(before: Join, after: Join) -> Iterator[PlanDifference]:
    node = " and ".join(sorted(before.sources))
    if before.method != after.method:
        text = f"join of {node}: {before.method} became {after.method}"
        yield PlanDifference(DifferenceKind.JOIN_TYPE, node, before.method, after.method, text)
    if before.name != after.name or before.inner == after.inner:
        return
    was, now = _listed(before.inner), _listed(after.inner)
    if after.operator.kind == NodeKind.HASH_JOIN:
        text = f"join of {node}: the hash table is built from {now} instead of {was}"
        yield PlanDifference(DifferenceKind.BUILD_SIDE, node, was, now, text)
    else:
        was, now = _listed(before.outer), _listed(after.outer)
        text = f"join of {node}: driven by {now} instead of {was}"
        yield PlanDifference(DifferenceKind.JOIN_ORDER, node, was, now, text)


def _listed(sources: Inputs) -> str:
    return ", ".join(sorted(sources))


def _methods(lost: list[Join], fresh: list[Join]) -> Iterator[PlanDifference]:
    """Methods of joins that have no partner in the other plan, counted."""
    was, now = _counted(lost), _counted(fresh)
    if was != now:
        text = f"join methods: {was or 'none'} became {now or 'none'}"
        yield PlanDifference(DifferenceKind.JOIN_TYPE, "", was, now, text)


def _counted(joins: list[Join]) -> str:
    counts = Counter(join.method for join in joins)
    return ", ".join(f"{number} {method}" for method, number in sorted(counts.items()))


def _order(root: Operator) -> str:
    """Sources in the order in which joins take them up, joined inputs in brackets."""
    words: dict[int, str] = {}
    for operator in reversed(list(root.walk())):
        inputs = [words[id(child)] for child in _inputs(operator) if words[id(child)]]
        own = _source(operator)
        text = next(iter(own)) if own else " ".join(inputs)
        words[id(operator)] = f"({text})" if operator.kind.is_join and len(inputs) > 1 else text
    return words[id(root)].removeprefix("(").removesuffix(")")
