"""What the optimizer wrote into a showplan beside its operators: warnings, wishes, parameters."""

from collections.abc import Callable, Iterator

from lxml import etree

from dbplanmon_pipeline.core.plans.sealing import unsealed
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of, is_true, pairs_of, plain_name
from dbplanmon_pipeline.core.plans.showplan.elements import MARK
from dbplanmon_pipeline.core.plans.tree import MissingIndex, PlanColumn, PlanParameter, PlanWarning

_REFERENCE = f"{MARK}ColumnReference"
_MissingIndex, _PlanColumn = unsealed(MissingIndex), unsealed(PlanColumn)
_PlanParameter, _PlanWarning = unsealed(PlanParameter), unsealed(PlanWarning)


def warnings_of(element: etree._Element) -> Iterator[PlanWarning]:
    """Warnings of one element `Warnings`: its flags, then its children."""
    for name, value in pairs_of(element):
        if is_true(value):
            yield _PlanWarning(name)
    for child in element:
        kind = etree.QName(child).localname
        fields = dict(pairs_of(child))
        detail = _DETAILS.get(kind)
        columns = tuple(map(_column, child)) if kind in _OF_COLUMNS else ()
        yield _PlanWarning(kind, detail(child) if detail else "", fields, columns)


def missing_indexes_of(element: etree._Element) -> Iterator[MissingIndex]:
    """Wishes of one element `MissingIndexes`; of what is nested in them, which no server writes, nothing is told."""
    for group in element.iterchildren(f"{MARK}MissingIndexGroup"):
        impact = figure_of(group.get("Impact")) or 0.0
        for wish in group.iterchildren(f"{MARK}MissingIndex"):
            columns = {part.get("Usage", ""): _names(part) for part in wish}
            yield _MissingIndex(
                database=plain_name(wish.get("Database", "")),
                schema=plain_name(wish.get("Schema", "")),
                relation=plain_name(wish.get("Table", "")),
                impact_percent=impact,
                equality_columns=columns.get("EQUALITY", ()),
                inequality_columns=columns.get("INEQUALITY", ()),
                included_columns=columns.get("INCLUDE", ()),
            )


def parameters_of(element: etree._Element) -> Iterator[PlanParameter]:
    """Parameters of one element `ParameterList` of a query plan."""
    for reference in element:
        if reference.tag == _REFERENCE:
            told = reference.get
            yield _PlanParameter(
                told("Column", ""),
                told("ParameterDataType", ""),
                told("ParameterCompiledValue", ""),
                told("ParameterRuntimeValue", ""),
            )


def _names(group: etree._Element) -> tuple[str, ...]:
    return tuple(plain_name(column.get("Name", "")) for column in group)


def _convert(element: etree._Element) -> str:
    issue, expression = element.get("ConvertIssue", ""), element.get("Expression", "")
    return f"{issue}: {expression}" if issue and expression else issue or expression


def _spill(element: etree._Element) -> str:
    level = element.get("SpillLevel", "")
    return f"level {level}" if level else ""


def _statistics(element: etree._Element) -> str:
    return ", ".join(f"{column.relation}.{column.name}".lstrip(".") for column in map(_column, element))


def _column(reference: etree._Element) -> PlanColumn:
    schema, table, column, server = (reference.get(name, "") for name in ("Schema", "Table", "Column", "Server"))
    return _PlanColumn(plain_name(schema), plain_name(table), plain_name(column), plain_name(server))


def _attribute(name: str) -> Callable[[etree._Element], str]:
    return lambda element: element.get(name, "")


_OF_COLUMNS = frozenset({"ColumnsWithNoStatistics", "ColumnsWithStaleStatistics"})
_DETAILS: dict[str, Callable[[etree._Element], str]] = {
    "PlanAffectingConvert": _convert,
    "SpillToTempDb": _spill,
    "ColumnsWithNoStatistics": _statistics,
    "ColumnsWithStaleStatistics": _statistics,
    "MemoryGrantWarning": _attribute("GrantWarningKind"),
    "Wait": _attribute("WaitType"),
}
