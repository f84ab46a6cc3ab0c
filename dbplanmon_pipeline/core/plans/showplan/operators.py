"""The operators (RelOp) of a showplan as operators of the house."""

from collections.abc import Callable, Mapping
from functools import lru_cache

from lxml import etree

from dbplanmon_pipeline.core.plans.sealing import unsealed
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of, is_true, pairs_of, plain_name
from dbplanmon_pipeline.core.plans.showplan.elements import MARK
from dbplanmon_pipeline.core.plans.tree import NodeKind, Operator, PlanWarning
from dbplanmon_pipeline.core.statements.tsql import closed_tsql

_KINDS = {
    "Table Scan": NodeKind.TABLE_SCAN,
    "Inserted Scan": NodeKind.TABLE_SCAN,
    "Deleted Scan": NodeKind.TABLE_SCAN,
    "Log Row Scan": NodeKind.TABLE_SCAN,
    "Clustered Index Scan": NodeKind.INDEX_SCAN,
    "Index Scan": NodeKind.INDEX_SCAN,
    "Columnstore Index Scan": NodeKind.INDEX_SCAN,
    "Extensible Column Store Scan": NodeKind.INDEX_SCAN,
    "Clustered Index Seek": NodeKind.INDEX_SEEK,
    "Index Seek": NodeKind.INDEX_SEEK,
    "Key Lookup": NodeKind.LOOKUP,
    "RID Lookup": NodeKind.LOOKUP,
    "Nested Loops": NodeKind.NESTED_LOOPS,
    "Hash Match": NodeKind.HASH_JOIN,
    "Merge Join": NodeKind.MERGE_JOIN,
    "Adaptive Join": NodeKind.ADAPTIVE_JOIN,
    "Batch Hash Table Build": NodeKind.HASH,
    "Sort": NodeKind.SORT,
    "Top": NodeKind.TOP,
    "Stream Aggregate": NodeKind.AGGREGATE,
    "Window Aggregate": NodeKind.WINDOW,
    "Window Spool": NodeKind.WINDOW,
    "Segment": NodeKind.WINDOW,
    "Sequence Project": NodeKind.WINDOW,
    "Rank": NodeKind.WINDOW,
    "Table Spool": NodeKind.SPOOL,
    "Index Spool": NodeKind.SPOOL,
    "Row Count Spool": NodeKind.SPOOL,
    "Parallelism": NodeKind.EXCHANGE,
    "Bitmap": NodeKind.FILTER,
    "Concatenation": NodeKind.APPEND,
    "Async Concat": NodeKind.APPEND,
    "Sequence": NodeKind.APPEND,
    "Switch": NodeKind.APPEND,
    "Filter": NodeKind.FILTER,
    "Assert": NodeKind.FILTER,
    "Compute Scalar": NodeKind.COMPUTE,
    "Split": NodeKind.COMPUTE,
    "Collapse": NodeKind.COMPUTE,
    "Merge Interval": NodeKind.COMPUTE,
    "Print": NodeKind.COMPUTE,
    "UDX": NodeKind.COMPUTE,
    "Table-valued function": NodeKind.FUNCTION_SCAN,
    "Parameter Table Scan": NodeKind.FUNCTION_SCAN,
    "Constant Scan": NodeKind.CONSTANT,
    "Foreign Key References Check": NodeKind.FILTER,
    # Of Azure Synapse.
    "Get": NodeKind.TABLE_SCAN,
    "Constant Table Get": NodeKind.CONSTANT,
    "Shuffle": NodeKind.EXCHANGE,
    "Broadcast": NodeKind.EXCHANGE,
    "Trim": NodeKind.EXCHANGE,
    "Single Source Round Robin Move": NodeKind.EXCHANGE,
    "Compute To Control Node": NodeKind.EXCHANGE,
    "Control To Compute Nodes": NodeKind.EXCHANGE,
    "GbAgg": NodeKind.AGGREGATE,
    "LocalCube": NodeKind.AGGREGATE,
    "Project": NodeKind.COMPUTE,
    "Union": NodeKind.APPEND,
    "Union All": NodeKind.APPEND,
}
_JOIN_OR_ELSE = frozenset({NodeKind.HASH_JOIN, NodeKind.MERGE_JOIN, NodeKind.NESTED_LOOPS})
_MODIFIES = (" Insert", " Update", " Delete", " Merge")

