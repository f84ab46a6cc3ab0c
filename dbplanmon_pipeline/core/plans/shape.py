"""The hash of a PostgreSQL plan's operator shape: the identity of a plan, since PostgreSQL gives none."""

import hashlib
import json
from typing import Any

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


def plan_hash_of_pg(document: object) -> int:
    """Signed 64-bit hash of what the plan does, never 0.

    Costs, rows, widths, conditions, workers and settings are left out: the same operators over the same tables and
    indexes are the same plan, whatever the values. Redacting a plan does not change its hash.

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
    own = {name: node[name] for name in _SHAPE if isinstance(node.get(name), str)}
    return [own, [_shape(child) for child in plan_children(node)]]
