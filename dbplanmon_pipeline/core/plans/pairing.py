"""Statements of two plan files that belong together."""

from collections.abc import Callable, Collection, Hashable, Sequence
from itertools import product

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.redact import mask_literals
from dbplanmon_pipeline.core.plans.tree import Plan, PlanStatement
from dbplanmon_pipeline.core.tsql_text import mask_tsql_literals

StatementPair = tuple[int | None, int | None]
"""Places in the old and in the new plan, from 0; None where only the other plan has such a statement."""

FARTHEST = 8
"""Statements farther apart, among those that are left, are not taken for one."""

_Placed = tuple[int, PlanStatement]


def statement_pairs(old: Plan, new: Plan) -> list[StatementPair]:
    """Every statement of both plans once, in the order of the new plan; those that are gone stand behind.

    One statement each always belong together. Of more, those of one query hash do, then those of one text without
    its literals, each in their order; what is left goes to the likest at nearly the same place. Statements of other
    kinds or about other tables are never one.
    """
    if len(old.statements) == len(new.statements) == 1:
        return [(0, 0)]
    found: dict[int, int] = {}
    for key in (_hash, _text_of(old.engine)):
        found |= _alike(_left(old, found.values()), _left(new, found), key)
    found |= _likest(_left(old, found.values()), _left(new, found))
    gone = [place for place, _ in _left(old, found.values())]
    return [*((found.get(place), place) for place in range(len(new.statements))), *((place, None) for place in gone)]


def _left(plan: Plan, taken: Collection[int]) -> list[_Placed]:
    known = set(taken)
    return [(place, one) for place, one in enumerate(plan.statements) if place not in known]


def _hash(statement: PlanStatement) -> Hashable:
    return statement.query_hash or None


def _text_of(engine: Engine) -> Callable[[PlanStatement], Hashable]:
    mask = mask_tsql_literals if engine == Engine.SQLSERVER else mask_literals
    return lambda statement: " ".join(mask(statement.text).split()) or None


def _alike(old: Sequence[_Placed], new: Sequence[_Placed], key: Callable[[PlanStatement], Hashable]) -> dict[int, int]:
    """Places of old statements by those of new ones with the same key, in their order; no key is like no other."""
    waiting: dict[Hashable, list[_Placed]] = {}
    for placed in old:
        waiting.setdefault(key(placed[1]), []).append(placed)
    waiting.pop(None, None)
    found = {}
    for place, statement in new:
        candidates = waiting.get(key(statement), [])
        mate = next((one for one in candidates if _may_be_one(one[1], statement)), None)
        if mate:
            candidates.remove(mate)
            found[place] = mate[0]
    return found


def _likest(old: Sequence[_Placed], new: Sequence[_Placed]) -> dict[int, int]:
    """What is left, the pairs whose texts and tables are most alike first, then those at the same place."""
    scored = []
    for before, after in product(enumerate(old), enumerate(new)):
        (row, (was, one)), (column, (now, other)) = before, after
        if abs(row - column) <= FARTHEST and _may_be_one(one, other):
            scored.append((-_likeness(one, other), abs(row - column), now, was))
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, now, was in sorted(scored):
        if now not in found and was not in taken:
            found[now] = was
            taken.add(was)
    return found


def _likeness(before: PlanStatement, after: PlanStatement) -> float:
    """Share of words and tables that two statements have in common [0-1]."""
    was, now = ({*side.text.split(), *_relations(side)} for side in (before, after))
    return round(len(was & now) / max(1, len(was | now)), 6)


def _may_be_one(before: PlanStatement, after: PlanStatement) -> bool:
    if before.kind != after.kind or bool(before.trees) != bool(after.trees):
        return False
    was, now = _relations(before), _relations(after)
    return not (was and now) or bool(was & now)


def _relations(statement: PlanStatement) -> frozenset[str]:
    return frozenset(one.relation for one in statement.operators() if one.relation)