_RELOP, _OBJECT = f"{MARK}RelOp", f"{MARK}Object"
_SCALAR, _COLUMN = f"{MARK}ScalarOperator", f"{MARK}ColumnReference"
_IS_NOT_NULL = f"{MARK}IsNotNull"
_RANGE = frozenset({f"{MARK}Prefix", f"{MARK}StartRange", f"{MARK}EndRange", _IS_NOT_NULL})
_RANGE_COLUMNS, _RANGE_EXPRESSIONS = f"{MARK}RangeColumns", f"{MARK}RangeExpressions"
_RUNTIME = f"{MARK}RunTimeInformation"
_BESIDE = frozenset(
    MARK + name
    for name in (
        "OutputList",
        "Warnings",
        "MemoryFractions",
        "RunTimePartitionSummary",
        "InternalInfo",
        "RunTimeInformation",
    )
)
_Operator = unsealed(Operator)
_SIGNS = {"EQ": "=", "GE": ">=", "GT": ">", "LE": "<=", "LT": "<", "NE": "<>"}


def operator_of(
    element: etree._Element, role: str, children: tuple[Operator, ...], warnings: tuple[PlanWarning, ...] = ()
) -> Operator:
    """One operator from its RelOp, with inputs and warnings already made.

    Actual figures follow the house: rows and time per execution, threads counted as executions of their own.
    """
    detail, runtime = _parts(element)
    said = dict(pairs_of(element))
    conditions = _detailed(detail, said) if detail is not None else ()
    rows, executions, spent_ms, elapsed_ms, cpu_ms, rows_read, by_worker = (
        _measured(runtime) if runtime is not None else _NOT_MEASURED
    )
    remote = said.get("RemoteSource", "")
    take = said.pop
    name, logical = _name(take("PhysicalOp", ""), said), take("LogicalOp", "")
    kind, join_type, strategy = _words_of(name, logical)
    return _Operator(
        kind=kind,
        name=name,
        role=role,
        relation=plain_name(take("Table", "") or remote),
        schema=plain_name(take("Schema", "")),
        alias=plain_name(take("Alias", "")),
        index=plain_name(take("Index", "")),
        join_type=join_type,
        strategy=strategy,
        direction=take("ScanDirection", "").capitalize(),
        parallel=is_true(take("Parallel", "")),
        conditions=conditions,
        estimated_rows=figure_of(take("EstimateRows", "")),
        estimated_cost=figure_of(take("EstimatedTotalSubtreeCost", "")),
        estimated_width_bytes=figure_of(take("AvgRowSize", "")),
        actual_rows=rows,
        actual_loops=executions,
        actual_ms=spent_ms,
        elapsed_ms=elapsed_ms,
        cpu_ms=cpu_ms,
        actual_rows_read=rows_read,
        rows_by_worker=by_worker,
        warnings=warnings,
        children=children,
        attributes=said,
    )


def input_roles(parent: NodeKind, count: int) -> tuple[str, ...]:
    """Places of the inputs of an operator: a hash join builds from its first input and probes with the next."""
    if not parent.is_join or count < 2:
        return ("",) * count
    if parent == NodeKind.HASH_JOIN:
        return ("Build", "Probe", *("",) * (count - 2))
    if parent == NodeKind.ADAPTIVE_JOIN:
        return ("Build", "Probe", "Inner", *("",) * (count - 3))[:count]
    return ("Outer", "Inner", *("",) * (count - 2))


def kind_of(element: etree._Element) -> NodeKind:
    """Kind of a RelOp that is not an operator yet."""
    return _kind(element.get("PhysicalOp", ""), element.get("LogicalOp", ""))


