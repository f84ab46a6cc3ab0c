"""Plans inside a plan node of PostgreSQL, beside its inputs: those of other servers, and of extensions."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dbplanmon_pipeline.core.plans.postgres.text import is_plan_node

REMOTE_PLAN = "Remote Plan"
"""Under this name Citus shows what a worker does for one shard."""

_SHARD = re.compile(r"(?<=\w)_\d{6,}$")


def nested_plans(node: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(attribute, plan node) for the uppermost plan nodes below any attribute but `Plans`.

    The attribute is the nearest one that says what the plan is, such as `Remote Plan`.
    """
    for name, value in node.items():
        if name != "Plans" and isinstance(value, dict | list):
            yield from _within(name, value)


def _within(name: str, value: dict[str, Any] | list[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, dict) and is_plan_node(value):
        yield name, value
        return
    parts = value.items() if isinstance(value, dict) else ((name, part) for part in value)
    for key, part in parts:
        if isinstance(part, dict | list):
            yield from _within(name if key == "Plan" else key, part)


def without_shard(name: str) -> str:
    """`orders` for `orders_102008`: shards of a table differ in their numbers only, and any may be shown."""
    return _SHARD.sub("", name)
