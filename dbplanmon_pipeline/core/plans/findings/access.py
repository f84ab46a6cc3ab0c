"""How tables are read: scans that throw rows away, lookups, visits that an index should have spared."""

import re
from collections.abc import Iterator

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.model import (
    MEDIUM_SHARE,
    POSTGRES,
    SQLSERVER,
    Found,
    Measure,
    Rule,
    Weight,
    rows,
    rule,
    weight_of,
)
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView
from dbplanmon_pipeline.core.plans.postgres.partitions import PARTITIONS
from dbplanmon_pipeline.core.plans.tree import NodeKind
from dbplanmon_pipeline.core.remedies.index_ddl import index_scripts
from dbplanmon_pipeline.core.remedies.what_if import what_ifs
from dbplanmon_pipeline.core.sqlnames import quote_name

MANY_ROWS = 10_000.0
FEW_LEFT = 0.1
"""A filter that leaves less of what was read is worth an index."""

SURELY_FEW = 0.01
"""Of more than this an index may be no better than the scan, so it is no grave matter."""

WORTH_SHARE = 0.05
MANY_LOOKUPS = 1_000.0
PAGES_PER_ROW = 8.0
"""Cost units of PostgreSQL that reading one row through an index takes at most, twice the usual random page."""

_OPEN_PATTERN = re.compile(r"(?:\blike\s+N?|~~\*?\s+)'[%_]", re.IGNORECASE)
_OF_OPEN_PATTERNS = (
    "A pattern that begins with a wildcard can be searched for in no ordinary index: compare whole values or their "
    "beginnings, or use full-text search, on PostgreSQL an index of trigrams (pg_trgm)."
)
_SCANS = frozenset({NodeKind.TABLE_SCAN, NodeKind.INDEX_SCAN})
_PREDICATES = ("Predicate", "Filter")


def _filtered(view: StatementView, node: Node) -> tuple[float, float] | None:
    """Rows it looks at in all executions and rows it delivers; None where the plan does not tell."""
    if not node.condition(*_PREDICATES):
        return None
    if view.engine == Engine.POSTGRES:
        removed = node.figure("Rows Removed by Filter")
        return None if removed is None or not node.ran else (node.rows + removed * node.executions, node.rows)
    if node.ran and node.operator.actual_rows_read is not None:
        return node.operator.actual_rows_read, node.rows
    whole = node.figure("TableCardinality") if node.operator.kind in _SCANS else None
    read = node.figure("EstimatedRowsRead") or whole or None
    return (read * node.executions, node.rows) if read else None


def _thrown_away(view: StatementView, kinds: frozenset[NodeKind]) -> Iterator[tuple[Node, float, float]]:
    """Reads of many rows of which few are left, that matter in the statement."""
    for node in view.nodes:
        if node.operator.kind not in kinds or node.share < WORTH_SHARE or _is_columnstore(node):
            continue
        told = _filtered(view, node)
        if told and told[0] >= MANY_ROWS and told[1] <= FEW_LEFT * told[0]:
            yield node, *told


def _is_columnstore(node: Node) -> bool:
    """Columnstores skip whole segments; what they look at is no measure."""
    return node.operator.attributes.get("Storage") == "ColumnStore"


@rule(
    "scan-filters-most-rows",
    "Scan that throws most rows away",
    "Give the filter an index that begins with its columns, or make the filter one that an existing index can serve.",
)
def scan_filters_most_rows(view: StatementView) -> Iterator[Found]:
    """Whole tables or indexes read for a few of their rows."""
    if not view.matters:
        return
    for node, read, kept in _thrown_away(view, _SCANS):
        text = f"{node.words} looks at {figure(read)} rows and keeps {figure(kept)} ({_percent(kept, read)})"
        advice, script = _proven(view, node)
        measures = (rows("rows_read", read), rows("rows_kept", kept))
        weight = weight_of(node.share if kept <= SURELY_FEW * read else min(node.share, MEDIUM_SHARE))
        yield Found(text, node, node.share, measures, advice=advice, script=script, weight=weight)
    if view.engine == Engine.POSTGRES:
        yield from _scans_by_estimate(view)


def _scans_by_estimate(view: StatementView) -> Iterator[Found]:
    """PostgreSQL does not say how many rows it will look at, but what the scan costs."""
    for node in view.nodes:
        operator = node.operator
        cost, wanted = operator.estimated_cost or 0.0, operator.estimated_rows or 0.0
        if operator.kind != NodeKind.TABLE_SCAN or operator.actual_rows is not None or not node.condition("Filter"):
            continue
        if cost >= 1_000.0 and node.share >= WORTH_SHARE and wanted * PAGES_PER_ROW < cost:
            text = (
                f"{node.words} reads the whole table (cost {figure(cost)}) for an estimated {figure(wanted)} rows, "
                "which no index serves"
            )
            measures = (Measure("estimated_cost", cost, "cost units"), rows("rows_kept", wanted))
            advice, script = _proven(view, node)
            yield Found(text, node, node.share, measures, advice=advice, script=script)