def _name(name: str, said: Mapping[str, str]) -> str:
    if is_true(said.get("Lookup")):
        return "Key Lookup"
    if said.get("Storage") == "ColumnStore" and name in ("Clustered Index Scan", "Index Scan"):
        return "Columnstore Index Scan"
    return name


def _kind(name: str, logical: str) -> NodeKind:
    kind = _KINDS.get(name)
    if kind in _JOIN_OR_ELSE and not logical.endswith((" Join", " Apply")):
        return NodeKind.AGGREGATE if logical.endswith(("Aggregate", "Distinct")) else NodeKind.APPEND
    if kind:
        return kind
    if name.startswith(("Remote ", "External ")):
        return NodeKind.REMOTE
    return NodeKind.MODIFY if name.endswith(_MODIFIES) else NodeKind.OTHER


@lru_cache(maxsize=1024)
def _words_of(name: str, logical: str) -> tuple[NodeKind, str, str]:
    """Kind, join type and strategy; the same few pairs of words come again and again."""
    kind = _kind(name, logical)
    return kind, logical.removesuffix(" Join") if kind.is_join else "", _strategy(kind, name, logical)


def _strategy(kind: NodeKind, name: str, logical: str) -> str:
    if kind.is_join or kind in (NodeKind.MODIFY, NodeKind.LOOKUP) or kind.reads_relation or logical == name:
        return ""
    return logical.removesuffix(" Spool") if kind == NodeKind.SPOOL else logical


def _parts(element: etree._Element) -> tuple[etree._Element | None, etree._Element | None]:
    """The element that says what the operator does, and the one with what was measured."""
    detail = runtime = None
    for child in element:
        tag = child.tag
        if tag == _RUNTIME:
            runtime = child if runtime is None else runtime
        elif detail is None and tag not in _BESIDE:
            detail = child
    return detail, runtime


_Figure = float | None
_Measured = tuple[_Figure, _Figure, _Figure, _Figure, _Figure, _Figure, tuple[float, ...]]
_NOT_MEASURED: _Measured = (None, None, None, None, None, None, ())


def _measured(runtime: etree._Element) -> _Measured:
    """Rows and ms of an execution, executions; of all threads elapsed ms, ms of CPU, rows read; rows by worker.

    An execution takes as long as the slowest thread. Thread 0 is no worker: it only coordinates the others.
    """
    rows = executions = most = 0.0
    spent: list[float] = []
    busy: list[float] = []
    read: list[float] = []
    workers: list[float] = []
    for thread in runtime:
        said = thread.get
        delivered, loops = figure_of(said("ActualRows")) or 0.0, figure_of(said("ActualExecutions")) or 0.0
        rows, executions, most = rows + delivered, executions + loops, max(most, loops)
        if (elapsed := figure_of(said("ActualElapsedms"))) is not None:
            spent.append(elapsed)
            busy.append(figure_of(said("ActualCPUms")) or 0.0)
        if (seen := figure_of(said("ActualRowsRead"))) is not None:
            read.append(seen)
        if said("Thread") != "0":
            workers.append(delivered)
    return (
        rows / max(1.0, executions),
        executions,
        max(spent) / max(1.0, most) if spent else None,
        sum(spent) if spent else None,
        sum(busy) if busy else None,
        sum(read) if read else None,
        tuple(workers) if len(workers) > 1 else (),
    )


