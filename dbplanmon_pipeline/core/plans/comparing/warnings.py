"""What the engine itself wrote into one of two plans only: warnings, wishes for indexes, spills."""

from collections.abc import Iterator

from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference, came_and_went
from dbplanmon_pipeline.core.plans.comparing.nodes import Comparable
from dbplanmon_pipeline.core.plans.tree import MissingIndex, NodeKind, Operator, PlanStatement, PlanWarning

_WORDS = {
    "NoJoinPredicate": "join without a condition",
    "ColumnsWithNoStatistics": "columns without statistics",
    "ColumnsWithStaleStatistics": "columns with stale statistics",
    "SpillToTempDb": "spill to tempdb",
    "UnmatchedIndexes": "filtered index that could not be used",
    "MemoryGrantWarning": "memory grant",
}
_CONVERSIONS = {
    "Seek Plan": "implicit conversion that prevents a seek",
    "Cardinality Estimate": "implicit conversion that blurs an estimate",
}
_DETAILS = frozenset({"SortSpillDetails", "HashSpillDetails", "ExchangeSpillDetails"})
"""Stand beside the warning of the spill itself."""


def compare_warnings(before: PlanStatement, after: PlanStatement, comparable: Comparable) -> Iterator[PlanDifference]:
    """Warnings and wishes the engine wrote into one plan only."""
    warned = (
        [_words(item, comparable) for item in side.warnings if item.kind not in _DETAILS] for side in (before, after)
    )
    yield from came_and_went(DifferenceKind.WARNING, *warned, one="")
    spilled = ([words for one in side.operators() if (words := _on_disk(one))] for side in (before, after))
    yield from came_and_went(DifferenceKind.WARNING, *spilled, one="")
    wished = ([_wish(index) for index in side.missing_indexes] for side in (before, after))
    yield from came_and_went(DifferenceKind.WARNING, *wished, one="missing index")


def _words(warning: PlanWarning, comparable: Comparable) -> str:
    """The warning as people call it, without values; those of no name here keep the one of the engine."""
    detail = comparable(warning.detail)
    if warning.kind == "PlanAffectingConvert":
        issue, _, expression = detail.partition(": ")
        return f"{_CONVERSIONS.get(issue, 'implicit conversion')}: {expression or issue}"
    if warning.kind == "SpillToTempDb" and detail:
        # Levels tell how bad, not whether: their numbers are no literals.
        detail = warning.detail
    words = _WORDS.get(warning.kind, f"warning {warning.kind}")
    return f"{words}: {detail}" if detail else words


def _on_disk(operator: Operator) -> str:
    """A sort or hash of PostgreSQL that did not fit into memory; empty where it did, or was not run."""
    said = operator.attributes
    if operator.kind == NodeKind.SORT and said.get("Sort Space Type") == "Disk":
        return f"{operator.name} on disk"
    batches = max((_count(said.get(name)) for name in ("Hash Batches", "HashAgg Batches")), default=0)
    return f"{operator.name} in batches on disk" if batches > 1 else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _wish(index: MissingIndex) -> str:
    keys = ", ".join((*index.equality_columns, *index.inequality_columns))
    return f"on {index.relation} ({keys})"