def _proven(view: StatementView, node: Node) -> tuple[str, str]:
    """Advice and script for an index of its table that the planner was shown and would use.

    Without one a word where no index on the column can help, as far as the values are told, and no script.
    """
    table = f"{node.operator.schema}.{node.operator.relation}"
    for tried in what_ifs(view.context) if view.engine == Engine.POSTGRES else ():
        scripts = index_scripts(tried.definition, Engine.POSTGRES)
        if scripts and tried.table == table:
            return f"With this index the planner puts the statement at a cost of {tried.gain}.", scripts.create
    return (_OF_OPEN_PATTERNS if _OPEN_PATTERN.search(node.condition(*_PREDICATES)) else ""), ""


@rule(
    "index-filters-most-rows",
    "Index read that throws most rows away",
    "Add the filtered columns to the key of the index, behind those it is searched by, so that it reads only what it "
    "keeps.",
)
def index_filters_most_rows(view: StatementView) -> Iterator[Found]:
    """Seeks whose remaining filter does the real work."""
    if not view.matters:
        return
    for node, read, kept in _thrown_away(view, frozenset({NodeKind.INDEX_SEEK, NodeKind.BITMAP_SCAN})):
        text = (
            f"{node.words} finds {figure(read)} rows through the index and throws away all but {figure(kept)} "
            f"({_percent(kept, read)})"
        )
        yield Found(text, node, node.share, (rows("rows_read", read), rows("rows_kept", kept)))


def _lookups(view: StatementView, name: str) -> Iterator[tuple[Node, float, tuple[Measure, ...]]]:
    for node in view.nodes:
        if node.operator.name == name and node.executions >= MANY_LOOKUPS and node.tree_share >= WORTH_SHARE:
            yield node, node.executions, (Measure("lookups", node.executions, "executions"),)


@rule(
    "key-lookup",
    "Key lookup for many rows",
    "Include the columns that are looked up in the index that finds the rows, if they are few; else ask whether the "
    "statement needs them.",
    SQLSERVER,
)
def key_lookup(view: StatementView) -> Iterator[Found]:
    """One visit to the clustered index per row."""
    if view.matters:
        for node, times, measures in _lookups(view, "Key Lookup"):
            text = f"{node.words} fetches missing columns row by row, {figure(times)} times"
            yield Found(text, node, node.tree_share, measures)


@rule(
    "rid-lookup",
    "Row lookup in a heap",
    "Give the table a clustered index, or include the columns in the index that finds the rows.",
    SQLSERVER,
)
def rid_lookup(view: StatementView) -> Iterator[Found]:
    """One visit to the heap per row."""
    if view.matters:
        for node, times, measures in _lookups(view, "RID Lookup"):
            text = f"{node.words} fetches missing columns from a heap row by row, {figure(times)} times"
            yield Found(text, node, node.tree_share, measures)


@rule(
    "heap-fetches",
    "Index-only scan that visits the table",
    "Vacuum the table, and let autovacuum visit it more often, so that the visibility map spares these visits.",
    POSTGRES,
)
def heap_fetches(view: StatementView) -> Iterator[Found]:
    """Index-only scans of pages that are not marked as visible to all."""
    for node in view.nodes:
        fetched = node.figure("Heap Fetches") or 0.0
        if fetched >= MANY_LOOKUPS and fetched >= 0.1 * node.rows:
            text = f"{node.words} visits the table {figure(fetched)} times for {figure(node.rows)} rows"
            table = ".".join(quote_name(name, Engine.POSTGRES) for name in _path(node))
            measures = (Measure("heap_fetches", fetched, "visits"), rows("rows", node.rows))
            script = f"VACUUM (ANALYZE) {table};" if table else ""
            yield Found(text, node, node.share, measures, script=script)


def _path(node: Node) -> list[str]:
    """Schema and table; none where the operator stands for several partitions, or a name cannot be written."""
    names = [name for name in (node.operator.schema, node.operator.relation) if name]
    return names if PARTITIONS not in node.operator.attributes and not any("\0" in name for name in names) else []