def _detailed(detail: etree._Element, said: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """The conditions of an operator; what its element and the first object in it say is added to `said`."""
    said.update(pairs_of(detail))
    conditions: list[tuple[str, str]] = []
    target = None
    for child in detail:
        tag = child.tag
        reader = _READERS.get(tag)
        if reader:
            text = reader[1](child)
            if text:
                conditions.append((reader[0], text))
        elif target is None and tag == _OBJECT:
            target = child
            said.update(pairs_of(child))
    return tuple(conditions)


def _scalar(element: etree._Element) -> str:
    return " AND ".join([_expression(child) for child in element if child.tag == _SCALAR])


def _listed(element: etree._Element) -> str:
    return ", ".join([_expression(child) for child in element if child.tag == _SCALAR])


def _expression(element: etree._Element) -> str:
    """The text of an expression, with an end if it is cut off: else a string would end within the next expression."""
    return closed_tsql(element.get("ScalarString", ""))


def _columns(element: etree._Element) -> str:
    return ", ".join([_column(child) for child in element if child.tag == _COLUMN])


def _column(reference: etree._Element) -> str:
    return _bracketed(reference.get("Alias") or reference.get("Table") or "", reference.get("Column", ""))


@lru_cache(maxsize=4096)
def _bracketed(table: str, column: str) -> str:
    """`[o].[Id]`; names stand with brackets or without, depending on the version."""
    names = [plain_name(name).replace("]", "]]") for name in (table, column)]
    return f"[{names[0]}].[{names[1]}]" if table else f"[{names[1]}]"


def _order(element: etree._Element) -> str:
    keys: list[str] = []
    for key in element:
        direction = "" if is_true(key.get("Ascending", "1")) else " DESC"
        keys.extend(f"{_column(reference)}{direction}" for reference in key)
    return ", ".join(keys)


def _seeks(element: etree._Element) -> str:
    return " AND ".join([part for place in _ranges(element) if (part := _range(place))])


def _ranges(element: etree._Element) -> list[etree._Element]:
    """Prefixes and ends of seeks, which stand one to three levels below, depending on the version."""
    found: list[etree._Element] = []
    for child in element:
        if child.tag in _RANGE:
            found.append(child)
            continue
        for part in child:
            if part.tag in _RANGE:
                found.append(part)
            else:
                found.extend([place for place in part if place.tag in _RANGE])
    return found


def _range(place: etree._Element) -> str:
    """`[o].[A] = [@p1] AND [o].[B] = (2)` for one prefix or end of a seek."""
    if place.tag == _IS_NOT_NULL:
        return f"{_columns(place)} IS NOT NULL"
    columns = expressions = None
    for child in place:
        if child.tag == _RANGE_COLUMNS:
            columns = child
        elif child.tag == _RANGE_EXPRESSIONS:
            expressions = child
    if columns is None or expressions is None:
        return ""
    word = place.get("ScanType", "")
    sign = _SIGNS.get(word, word)
    values = [_expression(child) for child in expressions]
    names = [_column(child) for child in columns]
    return " AND ".join([f"{name} {sign} {value}" for name, value in zip(names, values, strict=False)])


_READERS: dict[str, tuple[str, Callable[[etree._Element], str]]] = {
    MARK + tag: entry
    for tag, entry in {
        "SeekPredicates": ("Seek Predicate", _seeks),
        "SeekPredicate": ("Seek Predicate", _seeks),
        "SeekPredicateNew": ("Seek Predicate", _seeks),
        "Predicate": ("Predicate", _scalar),
        "HashKeysBuild": ("Hash Keys Build", _columns),
        "HashKeysProbe": ("Hash Keys Probe", _columns),
        "BuildResidual": ("Build Residual", _scalar),
        "ProbeResidual": ("Probe Residual", _scalar),
        "OuterSideJoinColumns": ("Outer Join Columns", _columns),
        "InnerSideJoinColumns": ("Inner Join Columns", _columns),
        "Residual": ("Residual", _scalar),
        "OuterReferences": ("Outer References", _columns),
        "PassThru": ("Pass Through", _scalar),
        "OrderBy": ("Sort Key", _order),
        "GroupBy": ("Group Key", _columns),
        "PartitionColumns": ("Partition Columns", _columns),
        "TopExpression": ("Top Expression", _scalar),
        "OffsetExpression": ("Offset Expression", _scalar),
        "SetPredicate": ("Set Predicate", _scalar),
        "ParameterList": ("Parameters", _listed),
        "HashKeys": ("Hash Keys", _columns),
    }.items()
}
