"""Which operator of one plan is which of another: a mapping of nodes, made by what they do and not by where they stand.

A tree edit distance proper takes the product of both sizes, and finds the cheapest edit rather than the same role. Here
each pass is linear: equal subtrees, the largest first; then equal roles (reads by table and alias, everything else by
kind and the tables below it); then what is left below operators that belong together.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.naming import NO_NEW_NAMES, IndexNames, index_names, with_former_names
from dbplanmon_pipeline.core.plans.comparing.nodes import node_changes
from dbplanmon_pipeline.core.plans.comparing.pairing import statement_pairs
from dbplanmon_pipeline.core.plans.comparing.partition_counts import with_partitions_alike
from dbplanmon_pipeline.core.plans.sources import source_of
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, Plan, PlanStatement

_BITS_OF_A_COUNT = 16
_TELLING_SIZE = 4
"""Subtrees that read nothing are alike everywhere; from this size on they are matched by themselves."""


_NONE = PlanStatement(None)


class NodeChange(StrEnum):
    """What became of an operator."""

    SAME = "same"
    CHANGED = "changed"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class NodeMatch:
    """One operator in two plans of a statement.

    Attributes:
        change: what became of it.
        old / new: its number in the statement, in plan order from 0, further trees behind; None where it is not there.
        what: the changes in few words (`index a became b`, `rows 1 became 50`), the most telling first.
    """

    change: NodeChange
    old: int | None
    new: int | None
    what: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementMatch:
    """One statement in two plans: its places from 0, None where it is not there, and its operators.

    Operators stand in the order of the new plan, those that are gone behind.
    """

    old: int | None
    new: int | None
    nodes: tuple[NodeMatch, ...]


def match_plans(old: Plan, new: Plan) -> tuple[StatementMatch, ...]:
    """The operators of two plans of one engine, statement by statement; every operator of both stands in it once."""
    found = []
    for before, after in statement_pairs(old, new):
        was = _NONE if before is None else old.statements[before]
        now = _NONE if after is None else new.statements[after]
        found.append(StatementMatch(before, after, match_statements(old.engine, was, now)))
    return tuple(found)


def match_statements(engine: Engine, old: PlanStatement, new: PlanStatement) -> tuple[NodeMatch, ...]:
    """The operators of two plans of one statement."""
    before, after = with_partitions_alike(*with_former_names(old, new))
    names = index_names(before, after)
    bits: dict[str, int] = {}
    matching = _Matching(_side(before, NO_NEW_NAMES, bits), _side(after, names, bits))
    matching.run()
    return tuple(matching.told(engine, names))


@dataclass(frozen=True, slots=True)
class _Side:
    """A statement's operators in plan order.

    Attributes:
        parents: number of the parent, -1 at the top.
        sizes: operators of the subtree, itself included.
        sources: how often each table is read below, 16 bits for each.
    """

    operators: list[Operator]
    parents: list[int]
    sizes: list[int]
    children: list[list[int]]
    labels: list[tuple[Hashable, ...]]
    sources: list[int]


def _side(statement: PlanStatement, names: IndexNames, bits: dict[str, int]) -> _Side:
    operators: list[Operator] = []
    parents: list[int] = []
    waiting = [(tree, -1) for tree in reversed(statement.trees)]
    while waiting:
        operator, parent = waiting.pop()
        waiting.extend((child, len(operators)) for child in reversed(operator.children))
        operators.append(operator)
        parents.append(parent)
    sizes, sources = [1] * len(operators), [_own_source(one, bits) for one in operators]
    children: list[list[int]] = [[] for _ in operators]
    for number in range(len(operators) - 1, -1, -1):
        parent = parents[number]
        if parent >= 0:
            sizes[parent] += sizes[number]
            sources[parent] += sources[number]
            children[parent].insert(0, number)
    return _Side(operators, parents, sizes, children, [_label(one, names) for one in operators], sources)


def _own_source(operator: Operator, bits: dict[str, int]) -> int:
    source = source_of(operator)
    return 1 << (_BITS_OF_A_COUNT * bits.setdefault(source, len(bits))) if source else 0


def _label(operator: Operator, names: IndexNames) -> tuple[Hashable, ...]:
    """What an operator does, without its conditions."""
    return (
        operator.name,
        operator.relation,
        operator.alias,
        names.of(operator.relation, operator.index),
        operator.join_type,
        operator.strategy,
        operator.direction,
        operator.parallel,
    )


Keys = Sequence[Hashable]
"""For each operator what its mate must have too; None for one that does not take part."""


class _Matching:
    """The mates of the operators on both sides, -1 for none yet, and the passes that find them."""

    def __init__(self, old: _Side, new: _Side) -> None:
        self.sides = (old, new)
        self.mates = ([-1] * len(old.operators), [-1] * len(new.operators))

    def run(self) -> None:
        """All passes, the surest first, until every operator that can have a mate has one."""
        for with_conditions in (True, False):
            known: dict[Hashable, int] = {}
            subtrees = [_subtrees(side, known, with_conditions=with_conditions) for side in self.sides]
            places = [_with_place(side, keys) for side, keys in zip(self.sides, subtrees, strict=True)]
            self._match(*places, whole=True)
            self._match(*subtrees, whole=True)
            if not all(-1 in mates for mates in self.mates):
                return
        for role in (_read, _table, _work):
            for detail in (_doing, _kind, _nothing):
                self._match(*(_roles(side, role, detail) for side in self.sides))
        self._match_below()

    def _match(self, old: Keys, new: Keys, *, whole: bool = False) -> None:
        """Match what has no mate and equal keys, in plan order; with `whole` the subtrees too, the largest first."""
        waiting: dict[Hashable, list[int]] = {}
        for number in reversed(range(len(new))):
            if new[number] is not None and self.mates[1][number] < 0:
                waiting.setdefault(new[number], []).append(number)
        numbers: Sequence[int] = range(len(old))
        if whole:
            sizes = self.sides[0].sizes
            numbers = sorted(numbers, key=lambda number: -sizes[number])
        for number in numbers:
            if old[number] is None or self.mates[0][number] >= 0:
                continue
            candidates = waiting.get(old[number], [])
            while candidates and self.mates[1][candidates[-1]] >= 0:
                candidates.pop()
            if candidates:
                self._mate(number, candidates.pop(), self.sides[0].sizes[number] if whole else 1)

    def _mate(self, old: int, new: int, size: int) -> None:
        for step in range(size):
            if self.mates[0][old + step] < 0 and self.mates[1][new + step] < 0:
                self.mates[0][old + step], self.mates[1][new + step] = new + step, old + step

    def _match_below(self) -> None:
        """Match the tops, and what is left below mates: equal ones first, then those of one kind, in their order."""
        tops = [[number for number, parent in enumerate(side.parents) if parent < 0] for side in self.sides]
        self._match_some(*tops)
        waiting = list(range(len(self.mates[0])))
        while waiting:
            number = waiting.pop()
            mate = self.mates[0][number]
            if mate >= 0:
                waiting.extend(self._match_some(self.sides[0].children[number], self.sides[1].children[mate]))

    def _match_some(self, old: Sequence[int], new: Sequence[int]) -> list[int]:
        """Match these operators as far as they have no mates; returns the old ones that got one."""
        found = []
        for detail in (_doing, _kind):
            waiting: dict[Hashable, list[int]] = {}
            for number in reversed(new):
                if self.mates[1][number] < 0:
                    waiting.setdefault(detail(self.sides[1], number), []).append(number)
            for number in old:
                candidates = waiting.get(detail(self.sides[0], number)) if self.mates[0][number] < 0 else None
                if candidates:
                    self._mate(number, candidates.pop(), 1)
                    found.append(number)
        return found

    def told(self, engine: Engine, names: IndexNames) -> Iterator[NodeMatch]:
        """Every operator of both sides once."""
        old, new = self.sides
        above = (_nearest_mates(old, self.mates[0]), _nearest_mates(new, self.mates[1]))
        for number, mate in enumerate(self.mates[1]):
            if mate < 0:
                yield NodeMatch(NodeChange.NEW, None, number)
                continue
            what = node_changes(engine, old.operators[mate], new.operators[number], names)
            if new.sources[number] == old.sources[mate]:
                what += self._other_inputs(mate, number)
            elif new.operators[number].kind.is_join:
                what += ("other tables below",)
            upper = above[1][number]
            if above[0][mate] != (self.mates[1][upper] if upper >= 0 else -1):
                what += ("other place",)
            yield NodeMatch(NodeChange.CHANGED if what else NodeChange.SAME, mate, number, what)
        for number, mate in enumerate(self.mates[0]):
            if mate < 0:
                yield NodeMatch(NodeChange.GONE, number, None)

    def _other_inputs(self, old: int, new: int) -> tuple[str, ...]:
        """A join of the same tables that takes them in another order."""
        before, after = self.sides[0].operators[old], self.sides[1].operators[new]
        if not (before.kind.is_join and after.kind == before.kind and before.name == after.name):
            return ()
        was, now = (
            [side.sources[child] for child in side.children[number]]
            for side, number in ((self.sides[0], old), (self.sides[1], new))
        )
        if was == now or len(was) < 2 or len(now) < 2:
            return ()
        return ("other build side" if after.kind == NodeKind.HASH_JOIN else "other driving table",)


def _subtrees(side: _Side, known: dict[Hashable, int], *, with_conditions: bool) -> Keys:
    """A number for each subtree, equal for equal ones on both sides; None where it is too small to tell anything."""
    found = [0] * len(side.operators)
    for number in range(len(found) - 1, -1, -1):
        operator = side.operators[number]
        below = tuple(found[child] for child in side.children[number])
        key = (side.labels[number], operator.conditions if with_conditions else (), below)
        found[number] = known.setdefault(key, len(known))
    telling = (sources or size >= _TELLING_SIZE for sources, size in zip(side.sources, side.sizes, strict=True))
    return [number if is_telling else None for number, is_telling in zip(found, telling, strict=True)]


def _with_place(side: _Side, keys: Keys) -> Keys:
    """The same keys for those only that stand below the same kind of operator over the same tables."""
    return [
        None if key is None else (key, *((_kind(side, parent), side.sources[parent]) if parent >= 0 else ()))
        for key, parent in zip(keys, side.parents, strict=True)
    ]


Role = Callable[[_Side, int], Hashable]


def _roles(side: _Side, role: Role, detail: Role) -> Keys:
    roles = (role(side, number) for number in range(len(side.operators)))
    return [None if one is None else (one, detail(side, number)) for number, one in enumerate(roles)]


def _read(side: _Side, number: int) -> Hashable:
    """The table and alias that it reads."""
    operator = side.operators[number]
    return (_table(side, number), operator.alias) if operator.kind.reads_relation and operator.relation else None


def _table(side: _Side, number: int) -> Hashable:
    """The table that it reads, or looks up the rest of a row in."""
    operator = side.operators[number]
    if not (operator.kind.reads_relation and operator.relation):
        return None
    return (operator.relation, operator.kind == NodeKind.LOOKUP)


def _work(side: _Side, number: int) -> Hashable:
    """What it does with which tables."""
    operator = side.operators[number]
    if operator.kind == NodeKind.BITMAP_INDEX:
        return (operator.kind, operator.index) if operator.index else None
    if not side.sources[number] or operator.kind.reads_relation:
        return None
    return (_kind(side, number), side.sources[number])


def _doing(side: _Side, number: int) -> Hashable:
    return side.labels[number]


def _kind(side: _Side, number: int) -> Hashable:
    """The kind; all joins are of one, and so are all reads, but for lookups."""
    kind = side.operators[number].kind
    if kind.is_join:
        return "join"
    return "read" if kind.reads_relation and kind not in (NodeKind.LOOKUP, NodeKind.BITMAP_INDEX) else kind


def _nothing(_side: _Side, _number: int) -> Hashable:
    return ""


def _nearest_mates(side: _Side, mates: Sequence[int]) -> list[int]:
    """For each operator the nearest one above that has a mate, -1 for none."""
    found = [-1] * len(mates)
    for number, parent in enumerate(side.parents):
        if parent >= 0:
            found[number] = parent if mates[parent] >= 0 else found[parent]
    return found
