"""How two plans join the same tables."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from dbplanmon_pipeline.core.plans.comparing.access import compare_conditions
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.plans.comparing.nodes import Comparable
from dbplanmon_pipeline.core.plans.sources import joined_inputs, outer_and_inner, source_of
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator

MOST_NAMES = 6
"""Tables named in a line; more are counted."""

LONGEST_ORDER = 300
"""Characters of a join order that are told."""

Inputs = tuple[str, ...]
"""Sources below an operator, sorted, each as often as it is read."""


@dataclass(frozen=True, slots=True)
class Join:
    """A join with the sources below its first (driving, probing) and last (driven, built) input.

    Attributes:
        weight: share of the cost with all its inputs [0-1]; None where the plan gives no costs.
    """

    operator: Operator
    outer: Inputs
    inner: Inputs
    weight: float | None

    @property
    def sources(self) -> Inputs:
        """All sources below it."""
        return tuple(sorted(self.outer + self.inner))

    @property
    def method(self) -> str:
        """`Hash Join (Left)`; a plain inner join is not called so."""
        kind = self.operator.join_type
        return f"{self.operator.name} ({kind})" if kind and kind.lower() not in ("inner", "inner join") else self.name

    @property
    def name(self) -> str:
        """The engine's name."""
        return self.operator.name


def compare_joins(old: Operator, new: Operator, comparable: Comparable) -> Iterator[PlanDifference]:
    """Join methods, join order, build sides and conditions."""
    before, after = _joins(old), _joins(new)
    lost: list[Join] = []
    fresh: list[Join] = []
    for sources in dict.fromkeys([*before, *after]):
        these, those = _alike_first(before.get(sources, []), after.get(sources, []))
        for one, other in zip(these, those, strict=False):
            yield from _same_join(one, other, comparable)
        lost.extend(these[len(those) :])
        fresh.extend(those[len(these) :])
    if not lost and not fresh:
        return
    weight = max((join.weight for join in (*lost, *fresh) if join.weight is not None), default=None)
    yield from _methods(lost, fresh, weight)
    was, now = _order(old), _order(new)
    if lost and fresh and was != now:
        text = f"join order: {was} became {now}"
        yield PlanDifference(DifferenceKind.JOIN_ORDER, "", was, now, text, weight)


def _alike_first(before: list[Join], after: list[Join]) -> tuple[list[Join], list[Join]]:
    """Joins of the same reads in an order in which those that also work alike stand at the same place, in front."""
    if len(before) <= 1 and len(after) <= 1:
        return before, after
    ways = (Counter((join.method, join.outer) for join in side) for side in (before, after))
    both = Counter.__and__(*ways)
    was, now = (_by_way(side, Counter(both)) for side in (before, after))
    return was, now


def _by_way(joins: list[Join], wanted: Counter[tuple[str, Inputs]]) -> list[Join]:
    first: list[tuple[tuple[str, Inputs], Join]] = []
    rest: list[Join] = []
    for join in joins:
        way = (join.method, join.outer)
        if wanted[way] > 0:
            wanted[way] -= 1
            first.append((way, join))
        else:
            rest.append(join)
    return [*(join for _, join in sorted(first, key=lambda one: one[0])), *rest]


def _joins(root: Operator) -> dict[Inputs, list[Join]]:
    """Joins of at least two reads by what they read, the topmost first."""
    below = _sources_below(root)
    found: dict[Inputs, list[Join]] = {}
    for operator in root.walk():
        if operator.kind.is_join and len(operator.children) >= 2:
            outer, inner = (below[id(one)] for one in outer_and_inner(operator))
            join = Join(operator, outer, inner, _share(operator, root))
            if outer and inner:
                found.setdefault(join.sources, []).append(join)
    return found


def _share(operator: Operator, root: Operator) -> float | None:
    if not root.estimated_cost or operator.estimated_cost is None:
        return None
    return min(1.0, max(0.0, operator.estimated_cost / root.estimated_cost))


def _sources_below(root: Operator) -> dict[int, Inputs]:
    """Sources of each operator of the tree by its `id`, inputs first."""
    found: dict[int, Inputs] = {}
    for operator in reversed(list(root.walk())):
        parts = [found[id(child)] for child in operator.children]
        own = source_of(operator)
        if own:
            parts.append((own,))
        found[id(operator)] = parts[0] if len(parts) == 1 else tuple(sorted(name for part in parts for name in part))
    return found


def _same_join(before: Join, after: Join, comparable: Comparable) -> Iterator[PlanDifference]:
    node, weight = _together(before.sources), _larger(before.weight, after.weight)
    if before.method != after.method:
        text = f"join of {node}: {before.method} became {after.method}"
        yield PlanDifference(DifferenceKind.JOIN_TYPE, node, before.method, after.method, text, weight)
    if before.name != after.name:
        return
    if before.inner == after.inner:
        yield from compare_conditions(f"join of {node}", [before.operator], [after.operator], comparable, weight)
    elif after.operator.kind == NodeKind.HASH_JOIN:
        was, now = _listed(before.inner), _listed(after.inner)
        text = f"join of {node}: the hash table is built from {now} instead of {was}"
        yield PlanDifference(DifferenceKind.BUILD_SIDE, node, was, now, text, weight)
    else:
        was, now = _listed(before.outer), _listed(after.outer)
        text = f"join of {node}: driven by {now} instead of {was}"
        yield PlanDifference(DifferenceKind.JOIN_ORDER, node, was, now, text, weight)


def _larger(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _together(sources: Inputs) -> str:
    """`a and b`, `a, b and 2 more`."""
    names = _names(sources)
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _listed(sources: Inputs) -> str:
    return ", ".join(_names(sources))


def _names(sources: Inputs) -> list[str]:
    more = len(sources) - MOST_NAMES
    return [*sources[:MOST_NAMES], *([f"{more} more"] if more > 0 else [])]


def _methods(lost: list[Join], fresh: list[Join], weight: float | None) -> Iterator[PlanDifference]:
    """Methods of joins that have no partner in the other plan, counted."""
    was, now = _counted(lost), _counted(fresh)
    if was != now:
        text = f"join methods: {was or 'none'} became {now or 'none'}"
        yield PlanDifference(DifferenceKind.JOIN_TYPE, "", was, now, text, weight)


def _counted(joins: list[Join]) -> str:
    counts = Counter(join.method for join in joins)
    return ", ".join(f"{number} {method}" for method, number in sorted(counts.items()))


def _order(root: Operator) -> str:
    """Sources in the order in which joins take them up, joined inputs in brackets."""
    words: dict[int, str] = {}
    for operator in reversed(list(root.walk())):
        inputs = [words[id(child)] for child in joined_inputs(operator) if words[id(child)]]
        text = source_of(operator) or " ".join(inputs)
        words[id(operator)] = f"({text})" if operator.kind.is_join and len(inputs) > 1 else text
    order = words[id(root)].removeprefix("(").removesuffix(")")
    return order if len(order) <= LONGEST_ORDER else f"{order[:LONGEST_ORDER]} ..."
