"""How two plans read the same tables."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference, figure, times_text
from dbplanmon_pipeline.core.plans.comparing.naming import NO_NEW_NAMES, IndexNames
from dbplanmon_pipeline.core.plans.comparing.nodes import Comparable, estimate_moved, own_conditions, rows_ratio
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator

Conditions = tuple[tuple[str, str], ...]

_CAST = re.compile(r'\(([a-z_][\w.$]*|(?:\w+\.)?"(?:[^"]|"")+")\)::([a-z][a-z ]*[a-z])')
_BESIDE = frozenset({NodeKind.LOOKUP, NodeKind.BITMAP_INDEX})


@dataclass(frozen=True, slots=True)
class Access:
    """One read of one table: the operator that delivers its rows, and the indexes it goes through.

    Attributes:
        key: equal for reads in the same way, also where an index only got another name.
    """

    operator: Operator
    indexes: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def words(self) -> str:
        """`Index Scan Backward using orders_pk`."""
        through = f" using {', '.join(self.indexes)}" if self.indexes else ""
        return f"{_name(self.operator)}{through}"


def accesses(operators: Sequence[Operator], names: IndexNames = NO_NEW_NAMES) -> dict[tuple[str, str], list[Access]]:
    """Reads by (relation, alias), in plan order."""
    found: dict[tuple[str, str], list[Access]] = {}
    for operator in operators:
        if operator.kind.reads_relation and operator.relation:
            indexes = _indexes(operator)
            key = (_name(operator), *(names.of(operator.relation, index) for index in indexes))
            found.setdefault((operator.relation, operator.alias), []).append(Access(operator, indexes, key))
    return found


def compare_access(
    old: Sequence[Operator],
    new: Sequence[Operator],
    comparable: Comparable,
    names: IndexNames,
    weights: Mapping[str, float],
) -> Iterator[PlanDifference]:
    """Access paths, indexes, conditions and row estimates, table by table.

    Args:
        old: operators of the former plan.
        new: operators of the present one, with the aliases of the former.
        comparable: form in which conditions are compared.
        names: indexes of the present plan that only have another name.
        weights: share of the cost by what is read, as `Operator.target` [0-1]; empty where the plans give no costs.
    """
    before, after = accesses(old), accesses(new, names)
    for key in dict.fromkeys([*before, *after]):
        was, now = before.get(key, []), after.get(key, [])
        target = (was or now)[0].operator.target
        yield from _table(was, now, comparable, weights.get(target, 0.0) if weights else None)


def _name(operator: Operator) -> str:
    return f"{operator.name} Backward" if operator.direction == "Backward" else operator.name


def _indexes(operator: Operator) -> tuple[str, ...]:
    if operator.index:
        return (operator.index,)
    if operator.kind != NodeKind.BITMAP_SCAN:
        return ()
    below = (part for child in operator.children for part in child.walk() if part.kind == NodeKind.BITMAP_INDEX)
    return tuple(dict.fromkeys(part.index for part in below if part.index))


def _table(
    before: list[Access], after: list[Access], comparable: Comparable, weight: float | None
) -> Iterator[PlanDifference]:
    node = (before or after)[0].operator.target
    was, now = _leftover(before, after), _leftover(after, before)
    if was and now:
        yield _changed_path(node, was, now, _newly_cast(was, now, comparable), weight)
    elif was:
        words = _words(was)
        text = f"{node}: no longer read by {words}"
        yield PlanDifference(DifferenceKind.ACCESS_PATH, node, words, "", text, weight)
    elif now:
        words = _words(now)
        text = f"{node}: now also read by {words}" if before else f"{node}: now read by {words}"
        yield PlanDifference(DifferenceKind.ACCESS_PATH, node, "", words, text, weight)
    yield from _conditions(node, before, after, comparable, weight)
    reads = [[access for access in side if access.operator.kind not in _BESIDE] for side in (before, after)]
    if len(reads[0]) == len(reads[1]) == 1:
        yield from compare_estimates(node, reads[0][0].operator, reads[1][0].operator)


def _leftover(these: list[Access], others: list[Access]) -> list[Access]:
    """Reads of `these` that `others` do not do in the same way."""
    same = Counter(access.key for access in others)
    left = []
    for access in these:
        if same[access.key]:
            same[access.key] -= 1
        else:
            left.append(access)
    return left


def _words(reads: list[Access]) -> str:
    counted = Counter(access.words for access in reads)
    return " and ".join(f"{times} times {words}" if times > 1 else words for words, times in counted.items())


def _newly_cast(was: list[Access], now: list[Access], comparable: Comparable) -> str:
    """`, whose filter casts o.id to text` where an index was searched by the plain column; empty else."""
    conditions = [
        [(name, comparable(text)) for access in side for name, text in access.operator.conditions]
        for side in (was, now)
    ]
    searched = " ".join(text for name, text in conditions[0] if name.endswith("Cond"))
    known = {cast for _, text in conditions[0] for cast in _CAST.findall(text)}
    for column, kind in (cast for name, text in conditions[1] if name == "Filter" for cast in _CAST.findall(text)):
        if (column, kind) not in known and re.search(rf"(?<![\w.]){re.escape(column)}(?![\w.])", searched):
            return f", whose filter casts {column} to {kind}"
    return ""


def _changed_path(node: str, was: list[Access], now: list[Access], reason: str, weight: float | None) -> PlanDifference:
    before, after = _words(was), _words(now)
    if [_name(access.operator) for access in was] == [_name(access.operator) for access in now]:
        left, right = (
            ", ".join(dict.fromkeys(name for access in reads for name in access.indexes)) for reads in (was, now)
        )
        if left and right and left != right:
            text = f"{node}: {was[0].operator.name} now uses {right} instead of {left}"
            return PlanDifference(DifferenceKind.INDEX, node, left, right, text, weight)
    text = f"{node}: {before} became {after}{reason}"
    return PlanDifference(DifferenceKind.ACCESS_PATH, node, before, after, text, weight)


def _conditions(
    node: str, before: list[Access], after: list[Access], comparable: Comparable, weight: float | None
) -> Iterator[PlanDifference]:
    """Conditions of reads that are still done in the same way; other values are no other condition."""
    for way in dict.fromkeys(access.key for access in before):
        was, now = ([access.operator for access in side if access.key == way] for side in (before, after))
        if len(was) == len(now):
            yield from compare_conditions(node, was, now, comparable, weight)


def compare_conditions(
    node: str,
    before: Iterable[Operator],
    after: Iterable[Operator],
    comparable: Comparable,
    weight: float | None = None,
) -> Iterator[PlanDifference]:
    """Conditions that differ between operators that do the same for a plan, in whatever order these stand."""
    was, now = _without_equals(list(before), list(after), comparable)
    for old, new in zip(was, now, strict=True):
        for name in dict.fromkeys([*old, *new]):
            left, right = old.get(name, ""), new.get(name, "")
            if left != right:
                text = f"{node}: {name} {left or 'none'} became {right or 'none'}"
                yield PlanDifference(DifferenceKind.CONDITION, node, left, right, text, weight)


def _without_equals(
    before: list[Operator], after: list[Operator], comparable: Comparable
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Conditions of those that have no equal on the other side."""
    alike = Counter(one.conditions for one in before) & Counter(one.conditions for one in after)
    left, right = (_told_conditions(side, alike, comparable) for side in (before, after))
    return [dict(one) for one in (left - right).elements()], [dict(one) for one in (right - left).elements()]


def _told_conditions(
    operators: list[Operator], alike: Counter[Conditions], comparable: Comparable
) -> Counter[Conditions]:
    """Conditions in the form to compare them in, but for those equal to the letter: masking takes time."""
    waiting = Counter(alike)
    told: Counter[Conditions] = Counter()
    for one in operators:
        if waiting[one.conditions] > 0:
            waiting[one.conditions] -= 1
        else:
            told[tuple(own_conditions(one, comparable))] += 1
    return told


def compare_estimates(node: str, before: Operator, after: Operator) -> Iterator[PlanDifference]:
    """Row estimates that are ten times higher or lower than before."""
    old, new = before.estimated_rows, after.estimated_rows
    if old is None or new is None or not estimate_moved(before, after):
        return
    text = f"{node}: estimated rows {figure(old)} became {figure(new)} ({times_text(rows_ratio(before, after))})"
    yield PlanDifference(DifferenceKind.ESTIMATE, node, figure(old), figure(new), text)
