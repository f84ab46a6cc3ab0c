"""Memory: what did not fit and went to disk, and what was reserved and not used."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.model import (
    POSTGRES,
    SQLSERVER,
    Found,
    Measure,
    Rule,
    Weight,
    counted,
    rule,
    weight_of,
)
from dbplanmon_pipeline.core.plans.findings.view import Node, StatementView, number_of
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of
from dbplanmon_pipeline.core.plans.tree import NodeKind, PlanWarning

LARGE_GRANT_KB = 100.0 * 1024
SMALL_GRANT_KB = 10.0 * 1024
"""Nobody waits for less, even where the server itself calls it too much."""

USED_OF_GRANT = 0.1
MEMORY_PER_DISK = 3.0
MOST_WORK_MEM_MB = 1024
_SPILLS = frozenset({"SpillToTempDb", "SortSpillDetails", "HashSpillDetails", "ExchangeSpillDetails", "SpillOccurred"})
_HASHES = frozenset({NodeKind.HASH_JOIN, NodeKind.AGGREGATE, NodeKind.HASH, NodeKind.ADAPTIVE_JOIN, NodeKind.APPEND})
_PAGE_KB = 8.0


def _spills(node: Node) -> tuple[PlanWarning, ...]:
    return tuple(warning for warning in node.operator.warnings if warning.kind in _SPILLS)


def _spill_words(warnings: tuple[PlanWarning, ...]) -> tuple[str, tuple[Measure, ...]]:
    """How far it spilled, as much as this version tells."""
    fields: dict[str, str] = {}
    for warning in warnings:
        fields |= warning.fields
    pages, level = figure_of(fields.get("WritesToTempDb")), figure_of(fields.get("SpillLevel"))
    measures, words = [], []
    if pages:
        measures.append(Measure("written", pages, "pages"))
        words.append(f"{figure(pages)} pages written ({figure(pages * _PAGE_KB / 1024)} MB)")
    if level:
        measures.append(Measure("spill_level", level, "level"))
        words.append(f"level {figure(level)}")
    return f": {', '.join(words)}" if words else "", tuple(measures)


def _spilled(view: StatementView, node: Node, what: str) -> Iterator[Found]:
    warnings = _spills(node)
    if warnings:
        words, measures = _spill_words(warnings)
        yield Found(
            f"{node.words} {what} tempdb{words}", node, node.share, measures, weight=_at_least_medium(node, view)
        )


def _at_least_medium(node: Node, view: StatementView) -> Weight:
    """What was written to disk was measured, so the estimate of its cost does not belittle it."""
    weight = weight_of(node.share)
    return Weight.MEDIUM if weight == Weight.LOW and view.matters else weight


@rule(
    "sort-on-disk",
    "Sort that spilled to disk",
    "Give it an index that delivers the order, sort fewer or narrower rows, or see why too few rows were expected; "
    "then think of more memory.",
)
def sort_on_disk(view: StatementView) -> Iterator[Found]:
    """Sorts whose rows did not fit into memory."""
    for node in view.nodes:
        if node.operator.kind != NodeKind.SORT:
            continue
        if view.engine == Engine.SQLSERVER:
            yield from _spilled(view, node, "sorted through")
        elif used := _sorted_on_disk_kb(node):
            # What it delivers is counted again where a merge join goes back; what it gets is not.
            sorted_rows = sum(child.rows for child in view.inputs(node)) or node.rows
            text = f"{node.words} sorted {counted(sorted_rows, 'row')} through {figure(sum(used) / 1024)} MB on disk"
            measures = (Measure("disk", sum(used), "kB"),)
            weight = _at_least_medium(node, view)
            yield Found(text, node, node.share, measures, script=_more_work_mem(max(used)), weight=weight)


def _sorted_on_disk_kb(node: Node) -> list[float]:
    """Of the process and of each parallel worker; an incremental sort tells the most that a group took."""
    told = [_of(one, "Sort Space Used") for one in _tellers(node) if one.get("Sort Space Type") == "Disk"]
    for name in ("Full-sort Groups", "Pre-sorted Groups"):
        groups = node.operator.attributes.get(name)
        disk = groups.get("Sort Space Disk") if isinstance(groups, dict) else None
        told.append(_of(disk, "Peak Sort Space Used") if isinstance(disk, dict) else 0.0)
    return [kilobytes for kilobytes in told if kilobytes]


def _tellers(node: Node) -> list[Mapping[str, Any]]:
    """Attributes of an operator of PostgreSQL, and those that each of its parallel workers has of its own."""
    workers = node.operator.attributes.get("Workers")
    told = [one for one in workers if isinstance(one, dict)] if isinstance(workers, list) else []
    return [node.operator.attributes, *told]


def _of(told: Mapping[str, Any], name: str) -> float:
    return max(0.0, number_of(told.get(name)) or 0.0)


def _more_work_mem(disk_kb: float) -> str:
    """Enough for the rows that one process sorts, which take more room in memory than on disk; empty if too much."""
    wanted = disk_kb / 1024 * MEMORY_PER_DISK
    return f"SET LOCAL work_mem = '{math.ceil(wanted)}MB';" if 0.0 < wanted <= MOST_WORK_MEM_MB else ""


@rule(
    "hash-on-disk",
    "Hash table that spilled to disk",
    "Hash the smaller side, fewer columns or fewer rows; see why too few rows were expected; then think of more memory "
    "(work_mem, hash_mem_multiplier, the memory grant).",
)
def hash_on_disk(view: StatementView) -> Iterator[Found]:
    """Hash joins and aggregates whose table did not fit into memory."""
    for node in view.nodes:
        if node.operator.kind not in _HASHES:
            continue
        if view.engine == Engine.SQLSERVER:
            yield from _spilled(view, node, "spilled its hash table to")
            continue
        told = _tellers(node)
        batches = max(_of(one, name) for one in told for name in ("Hash Batches", "HashAgg Batches"))
        disk = sum(_of(one, "Disk Usage") for one in told)
        if batches > 1.0 and (disk > 0.0 or node.operator.kind == NodeKind.HASH):
            tail = f", {figure(disk / 1024)} MB on disk" if disk else ""
            of = f" for {counted(node.rows, 'row')}" if node.rows else ""
            text = f"{node.words} needed {figure(batches)} batches{of}{tail}"
            measures = (Measure("batches", batches, "batches"), Measure("disk", disk, "kB"))
            yield Found(text, node, node.share, measures, weight=_at_least_medium(node, view))


@rule(
    "exchange-spill",
    "Exchange between threads that spilled",
    "Threads waited for each other's ordered rows: run the statement with a lower degree of parallelism, or avoid the "
    "order with another index or join.",
    SQLSERVER,
)
def exchange_spill(view: StatementView) -> Iterator[Found]:
    """Exchanges that wrote rows to tempdb to resolve a deadlock inside the statement."""
    for node in view.nodes:
        if node.operator.kind == NodeKind.EXCHANGE:
            yield from _spilled(view, node, "wrote rows to")


def _grant(view: StatementView) -> Mapping[str, str]:
    told = view.statement.attributes.get("MemoryGrantInfo")
    return told if isinstance(told, dict) else {}


def _grant_warnings(view: StatementView) -> Iterator[Mapping[str, str]]:
    for warning in view.statement.warnings:
        if warning.kind == "MemoryGrantWarning":
            yield warning.fields


def _grant_measures(fields: Mapping[str, str]) -> tuple[float, float, tuple[Measure, ...]]:
    granted, used = figure_of(fields.get("GrantedMemory")) or 0.0, figure_of(fields.get("MaxUsedMemory")) or 0.0
    return granted, used, (Measure("granted", granted, "kB"), Measure("used", used, "kB"))


@rule(
    "memory-grant-too-large",
    "Memory reserved and not used",
    "Look for wide columns (nvarchar(max), over-long types) and too high row estimates below the sorts and hashes; "
    "grant feedback or MAX_GRANT_PERCENT limit it.",
    SQLSERVER,
)
def memory_grant_too_large(view: StatementView) -> Iterator[Found]:
    """Others wait for memory that this statement holds and does not touch."""
    granted, used, measures = _grant_measures(_grant(view))
    warned = [fields for fields in _grant_warnings(view) if fields.get("GrantWarningKind", "").startswith("Excessive")]
    if warned and not granted:
        granted, used, measures = _grant_measures(warned[0])
    known = "MaxUsedMemory" in _grant(view) or bool(warned)
    if (
        granted >= SMALL_GRANT_KB
        and known
        and (warned or (granted >= LARGE_GRANT_KB and used <= USED_OF_GRANT * granted))
    ):
        weight = Weight.HIGH if granted >= 10 * LARGE_GRANT_KB else Weight.MEDIUM
        text = f"it was granted {_mb(granted)} of memory and used {_mb(used)}"
        yield Found(text, share=1.0, measures=measures, weight=weight if view.matters or not warned else Weight.LOW)


@rule(
    "memory-grant-too-small",
    "Memory grant too small",
    "The optimizer expected fewer or narrower rows: correct the estimate first; MIN_GRANT_PERCENT is the last resort.",
    SQLSERVER,
)
def memory_grant_too_small(view: StatementView) -> Iterator[Found]:
    """The engine's own warning that the grant was exceeded or had to grow."""
    for fields in _grant_warnings(view):
        if not fields.get("GrantWarningKind", "Excessive").startswith("Excessive"):
            granted, used, measures = _grant_measures(fields)
            text = f"it was granted {_mb(granted)} of memory and needed {_mb(used)}"
            yield Found(text, share=1.0, measures=measures, weight=Weight.MEDIUM)
            return


