"""What an operator of PostgreSQL does, in house words; also of extensions and of servers that descend from it."""

import re
from collections.abc import Mapping
from typing import Any

from dbplanmon_pipeline.core.plans.tree import NodeKind

_KINDS = {
    "Seq Scan": NodeKind.TABLE_SCAN,
    "Sample Scan": NodeKind.TABLE_SCAN,
    "Tid Scan": NodeKind.LOOKUP,
    "Tid Range Scan": NodeKind.TABLE_SCAN,
    "Bitmap Heap Scan": NodeKind.BITMAP_SCAN,
    "Bitmap Index Scan": NodeKind.BITMAP_INDEX,
    "BitmapAnd": NodeKind.BITMAP_INDEX,
    "BitmapOr": NodeKind.BITMAP_INDEX,
    "Nested Loop": NodeKind.NESTED_LOOPS,
    "Nested Loop Join": NodeKind.NESTED_LOOPS,
    "Hash Join": NodeKind.HASH_JOIN,
    "Merge Join": NodeKind.MERGE_JOIN,
    "Hash": NodeKind.HASH,
    "Sort": NodeKind.SORT,
    "Incremental Sort": NodeKind.SORT,
    "Limit": NodeKind.TOP,
    "Aggregate": NodeKind.AGGREGATE,
    "HashAggregate": NodeKind.AGGREGATE,
    "GroupAggregate": NodeKind.AGGREGATE,
    "Group": NodeKind.AGGREGATE,
    "Unique": NodeKind.AGGREGATE,
    "WindowAgg": NodeKind.WINDOW,
    "Materialize": NodeKind.SPOOL,
    "Memoize": NodeKind.SPOOL,
    "Gather": NodeKind.EXCHANGE,
    "Gather Merge": NodeKind.EXCHANGE,
    "Append": NodeKind.APPEND,
    "Merge Append": NodeKind.APPEND,
    "Recursive Union": NodeKind.APPEND,
    "SetOp": NodeKind.APPEND,
    "Result": NodeKind.COMPUTE,
    "ProjectSet": NodeKind.COMPUTE,
    "Subquery Scan": NodeKind.SUBQUERY,
    "CTE Scan": NodeKind.CTE_SCAN,
    "WorkTable Scan": NodeKind.CTE_SCAN,
    "Named Tuplestore Scan": NodeKind.CTE_SCAN,
    "Function Scan": NodeKind.FUNCTION_SCAN,
    "Table Function Scan": NodeKind.FUNCTION_SCAN,
    "Values Scan": NodeKind.CONSTANT,
    "Foreign Scan": NodeKind.REMOTE,
    "ModifyTable": NodeKind.MODIFY,
    "LockRows": NodeKind.LOCK,
    # Of Greenplum.
    "Sequence": NodeKind.APPEND,
    "Shared Scan": NodeKind.SPOOL,
    "Partition Selector": NodeKind.FILTER,
}
_IN_TEXT_FORM = re.compile(
    r"^(?:(?:Async|Parallel|Dynamic|YB|Batched) )+"
    r"|(?<=^Hash) (?:Left|Right|Full|Semi|Anti|Right Semi|Right Anti)(?= Join$)"
    r"|(?<=^Merge) (?:Left|Right|Full|Semi|Anti|Right Semi|Right Anti)(?= Join$)"
)
"""Tools that read EXPLAIN in text form leave in the name what JSON tells in attributes of their own; descendants put
words of theirs in front of operators that they run in another way."""

_INDEX_READS = frozenset({"Index Scan", "Index Only Scan"})
_MOTION = " Motion"
"""Rows on their way between the segments of Greenplum."""

_OF_PROVIDERS = (
    ("Append", NodeKind.APPEND),
    ("Agg", NodeKind.AGGREGATE),
    ("Modify", NodeKind.MODIFY),
    ("Dispatch", NodeKind.MODIFY),
    ("INSERT", NodeKind.MODIFY),
    ("Citus", NodeKind.REMOTE),
    ("DataNode", NodeKind.REMOTE),
)
"""Words in the names that extensions give to custom scans (Citus, Timescale, PG-Strom, ParadeDB), the surest first."""


def kind_of(node: Mapping[str, Any]) -> NodeKind:
    """Kind of a plan node, as EXPLAIN (FORMAT JSON) tells it."""
    told = node.get("Node Type")
    name = _IN_TEXT_FORM.sub("", told) if isinstance(told, str) else ""
    if name in _INDEX_READS:
        return NodeKind.INDEX_SEEK if node.get("Index Cond") else NodeKind.INDEX_SCAN
    if name == "Custom Scan":
        return _custom(node)
    if _MOTION in name:
        return NodeKind.EXCHANGE
    return _KINDS.get(name) or (NodeKind.SUBQUERY if name.startswith("Subquery Scan") else NodeKind.OTHER)


def _custom(node: Mapping[str, Any]) -> NodeKind:
    """By the name of what provides it; what has a table and no inputs reads that table."""
    provider = str(node.get("Custom Plan Provider", ""))
    for word, kind in _OF_PROVIDERS:
        if word in provider:
            return kind
    if not node.get("Relation Name"):
        return NodeKind.OTHER
    return NodeKind.COMPUTE if node.get("Plans") else NodeKind.TABLE_SCAN
