"""The hash of a PostgreSQL plan's operator shape: the identity of a plan, since PostgreSQL gives none."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from dbplanmon_pipeline.core.plans.postgres.partitions import ANY, alias_of_table, index_of_table
from dbplanmon_pipeline.core.plans.postgres.text import plan_children, plan_statements
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
        shapes = [_shape(statement["Plan"]).own for statement in plan_statements(document)]
        canonical = json.dumps(shapes, ensure_ascii=True, separators=(",", ":"))
    except RecursionError:
        raise PlanParseError("no readable execution plan: it is nested too deeply") from None
    return int.from_bytes(hashlib.blake2b(canonical.encode(), digest_size=8).digest(), "big", signed=True) or 1


@dataclass(frozen=True, slots=True)
class _Shape:
    """A tree twice, as it is and as if partitions were the tables they are of; digests tell equal ones in one look.

    Attributes:
        own / own_digest: names of the operator, and the same of its inputs.
        of_table / of_table_digest: likewise, with the name of the table for those of its partitions.
        tables: digest of the relations that are read, in order.
        is_of_partition: any of them is a partition.
    """

    own: list[Any]
    own_digest: bytes
    of_table: list[Any]
    of_table_digest: bytes
    tables: bytes
    is_of_partition: bool


def _shape(node: dict[str, Any], read_above: str = "") -> _Shape:
    """The shape of a tree; a bitmap is named by the relation that the operator above it reads."""
    own = {name: node[name] for name in _SHAPE if isinstance(node.get(name), str)}
    relation, alias = own.get("Relation Name", ""), node.get("Alias")
    inputs = [_shape(child, relation or read_above) for child in plan_children(node)]
    table = alias_of_table(relation, alias if isinstance(alias, str) else "")
    of_table = {**own, "Relation Name": ANY + table} if table else dict(own)
    if "Index Name" in own:
        of_table["Index Name"] = index_of_table(own["Index Name"], relation or read_above)
    is_append = node.get("Node Type") in _APPENDS or node.get("Custom Plan Provider") in _APPENDS
    told = _without_repeated_partitions(inputs) if is_append else [(one.own_digest, one.own) for one in inputs]
    return _Shape(
        [own, [shape for _, shape in told]],
        _digest(own, [digest for digest, _ in told]),
        [of_table, [one.of_table for one in inputs]],
        _digest(of_table, [one.of_table_digest for one in inputs]),
        _digest({"relation": relation}, [one.tables for one in inputs]),
        bool(table) or any(one.is_of_partition for one in inputs),
    )


def _digest(names: Mapping[str, str], inputs: Iterable[bytes]) -> bytes:
    own = json.dumps(names, ensure_ascii=True).encode()
    return hashlib.blake2b(b"".join((own, *inputs)), digest_size=16).digest()


def _without_repeated_partitions(inputs: Sequence[_Shape]) -> list[tuple[bytes, list[Any]]]:
    """Inputs of an append; partitions that are read alike count once, so that one more of them is the same plan."""
    groups: dict[bytes, list[_Shape]] = {}
    for one in inputs:
        groups.setdefault(one.of_table_digest, []).append(one)
    told = []
    for alike in groups.values():
        if 1 < len(alike) == len({one.tables for one in alike}) and alike[0].is_of_partition:
            told.append((alike[0].of_table_digest, alike[0].of_table))
        else:
            told += [(one.own_digest, one.own) for one in alike]
    # Which partition comes first is no difference; without partitions the order is that of the statement.
    return sorted(told, key=itemgetter(0)) if len(told) < len(inputs) else [(one.own_digest, one.own) for one in inputs]
