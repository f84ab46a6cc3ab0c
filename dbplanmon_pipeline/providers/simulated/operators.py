"""Operators of a showplan, as far as the simulated statements need them: estimates and the XML of each."""

from dataclasses import dataclass, replace
from xml.etree.ElementTree import Element, SubElement

from dbplanmon_pipeline.providers.simulated.statements import Subject

DATABASE = "shop"
_ROW_BYTES = 48.0
_ROWS_PER_PAGE = 90.0
_PAGE_COST, _ROW_COST = 0.000_74, 0.000_001_1


@dataclass(frozen=True)
class Operator:
    """One operator and what feeds it.

    Attributes:
        physical / logical: names as the showplan writes them.
        rows: estimated to come out.
        own_cost: of the operator itself, in the units of the optimizer.
        element: name of its XML element. `attributes` and `parts` go into it, before the children.
        rows_read: estimated to be read, for an access to a table. `table_rows`: size of that table.
    """

    physical: str
    logical: str
    rows: float
    own_cost: float
    element: str
    attributes: tuple[tuple[str, str], ...] = ()
    parts: tuple[Element, ...] = ()
    children: tuple["Operator", ...] = ()
    rows_read: float | None = None
    table_rows: int | None = None
    parallel: bool = False

    @property
    def cost(self) -> float:
        """Of the operator and all below it."""
        return self.own_cost + sum(child.cost for child in self.children)


def made(tag: str, *children: Element, **attributes: object) -> Element:
    """An XML element."""
    element = Element(tag, {name: _written(value) for name, value in attributes.items()})
    element.extend(children)
    return element


def column(alias: str, name: str, about: Subject | None = None) -> Element:
    """A reference to a column of table `t` or `o`; its table is named where the subject is given."""
    if about is None:
        return made("ColumnReference", Alias=f"[{alias}]", Column=name)
    table = about.table if alias == "t" else about.other
    names = {"Database": f"[{DATABASE}]", "Schema": "[dbo]", "Table": f"[{table}]", "Alias": f"[{alias}]"}
    return made("ColumnReference", Column=name, **names)


def index_seek(about: Subject, index: str) -> Operator:
    """Rows of one value through an index."""
    key = _equals_parameter(about)
    rows = about.found_rows
    return _access(
        "Index Seek", about, "t", index, "NonClustered", rows, rows, _seek_cost(rows), seek=key, kind="Index Seek"
    )


def clustered_seek(about: Subject) -> Operator:
    """One row of the joined table by its primary key."""
    key = _range(column("o", "id", about), made("ColumnReference", Alias="[t]", Column=f"{about.other}_id"))
    name, rows = "Clustered Index Seek", about.found_rows
    return _access(name, about, "o", f"PK_{about.other}", "Clustered", 1, 1, _seek_cost(1) * rows, seek=key, kind=name)


def key_lookup(about: Subject) -> Operator:
    """The rest of a row found through an index."""
    key = _range(column("t", "id", about), made("ColumnReference", Alias="[t]", Column="id"))
    name, rows = "Clustered Index Seek", about.found_rows
    found = _access(name, about, "t", f"PK_{about.table}", "Clustered", 1, 1, _seek_cost(1) * rows, seek=key, kind=name)
    return replace(found, attributes=(("Lookup", "true"), *found.attributes))


def clustered_scan(about: Subject, *, other: bool = False) -> Operator:
    """The whole table; of `t` those rows that match."""
    table, rows = (about.other, about.other_rows) if other else (about.table, about.table_rows)
    name, alias = "Clustered Index Scan", "o" if other else "t"
    found = float(rows) if other else about.found_rows
    cost = rows / _ROWS_PER_PAGE * _PAGE_COST + rows * _ROW_COST
    return _access(name, about, alias, f"PK_{table}", "Clustered", found, float(rows), cost, kind=name)


def nested_loops(outer: Operator, inner: Operator) -> Operator:
    """Inner join, once through the inner side for each row of the outer one."""
    parts = (made("OuterReferences", column("t", "id")),)
    cost = 0.000_004_2 * outer.rows
    names = ("Nested Loops", "Inner Join")
    return Operator(
        *names, outer.rows, cost, "NestedLoops", (("Optimized", "false"),), parts, (outer, inner), parallel=False
    )


def hash_join(build: Operator, probe: Operator, about: Subject) -> Operator:
    """Inner join by a hash table of the first side."""
    parts = (
        made("HashKeysBuild", column("t", f"{about.other}_id", about)),
        made("HashKeysProbe", column("o", "id", about)),
    )
    cost = 0.000_02 * (build.rows + probe.rows)
    return Operator("Hash Match", "Inner Join", build.rows, cost, "Hash", (), parts, (build, probe))


def hash_aggregate(source: Operator) -> Operator:
    """Groups by a hash table."""
    parts = (_defined("n"), made("HashKeysBuild", column("t", "status")))
    return Operator("Hash Match", "Aggregate", 8, 0.02 + 1e-5 * source.rows, "Hash", (), parts, (source,))


def stream_aggregate(source: Operator) -> Operator:
    """Groups of rows that come in order."""
    parts = (_defined("n"), made("GroupBy", column("t", "status")))
    names = ("Stream Aggregate", "Aggregate")
    return Operator(*names, 8, 1e-6 * source.rows, "StreamAggregate", (), parts, (source,))


def sort(source: Operator, alias: str, name: str) -> Operator:
    """All rows in order."""
    attributes = (("Distinct", "false"),)
    return Operator("Sort", "Sort", source.rows, _sort_cost(source), "Sort", attributes, _by(alias, name), (source,))


