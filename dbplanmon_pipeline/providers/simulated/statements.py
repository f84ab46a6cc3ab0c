"""Texts and plans of the simulated statements: T-SQL as an application writes it, plans shaped like EXPLAIN JSON.

Statement i is the same in every database, as in a fleet of tenants with one application; so are its hashes. It has
three plans: the normal one, a regressed one that reads the whole table, and another one that is as good.
"""

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from dbplanmon_pipeline.core.model import CapturedPlan, StatementText
from dbplanmon_pipeline.providers.simulated.faults import HARMLESS_PLAN, NORMAL_PLAN, REGRESSED_PLAN
from dbplanmon_pipeline.providers.simulated.randomness import stable_hash

Node = dict[str, Any]

_TABLES = (
    ("orders", 4_800_000),
    ("order_lines", 19_000_000),
    ("customers", 350_000),
    ("products", 60_000),
    ("invoices", 4_100_000),
    ("payments", 3_900_000),
    ("shipments", 2_700_000),
    ("stock_moves", 31_000_000),
    ("tickets", 900_000),
    ("visits", 52_000_000),
)
_FROM = "FROM dbo.{table} AS t WHERE t.{column} = @p1"
_TEXTS = (
    f"SELECT t.id, t.status, t.amount {_FROM}",
    f"SELECT TOP (@p2) t.id, t.amount, t.changed_at {_FROM} ORDER BY t.changed_at DESC",
    "SELECT t.id, o.title FROM dbo.{table} AS t JOIN dbo.{other} AS o ON o.id = t.{other}_id WHERE t.{column} = @p1",
    f"SELECT t.status, COUNT_BIG(*) AS n, SUM(t.amount) AS amount {_FROM} GROUP BY t.status",
    "UPDATE t SET t.status = @p2 FROM dbo.{table} AS t WHERE t.{column} = @p1",
)
_SHAPES = len(_TEXTS)


@lru_cache(maxsize=4096)
def query_hash(statement: int) -> int:
    """Hash of a statement, the same in every database."""
    return stable_hash("simulated statement", statement)


@lru_cache(maxsize=4096)
def plan_hash(statement: int, plan: int) -> int:
    """Hash of one of the plans of a statement."""
    return stable_hash("simulated plan", statement, plan)


def statement_text(statement: int) -> StatementText:
    """The text; it holds parameters and no literal."""
    table, other, column, _ = _names(statement)
    text = _TEXTS[statement % _SHAPES].format(table=table, other=other, column=column)
    return StatementText(query_hash(statement), text, "UPDATE" if statement % _SHAPES == 4 else "SELECT")


def captured_plan(statement: int, plan: int) -> CapturedPlan:
    """One of the plans, with the indexes and table sizes that explain it."""
    table, other, column, _ = _names(statement)
    root = _ROOTS[statement % _SHAPES](statement, plan)
    plain, covering = f"ix_{table}_{column}", f"ix_{table}_{column}_changed_at"
    indexes = {
        plain: f"CREATE INDEX {plain} ON dbo.{table} ({column})",
        covering: f"CREATE INDEX {covering} ON dbo.{table} ({column}, changed_at) INCLUDE (amount, status)",
    }
    tables = {f"dbo.{name}": {"rows": _rows_of(name)} for name in (table, other)}
    return CapturedPlan(
        query_hash=query_hash(statement),
        plan_hash=plan_hash(statement, plan),
        format="pgjson",
        body=json.dumps([{"Plan": root}]),
        origin="simulated",
        context={"indexes": indexes, "tables": tables},
    )


def _names(statement: int) -> tuple[str, str, str, int]:
    number = statement // _SHAPES
    table, rows = _TABLES[number % len(_TABLES)]
    other = _TABLES[(number + 2) % len(_TABLES)][0]
    generation = number // len(_TABLES)
    column = "owner_id" if generation == 0 else f"attribute_{generation}"
    return table, other, column, rows


