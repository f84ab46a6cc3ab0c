"""The hash of a PostgreSQL plan's operator shape: the identity of a plan, since PostgreSQL gives none."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from dbplanmon_pipeline.core.plans.partitions import ANY, alias_of_table, index_of_table
from dbplanmon_pipeline.core.plans.pgtext import plan_children, plan_statements
from dbplanmon_pipeline.errors import PlanParseError

_SHAPE = (
    "Node Type",
    "Parent Relationship",
    "Operation",
    "Command",
    "Strategy",
    "Partial Mode",
    "Join Type",
    "Schema",
    "Relation Name",
    "Index Name",
    "Scan Direction",
)
_APPENDS = frozenset({"Append", "Merge Append", "ChunkAppend"})


def plan_hash_of_pg(document: object) -> int:
    """Signed 64-bit hash of what the plan does, never 0.

    Costs, rows, widths, conditions, workers and settings are left out: the same operators over the same tables and
    indexes are the same plan, whatever the values, and however many partitions of a table are read alike. Redacting a
    plan does not change its hash.

    Args:
        document: decoded EXPLAIN (FORMAT JSON), or its text.

    Raises:
        PlanParseError: it is no such plan.
    """
    try:
        shapes = [_shape(statement["Plan"]) for statement in plan_statements(document)]
        canonical = json.dumps(shapes, ensure_ascii=True, separators=(",", ":"))
    except RecursionError:
        raise PlanParseError("no readable execution plan: it is nested too deeply") from None
    return int.from_bytes(hashlib.blake2b(canonical.encode(), digest_size=8).digest(), "big", signed=True) or 1


def _shape(node: dict[str, Any]) -> list[Any]:
    return [_named(node), _shapes(node, [_shape(child) for child in plan_children(node)])]


def _named(node: Mapping[str, Any]) -> dict[str, str]:
    return {name: node[name] for name in _SHAPE if isinstance(node.get(name), str)}


def _shapes(node: Mapping[str, Any], children: list[Any]) -> list[Any]:
    """Shapes of the inputs; partitions that are read alike count once, so that one more of them is the same plan."""
    if node.get("Node Type") not in _APPENDS and node.get("Custom Plan Provider") not in _APPENDS:
        return children
    groups: dict[str, list[Any]] = {}
    tables: dict[str, set[str]] = {}
    for child, shape in zip(plan_children(node), children, strict=True):
        key = json.dumps(_of_table(child), ensure_ascii=True, separators=(",", ":"))
        groups.setdefault(key, []).append(shape)
        tables.setdefault(key, set()).add(json.dumps([found["Relation Name"] for found in _reading(child)]))
    found = []
    for key, shapes in groups.items():
        are_partitions = 1 < len(shapes) == len(tables[key]) and ANY in key
        found += [json.loads(key)] if are_partitions else shapes
    return sorted(found, key=json.dumps) if len(found) < len(children) else children


def _of_table(node: dict[str, Any], relation: str = "") -> list[Any]:
    """The shape of an input with the name of the table for that of its partition."""
    own = _named(node)
    relation = own.get("Relation Name", relation)
    alias = node.get("Alias")
    if table := alias_of_table(own.get("Relation Name", ""), alias if isinstance(alias, str) else ""):
        own["Relation Name"] = ANY + table
    if "Index Name" in own:
        own["Index Name"] = index_of_table(own["Index Name"], relation)
    return [own, [_of_table(child, relation) for child in plan_children(node)]]


def _reading(node: dict[str, Any]) -> Iterator[dict[str, str]]:
    if "Relation Name" in (own := _named(node)):
        yield own
    for child in plan_children(node):
        yield from _reading(child)