@rule(
    "memory-grant-wait",
    "Waited for memory",
    "Find the statements that hold large grants at that time (sys.dm_exec_query_memory_grants); this one only stood "
    "in the queue unless its own grant is large.",
    SQLSERVER,
)
def memory_grant_wait(view: StatementView) -> Iterator[Found]:
    """Seconds before the statement could begin."""
    told = figure_of(_grant(view).get("GrantWaitTime"))
    warned = (figure_of(one.fields.get("WaitTime")) for one in view.statement.warnings if one.detail == "Memory Grant")
    # Real plans have 58 in the warning, 0 here, and ran for 3 s: what is told here counts.
    seconds = told if told is not None else max((wait or 0.0 for wait in warned), default=0.0)
    if seconds >= 1.0:
        text = f"it waited {figure(seconds)} s for its memory grant before it could begin"
        yield Found(text, share=1.0, measures=(Measure("waited", seconds, "s"),), weight=Weight.HIGH)


@rule(
    "memoize-misses",
    "Cache that hardly ever hits",
    "The values come too mixed or too many for the cache: raise work_mem where entries are evicted, else compare with "
    "enable_memoize off.",
    POSTGRES,
)
def memoize_misses(view: StatementView) -> Iterator[Found]:
    """Memoize nodes that look up more than they remember."""
    for node in view.nodes:
        hits, misses = node.figure("Cache Hits") or 0.0, node.figure("Cache Misses") or 0.0
        if misses >= 1_000.0 and misses > hits:
            evicted = node.figure("Cache Evictions") or 0.0
            found = f"{figure(hits)} of {figure(hits + misses)} values"
            text = f"{node.words} found {found} in its cache and evicted {figure(evicted)}"
            measures = (Measure("hits", hits, "lookups"), Measure("misses", misses, "lookups"))
            yield Found(text, node, node.tree_share, (*measures, Measure("evictions", evicted, "entries")))


def _mb(kilobytes: float) -> str:
    return f"{figure(kilobytes / 1024)} MB"


RULES: tuple[Rule, ...] = (
    sort_on_disk,
    hash_on_disk,
    exchange_spill,
    memory_grant_too_large,
    memory_grant_too_small,
    memory_grant_wait,
    memoize_misses,
)