def _rows_of(table: str) -> int:
    return dict(_TABLES)[table]


def _node(kind: str, cost: float, rows: float, width: int, children: tuple[Node, ...] = (), **facts: Any) -> Node:
    node: Node = {
        "Node Type": kind,
        "Parallel Aware": False,
        "Startup Cost": round(0.43 + sum(child["Startup Cost"] for child in children), 2),
        "Total Cost": round(cost + sum(child["Total Cost"] for child in children), 2),
        "Plan Rows": max(1, round(rows)),
        "Plan Width": width,
    }
    node.update({name.replace("_", " "): value for name, value in facts.items()})
    if children:
        node["Plans"] = [child | {"Parent Relationship": side} for child, side in zip(children, _SIDES, strict=False)]
    return node


_SIDES = ("Outer", "Inner")


def _access(statement: int, plan: int) -> Node:
    """How the table of the statement is read in this plan."""
    table, _, column, rows = _names(statement)
    found = max(1.0, rows / 40_000)
    condition = f"({column} = $1)"
    relation: Node = {"Relation_Name": table, "Schema": "dbo", "Alias": "t"}
    if plan == REGRESSED_PLAN:
        return _node("Seq Scan", rows / 60, found, 48, Filter=condition, **relation)
    index = f"ix_{table}_{column}" if plan == HARMLESS_PLAN else f"ix_{table}_{column}_changed_at"
    return _node(
        "Index Scan",
        0.9 * found,
        found,
        48,
        Scan_Direction="Forward",
        Index_Name=index,
        Index_Cond=condition,
        **relation,
    )


def _lookup(statement: int, plan: int) -> Node:
    return _access(statement, plan)


def _newest(statement: int, plan: int) -> Node:
    source = _access(statement, plan)
    if plan != NORMAL_PLAN:
        rows = source["Plan Rows"]
        source = _node("Sort", 0.02 * rows + 1, rows, 48, (source,), Sort_Key=["t.changed_at DESC"])
    return _node("Limit", 0.5, 20, 48, (source,))


def _join(statement: int, plan: int) -> Node:
    _, other, _, _ = _names(statement)
    outer = _access(statement, plan)
    rows = outer["Plan Rows"]
    relation: Node = {"Relation_Name": other, "Schema": "dbo", "Alias": "o"}
    if plan != REGRESSED_PLAN:
        inner = _node("Index Scan", 8.4, 1, 40, Index_Name=f"pk_{other}", Index_Cond=f"(id = t.{other}_id)", **relation)
        return _node("Nested Loop", 8.4 * rows, rows, 88, (outer, inner), Join_Type="Inner")
    scan = _node("Seq Scan", _rows_of(other) / 70, _rows_of(other), 40, **relation)
    build = _node("Hash", 1, _rows_of(other), 40, (scan,))
    return _node(
        "Hash Join", 0.1 * rows, rows, 88, (outer, build), Join_Type="Inner", Hash_Cond=f"(t.{other}_id = o.id)"
    )


def _totals(statement: int, plan: int) -> Node:
    source = _access(statement, plan)
    strategy = "Hashed" if plan == REGRESSED_PLAN else "Sorted"
    if strategy == "Sorted":
        source = _node(
            "Sort", 0.02 * source["Plan Rows"] + 1, source["Plan Rows"], 48, (source,), Sort_Key=["t.status"]
        )
    return _node("Aggregate", 1.5, 8, 24, (source,), Strategy=strategy, Group_Key=["t.status"])


def _change(statement: int, plan: int) -> Node:
    table = _names(statement)[0]
    return _node(
        "ModifyTable", 0.1, 0, 0, (_access(statement, plan),), Operation="Update", Relation_Name=table, Schema="dbo"
    )


_ROOTS: tuple[Callable[[int, int], Node], ...] = (_lookup, _newest, _join, _totals, _change)
