"""How two plans read the same tables."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.core.plans.differences import DifferenceKind, PlanDifference, figure, ratio_text
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator

ESTIMATE_RATIO = 10.0
"""Row estimates that differ by less are no news."""


@dataclass(frozen=True, slots=True)
class Access:
    """One read of one table: the operator that delivers its rows, and the indexes it goes through."""

    operator: Operator
    indexes: tuple[str, ...]

    @property
    def words(self) -> str:
        """`Index Scan Backward using orders_pk`."""
        backward = " Backward" if self.operator.direction == "Backward" else ""
        through = f" using {', '.join(self.indexes)}" if self.indexes else ""
        return f"{self.operator.name}{backward}{through}"


def accesses(operators: Sequence[Operator]) -> dict[tuple[str, str], list[Access]]:
    """Reads by (relation, alias), in plan order."""
    found: dict[tuple[str, str], list[Access]] = {}
    for operator in operators:
        if operator.kind.reads_relation and operator.relation:
            found.setdefault((operator.relation, operator.alias), []).append(Access(operator, _indexes(operator)))
    return found


Comparable = Callable[[str], str]
"""Brings an expression of a plan into the form in which two are equal that mean the same, without its values."""


def compare_access(
    old: Sequence[Operator], new: Sequence[Operator], comparable: Comparable
) -> Iterator[PlanDifference]:
    """Access paths, indexes, conditions and row estimates, table by table."""
    before, after = accesses(old), accesses(new)
    _match_renamed(before, after)
    for key in dict.fromkeys([*before, *after]):
        yield from _table(before.get(key, []), after.get(key, []), comparable)


def _indexes(operator: Operator) -> tuple[str, ...]:
    if operator.index:
        return (operator.index,)
    if operator.kind != NodeKind.BITMAP_SCAN:
        return ()
    below = (part for child in operator.children for part in child.walk() if part.kind == NodeKind.BITMAP_INDEX)
    return tuple(dict.fromkeys(part.index for part in below if part.index))


def _match_renamed(before: dict[tuple[str, str], list[Access]], after: dict[tuple[str, str], list[Access]]) -> None:
    """Give a table its old alias where only the alias differs and there is no doubt which one it was."""
    lost = [key for key in before if key not in after]
    for key in lost:
        candidates = [other for other in after if other not in before and other[0] == key[0]]
        if len(candidates) == 1 and sum(other[0] == key[0] for other in lost) == 1:
            after[key] = after.pop(candidates[0])


def _table(before: list[Access], after: list[Access], comparable: Comparable) -> Iterator[PlanDifference]:
    node = (before or after)[0].operator.target
    was, now = _leftover(before, after), _leftover(after, before)
    if was and now:
        yield _changed_path(node, was, now)
    elif was:
        words = _words(was)
        yield PlanDifference(DifferenceKind.ACCESS_PATH, node, words, "", f"{node}: no longer read by {words}")
    elif now:
        words = _words(now)
        yield PlanDifference(DifferenceKind.ACCESS_PATH, node, "", words, f"{node}: now also read by {words}")
    if len(before) == len(after) == 1:
        yield from _conditions(node, before[0], after[0], comparable)
        yield from compare_estimates(node, before[0].operator, after[0].operator)


def _leftover(these: list[Access], others: list[Access]) -> list[Access]:
    """Reads of `these` that `others` do not do in the same way."""
    same = Counter(access.words for access in others)
    left = []
    for access in these:
        if same[access.words]:
            same[access.words] -= 1
        else:
            left.append(access)
    return left


def _words(reads: list[Access]) -> str:
    return " and ".join(access.words for access in reads)


def _changed_path(node: str, was: list[Access], now: list[Access]) -> PlanDifference:
    before, after = _words(was), _words(now)
    if [access.operator.name for access in was] == [access.operator.name for access in now]:
        left, right = (", ".join(name for access in reads for name in access.indexes) for reads in (was, now))
        if left and right and left != right:
            text = f"{node}: {was[0].operator.name} now uses {right} instead of {left}"
            return PlanDifference(DifferenceKind.INDEX, node, left, right, text)
    return PlanDifference(DifferenceKind.ACCESS_PATH, node, before, after, f"{node}: {before} became {after}")


def _conditions(node: str, before: Access, after: Access, comparable: Comparable) -> Iterator[PlanDifference]:
    """Conditions of a table that is still read in the same way; other values are no other condition."""
    if before.words != after.words:
        return
    was, now = (dict(access.operator.conditions) for access in (before, after))
    for name in dict.fromkeys([*was, *now]):
        old, new = comparable(was.get(name, "")), comparable(now.get(name, ""))
        if old != new:
            text = f"{node}: {name} {old or 'none'} became {new or 'none'}"
            yield PlanDifference(DifferenceKind.CONDITION, node, old, new, text)


def compare_estimates(node: str, before: Operator, after: Operator) -> Iterator[PlanDifference]:
    """Row estimates that are ten times higher or lower than before."""
    old, new = before.estimated_rows, after.estimated_rows
    if old is None or new is None:
        return
    was, now = max(old, 1.0), max(new, 1.0)
    low, high = sorted((was, now))
    if high >= ESTIMATE_RATIO * low:
        text = f"{node}: estimated rows {figure(old)} became {figure(new)} ({ratio_text(was, now)})"
        yield PlanDifference(DifferenceKind.ESTIMATE, node, figure(old), figure(new), text)
