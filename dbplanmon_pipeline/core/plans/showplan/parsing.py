"""SQL Server showplan XML as an operator tree."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.sealing import unsealed
from dbplanmon_pipeline.core.plans.showplan.advice import missing_indexes_of, parameters_of, warnings_of
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of, hash_of, is_true, pairs_of
from dbplanmon_pipeline.core.plans.showplan.elements import MARK, showplan_root
from dbplanmon_pipeline.core.plans.showplan.operators import input_roles, kind_of, operator_of
from dbplanmon_pipeline.core.plans.tree import MissingIndex, Operator, Plan, PlanParameter, PlanStatement, PlanWarning
from dbplanmon_pipeline.errors import PlanParseError

_STATEMENTS = frozenset(MARK + name for name in ("StmtSimple", "StmtCond", "StmtCursor", "StmtReceive", "StmtUseDb"))
_RELOP, _QUERY_PLAN, _WARNINGS = f"{MARK}RelOp", f"{MARK}QueryPlan", f"{MARK}Warnings"
_MISSING, _MISSING_GROUPS, _PARAMETERS = f"{MARK}MissingIndex", f"{MARK}MissingIndexes", f"{MARK}ParameterList"
_COUNTED = {
    _RELOP: "operators",
    _MISSING: "missing_indexes",
    f"{MARK}PlanAffectingConvert": "plan_affecting_converts",
    f"{MARK}SpillToTempDb": "spills",
    f"{MARK}ColumnsWithNoStatistics": "columns_with_no_statistics",
    **dict.fromkeys(_STATEMENTS, "statements"),
}
_FUNCTION, _CURSOR = f"{MARK}UserDefinedFunction", f"{MARK}CursorPlan"
_VISITED = (*_COUNTED, _QUERY_PLAN, _WARNINGS, _PARAMETERS, _FUNCTION, _CURSOR)
_SUBQUERY = f"{MARK}Subquery"


@dataclass(slots=True)
class _Parts:
    """What belongs to one statement, in document order."""

    element: etree._Element
    roots: list[Operator] = field(default_factory=list)
    plans: list[etree._Element] = field(default_factory=list)
    warnings: list[PlanWarning] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    cursor: dict[str, str] = field(default_factory=dict)


def parse_showplan(text: str) -> Plan:
    """Read a showplan, with every statement it holds, nested ones too.

    Args:
        text: the XML, with or without a declaration, whatever that declares.

    Raises:
        PlanParseError: it is no such plan; one line.
    """
    root = showplan_root(text)
    visited = list(root.iter(*_VISITED))
    statements = {element: _Parts(element) for element in visited if element.tag in _STATEMENTS}
    if not statements:
        raise PlanParseError("no showplan: it holds no statement")
    warned: dict[etree._Element, tuple[PlanWarning, ...]] = {}
    for element in visited:
        if element.tag in _OF_STATEMENTS:
            _add(statements, element, warned)
    for parent, operator in _roots([element for element in visited if element.tag == _RELOP], warned):
        if parent in statements:
            statements[parent].roots.append(operator)
    return Plan(
        Engine.SQLSERVER,
        tuple(_statement(parts) for parts in statements.values()),
        version=root.get("Build", "") or root.get("Version", ""),
        counts=_counts(visited),
    )


_OF_STATEMENTS = frozenset({_QUERY_PLAN, _WARNINGS, _FUNCTION, _CURSOR})


def _add(
    statements: dict[etree._Element, _Parts],
    element: etree._Element,
    warned: dict[etree._Element, tuple[PlanWarning, ...]],
) -> None:
    """Give an element to its statement; warnings also to the operator they stand at."""
    parts = statements.get(_owner(element, _STATEMENTS))
    if parts is None:
        return
    if element.tag == _QUERY_PLAN:
        parts.plans.append(element)
    elif element.tag == _FUNCTION:
        parts.functions.append(element.get("FunctionName", ""))
    elif element.tag == _CURSOR:
        parts.cursor.update(pairs_of(element))
    else:
        said = tuple(warnings_of(element))
        parts.warnings.extend(said)
        above = element.getparent()
        if above is not None and above.tag == _RELOP:
            warned[above] = said


_OWNERS = _STATEMENTS | {_RELOP}


def _owner(element: etree._Element, tags: frozenset[str]) -> etree._Element:
    """The nearest element above with one of the tags; the root where there is none."""
    above = element.getparent()
    while above is not None and above.tag not in tags:
        element, above = above, above.getparent()
    return element if above is None else above


def _roots(
    elements: Sequence[etree._Element], warned: Mapping[etree._Element, tuple[PlanWarning, ...]]
) -> Iterator[tuple[etree._Element, Operator]]:
    """(statement, operator) for operators that deliver to a statement, in document order.

    Operators are made from the last to the first, so that inputs exist before what takes them, however deep.
    """
    parents = [_owner(element, _OWNERS) for element in elements]
    inputs: dict[etree._Element, list[etree._Element]] = {}
    for element, parent in zip(elements, parents, strict=True):
        inputs.setdefault(parent, []).append(element)
    made: dict[etree._Element, Operator] = {}
    roles: dict[etree._Element, str] = {}
    for element, below in inputs.items():
        if len(below) > 1 and element.tag == _RELOP:
            roles.update(_roles(element, below))
    for element in reversed(elements):
        children = tuple([made.pop(child) for child in inputs.get(element, ())])
        made[element] = operator_of(element, roles.get(element, ""), children, warned.get(element, ()))
    for element, parent in zip(elements, parents, strict=True):
        if element in made:
            yield parent, made[element]


def _roles(element: etree._Element, below: Sequence[etree._Element]) -> dict[etree._Element, str]:
    """Places of the inputs; a subquery inside an expression is none of them."""
    roles = {child: "SubPlan" for child in below if _in_expression(child)}
    inputs = [child for child in below if child not in roles] if roles else below
    return roles | dict(zip(inputs, input_roles(kind_of(element), len(inputs)), strict=True))


def _in_expression(element: etree._Element) -> bool:
    above = element.getparent()
    return above is not None and above.tag == _SUBQUERY


def _statement(parts: _Parts) -> PlanStatement:
    said: dict[str, Any] = dict(pairs_of(parts.element))
    text, kind, cost = said.pop("StatementText", ""), said.pop("StatementType", ""), said.pop(_COST, None)
    query_hash, plan_hash = hash_of(said.pop("QueryHash", None)), hash_of(said.pop("QueryPlanHash", None))
    described = _Described(said)
    for child in parts.element:
        if child.tag == _OPTIONS:
            said["StatementSetOptions"] = dict(pairs_of(child))
            break
    for plan in parts.plans:
        described.add(plan)
    if parts.functions:
        said["UserDefinedFunctions"] = parts.functions
    if parts.cursor:
        said["CursorPlan"] = parts.cursor
    return _PlanStatement(
        root=parts.roots[0] if parts.roots else None,
        text=text,
        kind=kind,
        query_hash=query_hash,
        plan_hash=plan_hash,
        estimated_cost=figure_of(cost),
        missing_indexes=tuple(described.missing),
        warnings=tuple(parts.warnings),
        parameters=tuple(described.parameters),
        attributes=said,
        further=tuple(parts.roots[1:]),
    )


_PlanStatement = unsealed(PlanStatement)
_COST = "StatementSubTreeCost"
_OPTIONS = f"{MARK}StatementSetOptions"
_SINGLE = {
    MARK + name: name
    for name in ("MemoryGrantInfo", "OptimizerHardwareDependentProperties", "QueryTimeStats", "ThreadStat")
}
_LISTS = {MARK + name: name for name in ("OptimizerStatsUsage", "WaitStats", "TraceFlags")}


@dataclass(slots=True)
class _Described:
    """What the query plans of one statement say beside their operators; `attributes` are those of the statement."""

    attributes: dict[str, Any]
    missing: list[MissingIndex] = field(default_factory=list)
    parameters: list[PlanParameter] = field(default_factory=list)

    def add(self, plan: etree._Element) -> None:
        self.attributes |= pairs_of(plan)
        for child in plan:
            tag = child.tag
            if tag in _SINGLE:
                self.attributes[_SINGLE[tag]] = dict(pairs_of(child))
            elif tag in _LISTS:
                self.attributes[_LISTS[tag]] = [dict(pairs_of(entry)) for entry in child]
            elif tag == _MISSING_GROUPS:
                self.missing.extend(missing_indexes_of(child))
            elif tag == _PARAMETERS:
                self.parameters.extend(parameters_of(child))


def _counts(visited: Sequence[etree._Element]) -> dict[str, int]:
    """Totals by descent over the whole file."""
    counts = dict.fromkeys(
        (
            *("statements", "operators", "missing_indexes", "plan_affecting_converts", "spills"),
            *("no_join_predicates", "columns_with_no_statistics", "parameters"),
        ),
        0,
    )
    for element in visited:
        name = _COUNTED.get(element.tag)
        if name:
            counts[name] += 1
        elif element.tag == _PARAMETERS:
            counts["parameters"] += len(element)
        elif element.tag == _WARNINGS:
            counts["no_join_predicates"] += is_true(element.get("NoJoinPredicate"))
    return counts