@rule(
    "lossy-bitmap",
    "Bitmap too large for work_mem",
    "Raise work_mem for this statement, or make the condition more selective, so that the bitmap can name rows "
    "instead of whole pages.",
    POSTGRES,
)
def lossy_bitmap(view: StatementView) -> Iterator[Found]:
    """Bitmaps that fell back to pages."""
    for node in view.nodes:
        lossy, exact = node.figure("Lossy Heap Blocks") or 0.0, node.figure("Exact Heap Blocks") or 0.0
        if lossy >= 100.0 and lossy >= 0.1 * (lossy + exact):
            whole = f"{figure(lossy)} of {figure(lossy + exact)} pages whole"
            text = f"{node.words} reads {whole}, because its bitmap is lossy"
            measures = (Measure("lossy_blocks", lossy, "pages"), Measure("exact_blocks", exact, "pages"))
            yield Found(text, node, node.share, measures)


@rule(
    "rechecked-rows",
    "Index that only comes near",
    "Use an index that answers the condition exactly, or a more selective condition; for trigrams and ranges another "
    "operator class may do.",
    POSTGRES,
)
def rechecked_rows(view: StatementView) -> Iterator[Found]:
    """Rows that the index brought and the recheck threw away, though the bitmap was exact."""
    for node in view.nodes:
        removed = (node.figure("Rows Removed by Index Recheck") or 0.0) * node.executions
        if removed >= MANY_ROWS and removed >= node.rows and not node.figure("Lossy Heap Blocks"):
            text = f"{node.words} checks its condition again and throws away {figure(removed)} rows"
            yield Found(text, node, node.share, (rows("rows_removed", removed), rows("rows_kept", node.rows)))


@rule(
    "backward-scan",
    "Index read backwards",
    "Where this read should run in parallel, or is very frequent, give the index the order the statement asks for.",
    SQLSERVER,
)
def backward_scan(view: StatementView) -> Iterator[Found]:
    """Backward reads cannot run in parallel."""
    if not view.matters:
        return
    for node in view.nodes:
        if node.operator.direction == "Backward" and node.rows >= MANY_ROWS and node.share >= WORTH_SHARE:
            text = f"{node.words} reads {figure(node.rows)} rows backwards, which cannot run in parallel"
            yield Found(text, node, node.share, (rows("rows", node.rows),), weight=Weight.LOW)


@rule(
    "late-filter",
    "Rows filtered late",
    "Move the condition to where the rows are read: out of HAVING, an outer query or a materialised CTE, and off "
    "computed or aggregated columns.",
)
def late_filter(view: StatementView) -> Iterator[Found]:
    """Filters far above the tables that throw most rows away."""
    if not view.matters:
        return
    for node in view.nodes:
        given = _given(view, node)
        if given >= MANY_ROWS and node.rows <= FEW_LEFT * given:
            scan = _columnstore_below(view, node)
            after = f"above the scan of {scan.operator.target}" if scan else "after they were read and joined"
            text = f"{node.words} gets {figure(given)} rows and keeps {figure(node.rows)}, {after}"
            share = max((child.tree_share for child in view.inputs(node)), default=node.share)
            if share >= WORTH_SHARE:
                measures = (rows("rows_read", given), rows("rows_kept", node.rows))
                yield Found(
                    text,
                    node,
                    share,
                    measures,
                    advice=_ABOVE_COLUMNSTORE if scan else "",
                    weight=Weight.LOW if scan else None,
                )


_ABOVE_COLUMNSTORE = (
    "A columnstore judges such a condition only after it has unpacked the rows. This is usual for strings compared by "
    "LIKE or a function, and needs no cure unless the scan is slow; then compare a short code instead of the text, or "
    "add a nonclustered index."
)


def _columnstore_below(view: StatementView, node: Node) -> Node | None:
    """The scan of a columnstore whose rows a filter gets at first hand."""
    below = view.inputs(node)[:1]
    return below[0] if below and below[0].operator.name == "Columnstore Index Scan" else None


def _given(view: StatementView, node: Node) -> float:
    """Rows that a late filter gets; 0 for operators that are none."""
    if node.operator.kind in (NodeKind.SUBQUERY, NodeKind.CTE_SCAN):
        removed = node.figure("Rows Removed by Filter")
        return node.rows + removed * node.executions if removed and node.ran else 0.0
    if node.operator.name != "Filter" or node.flag("StartupExpression"):
        return 0.0
    return sum(child.rows for child in view.inputs(node)[:1])


def _percent(part: float, whole: float) -> str:
    share = 100.0 * part / whole
    return f"{share:.0f} %" if share >= 1 else f"{share:.2g} %"


RULES: tuple[Rule, ...] = (
    scan_filters_most_rows,
    index_filters_most_rows,
    key_lookup,
    rid_lookup,
    heap_fetches,
    lossy_bitmap,
    rechecked_rows,
    backward_scan,
    late_filter,
)
