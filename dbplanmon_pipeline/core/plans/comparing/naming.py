"""Names that differ between two plans although they stand for the same: aliases, temporary tables, system-made keys."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, PlanStatement

_SYSTEM_MADE = re.compile(r"(?P<kind>PK|UQ)__(?P<table>.{0,20}?)__[0-9A-Fa-f]{8,16}")
_OF_A_VARIABLE = re.compile(r"#[0-9A-Fa-f]{6,8}")
_TEMPORARY = re.compile(r"(?P<stem>#[^#].*?)_{2,}[0-9A-Fa-f]{8,12}")

Table = tuple[str, str]
"""Relation and alias."""


@dataclass(frozen=True, slots=True)
class IndexNames:
    """Indexes of the new plan that are one of the old plan under another name, by (relation, new name)."""

    former: Mapping[tuple[str, str], str]

    def of(self, relation: str, index: str) -> str:
        """The name to compare by."""
        return self.former.get((relation, index), index)


NO_NEW_NAMES = IndexNames({})


def with_former_names(before: PlanStatement, after: PlanStatement) -> tuple[PlanStatement, PlanStatement]:
    """Both statements, the later one with the aliases of the earlier where only those differ and there is no doubt.

    Temporary tables lose the suffix that makes them unique on the server. Indexes keep their names.
    """
    before, after = _without_suffixes(before), _without_suffixes(after)
    former = _former_aliases(before, after)
    if not former:
        return before, after
    return before, rebuilt(after, lambda operator: _realiased(operator, former))


def index_names(before: PlanStatement, after: PlanStatement) -> IndexNames:
    """Keys that the server named, and names anew whenever a table, a constraint or a table variable is made."""
    was, now = _indexes(before), _indexes(after)
    former: dict[tuple[str, str], str] = {}
    for relation, names in now.items():
        fresh, lost = names - was.get(relation, set()), was.get(relation, set()) - names
        for name in fresh:
            alike = [other for other in lost if _stem(other) == _stem(name) != ""]
            if len(alike) == 1:
                former[relation, name] = alike[0]
    for relation, (old, new) in _clustered(before, after).items():
        if _stem(old) or _stem(new):
            former[relation, new] = old
    return IndexNames(former)


def _stem(index: str) -> str:
    """What stays of a name that the server made up; empty for names that people gave."""
    made = _SYSTEM_MADE.fullmatch(index)
    return f"{made['kind']}__{_OF_A_VARIABLE.sub('#', made['table'])}" if made else ""


def _indexes(statement: PlanStatement) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for operator in statement.operators():
        if operator.relation and operator.index:
            found.setdefault(operator.relation, set()).add(operator.index)
    return found


def _clustered(before: PlanStatement, after: PlanStatement) -> dict[str, tuple[str, str]]:
    """The name of the clustered index of each table in both plans, where it differs; a table has only one."""
    was, now = _clustered_names(before.operators()), _clustered_names(after.operators())
    return {name: (was[name], now[name]) for name in now if name in was and was[name] != now[name]}


def _clustered_names(operators: Iterable[Operator]) -> dict[str, str]:
    return {
        operator.relation: operator.index
        for operator in operators
        if operator.index and (operator.name.startswith("Clustered Index") or operator.name == "Key Lookup")
    }


def _without_suffixes(statement: PlanStatement) -> PlanStatement:
    if not any(_TEMPORARY.fullmatch(operator.relation) for operator in statement.operators()):
        return statement
    return rebuilt(statement, _plain)


def _plain(operator: Operator) -> Operator:
    made = _TEMPORARY.fullmatch(operator.relation)
    return replace(operator, relation=made["stem"]) if made else operator


def _former_aliases(before: PlanStatement, after: PlanStatement) -> dict[Table, str]:
    was, now = (_tables(statement) for statement in (before, after))
    lost, fresh = [key for key in was if key not in now], [key for key in now if key not in was]
    return {
        new: old[1]
        for old in lost
        for new in fresh
        if new[0] == old[0] and _only(lost, old[0]) and _only(fresh, old[0])
    }


def _tables(statement: PlanStatement) -> dict[Table, None]:
    return dict.fromkeys(
        (operator.relation, operator.alias)
        for operator in statement.operators()
        if operator.kind.reads_relation and operator.kind != NodeKind.BITMAP_INDEX and operator.relation
    )


def _only(tables: list[Table], relation: str) -> bool:
    return sum(name == relation for name, _ in tables) == 1


def _realiased(operator: Operator, former: Mapping[Table, str]) -> Operator:
    conditions = tuple((name, _with_aliases(text, former)) for name, text in operator.conditions)
    alias = former.get((operator.relation, operator.alias), operator.alias)
    if alias == operator.alias and conditions == operator.conditions:
        return operator
    return replace(operator, alias=alias, conditions=conditions)


def _with_aliases(expression: str, former: Mapping[Table, str]) -> str:
    for (relation, new), old in former.items():
        name, now = old or relation, new or relation
        if now in expression:
            expression = re.sub(rf"(?<![\w.\]]){re.escape(now)}(?=\.)", name.replace("\\", r"\\"), expression)
            expression = expression.replace(f"[{now}].[", f"[{name}].[")
    return expression


def rebuilt(statement: PlanStatement, change: Callable[[Operator], Operator]) -> PlanStatement:
    """The statement with each operator as `change` makes it; it must keep the inputs."""
    trees = [_rebuilt_tree(tree, change) for tree in statement.trees]
    if statement.root is None:
        return replace(statement, further=tuple(trees))
    return replace(statement, root=trees[0], further=tuple(trees[1:]))


def _rebuilt_tree(root: Operator, change: Callable[[Operator], Operator]) -> Operator:
    """Inputs before what takes them, so that no depth is too deep."""
    made: dict[int, Operator] = {}
    for operator in reversed(list(root.walk())):
        children = tuple(made[id(child)] for child in operator.children)
        changed = change(operator)
        kept = all(new is old for new, old in zip(children, operator.children, strict=True))
        made[id(operator)] = changed if kept else replace(changed, children=children)
    return made[id(root)]