def top_sort(source: Operator, alias: str, name: str) -> Operator:
    """The first rows in order."""
    attributes = (("Distinct", "false"), ("Rows", "20"))
    rows = min(20.0, source.rows)
    return Operator("Sort", "TopN Sort", rows, _sort_cost(source), "TopSort", attributes, _by(alias, name), (source,))


def top(source: Operator) -> Operator:
    """The first rows as they come."""
    expression = made("TopExpression", _identifier(made("ColumnReference", Column="@p2")))
    attributes = (("RowCount", "false"), ("IsPercent", "false"), ("WithTies", "false"))
    return Operator("Top", "Top", min(20.0, source.rows), 2e-6, "Top", attributes, (expression,), (source,))


def gather_streams(source: Operator) -> Operator:
    """Everything below runs on several cores."""
    below = _in_parallel(source)
    return Operator("Parallelism", "Gather Streams", below.rows, 0.0285, "Parallelism", (), (), (below,), parallel=True)


def update(source: Operator, about: Subject) -> Operator:
    """Changes rows of `t`."""
    parts = (_object(about, "t", f"PK_{about.table}", "Clustered"),)
    names = ("Clustered Index Update", "Update")
    return Operator(*names, source.rows, 0.01 + 1e-6 * source.rows, "Update", (), parts, (source,))


def element_of(operator: Operator, numbers: list[int]) -> Element:
    """The RelOp element with all below it; `numbers` gathers the node ids given so far."""
    number = len(numbers)
    numbers.append(number)
    facts: dict[str, object] = {
        "AvgRowSize": _ROW_BYTES,
        "EstimateCPU": operator.own_cost * 0.4,
        "EstimateIO": operator.own_cost * 0.6,
        "EstimateRebinds": 0,
        "EstimateRewinds": 0,
        "EstimatedExecutionMode": "Row",
        "EstimateRows": operator.rows,
        "LogicalOp": operator.logical,
        "NodeId": number,
        "Parallel": operator.parallel,
        "PhysicalOp": operator.physical,
        "EstimatedTotalSubtreeCost": operator.cost,
    }
    if operator.table_rows is not None:
        facts |= {"EstimatedRowsRead": operator.rows_read, "TableCardinality": operator.table_rows}
    own = made(operator.element, *operator.parts, **dict(operator.attributes))
    for child in operator.children:
        own.append(element_of(child, numbers))
    element = made("RelOp", **facts)
    SubElement(element, "OutputList").append(column("t", "id"))
    element.append(own)
    return element


def _access(
    name: str,
    about: Subject,
    alias: str,
    index: str,
    index_kind: str,
    rows: float,
    rows_read: float,
    cost: float,
    *,
    kind: str,
    seek: Element | None = None,
) -> Operator:
    predicates = [made("SeekPredicates", made("SeekPredicateNew", made("SeekKeys", seek)))] if seek is not None else []
    if seek is None and alias == "t":
        predicates.append(_predicate(about))
    ordered = "true" if seek is not None else "false"
    return Operator(
        name,
        kind,
        rows,
        cost,
        "IndexScan",
        (("Ordered", ordered), ("ForcedIndex", "false"), ("ForceScan", "false")),
        (_defined_by_reading(about, alias), _object(about, alias, index, index_kind), *predicates),
        rows_read=rows_read,
        table_rows=about.table_rows if alias == "t" else about.other_rows,
    )


def _object(about: Subject, alias: str, index: str, kind: str) -> Element:
    table = about.table if alias == "t" else about.other
    names = {"Database": f"[{DATABASE}]", "Schema": "[dbo]", "Table": f"[{table}]", "Index": f"[{index}]"}
    return made("Object", **names, Alias=f"[{alias}]", IndexKind=kind, Storage="RowStore")


def _defined_by_reading(about: Subject, alias: str) -> Element:
    return made("DefinedValues", made("DefinedValue", column(alias, "id", about)))


def _defined(name: str) -> Element:
    counted = made("ScalarOperator", made("Aggregate", AggType="countstar", Distinct=False), ScalarString="COUNT(*)")
    return made("DefinedValues", made("DefinedValue", made("ColumnReference", Column=name), counted))


def _identifier(reference: Element) -> Element:
    return made("ScalarOperator", made("Identifier", reference), ScalarString=reference.attrib["Column"])


def _range(key: Element, value: Element) -> Element:
    columns, expressions = made("RangeColumns", key), made("RangeExpressions", _identifier(value))
    return made("Prefix", columns, expressions, ScanType="EQ")


def _equals_parameter(about: Subject) -> Element:
    return _range(column("t", about.column, about), made("ColumnReference", Column="@p1"))


def _predicate(about: Subject) -> Element:
    left = _identifier(column("t", about.column, about))
    right = _identifier(made("ColumnReference", Column="@p1"))
    words = f"[{DATABASE}].[dbo].[{about.table}].[{about.column}] as [t].[{about.column}]=[@p1]"
    return made("Predicate", made("ScalarOperator", made("Compare", left, right, CompareOp="EQ"), ScalarString=words))


def _by(alias: str, name: str) -> tuple[Element, ...]:
    return (made("OrderBy", made("OrderByColumn", column(alias, name), Ascending=name != "changed_at")),)


def _in_parallel(operator: Operator) -> Operator:
    return replace(operator, parallel=True, children=tuple(_in_parallel(child) for child in operator.children))


def _seek_cost(rows: float) -> float:
    return 0.003_125 + 0.000_157 * rows


def _sort_cost(source: Operator) -> float:
    return 0.011_26 + 4e-6 * source.rows


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
