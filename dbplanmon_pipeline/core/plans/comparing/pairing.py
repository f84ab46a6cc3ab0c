"""Statements of two plan files that belong together."""

from collections import deque
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.tree import Plan, PlanStatement
from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals
from dbplanmon_pipeline.core.statements.tsql import mask_tsql_literals

StatementPair = tuple[int | None, int | None]
"""Places in the old and in the new plan, from 0; None where only the other plan has such a statement."""

FARTHEST = 8
"""Statements farther apart, among those that are left, are not taken for one."""


def statement_pairs(old: Plan, new: Plan) -> list[StatementPair]:
    """Every statement of both plans once, in the order of the new plan; those that are gone stand behind.

    One statement each always belong together. Of more, those of one query hash do, then those of one text without
    its literals, each in their order; what is left goes to the likest at nearly the same place. Statements of other
    kinds or about other tables are never one.
    """
    if len(old.statements) == len(new.statements) == 1:
        return [(0, 0)]
    before, after = _placed(old), _placed(new)
    found: dict[int, int] = {}
    for key in (_hash, _text_of(old.engine)):
        found |= _alike(_left(before, found.values()), _left(after, found), key)
    found |= _likest(_left(before, found.values()), _left(after, found))
    gone = [one.place for one in _left(before, found.values())]
    return [*((found.get(one.place), one.place) for one in after), *((place, None) for place in gone)]


@dataclass(frozen=True, slots=True)
class _Placed:
    """A statement at its place in a plan, with what is asked of it for each that it might belong to."""

    place: int
    statement: PlanStatement
    relations: frozenset[str]

    @property
    def sort(self) -> Hashable:
        """What statements that belong together share."""
        return self.statement.kind, bool(self.statement.trees)

    def may_be(self, other: "_Placed") -> bool:
        """True where both are of one sort and, as far as they tell their tables, have one in common."""
        if self.sort != other.sort:
            return False
        return not (self.relations and other.relations) or not self.relations.isdisjoint(other.relations)


def _placed(plan: Plan) -> list[_Placed]:
    return [
        _Placed(place, one, frozenset(operator.relation for operator in one.operators() if operator.relation))
        for place, one in enumerate(plan.statements)
    ]


def _left(statements: Sequence[_Placed], taken: Collection[int]) -> list[_Placed]:
    known = set(taken)
    return [one for one in statements if one.place not in known]


def _hash(statement: PlanStatement) -> Hashable:
    return statement.query_hash or None


def _text_of(engine: Engine) -> Callable[[PlanStatement], Hashable]:
    mask = mask_tsql_literals if engine == Engine.SQLSERVER else mask_postgres_literals
    return lambda statement: " ".join(mask(statement.text).split()) or None


_ANY, _NO_TABLE = "any table", ""


def _alike(old: Sequence[_Placed], new: Sequence[_Placed], key: Callable[[PlanStatement], Hashable]) -> dict[int, int]:
    """Places of old statements by those of new ones with the same key, in their order; no key is like no other.

    Each old statement waits under each of its tables, so that a thousand of one text cost no thousand times thousand.
    """
    waiting: dict[Hashable, deque[int]] = {}
    for one in old:
        if (own := key(one.statement)) is not None:
            for table in (*(one.relations or (_NO_TABLE,)), _ANY):
                waiting.setdefault((own, one.sort, table), deque()).append(one.place)
    found: dict[int, int] = {}
    taken: set[int] = set()
    for one in new:
        own = key(one.statement)
        tables = (*one.relations, _NO_TABLE) if one.relations else (_ANY,)
        firsts = [_first(waiting.get((own, one.sort, table)), taken) for table in tables]
        mate = min((place for place in firsts if place is not None), default=None)
        if mate is not None:
            taken.add(mate)
            found[one.place] = mate
    return found


def _first(places: deque[int] | None, taken: Collection[int]) -> int | None:
    """The first of the places that is not taken; what is, is dropped."""
    while places and places[0] in taken:
        places.popleft()
    return places[0] if places else None


def _likest(old: Sequence[_Placed], new: Sequence[_Placed]) -> dict[int, int]:
    """What is left, the pairs whose texts and tables are most alike first, then those at the same place."""
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, now, was in sorted(_scored(old, new)):
        if now not in found and was not in taken:
            found[now] = was
            taken.add(was)
    return found


def _scored(old: Sequence[_Placed], new: Sequence[_Placed]) -> Iterator[tuple[float, int, int, int]]:
    """(likeness, negative; distance; place in the new plan; place in the old one) of all that might be one."""
    words = [{*one.statement.text.split(), *one.relations} for one in new]
    for row, one in enumerate(old):
        own = {*one.statement.text.split(), *one.relations}
        for column in range(max(0, row - FARTHEST), min(len(new), row + FARTHEST + 1)):
            other = new[column]
            if one.may_be(other):
                share = len(own & words[column]) / max(1, len(own | words[column]))
                yield -round(share, 6), abs(row - column), other.place, one.place
