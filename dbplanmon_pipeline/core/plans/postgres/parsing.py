"""PostgreSQL EXPLAIN as an operator tree."""

from collections.abc import Mapping
from typing import Any

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.postgres.kinds import kind_of
from dbplanmon_pipeline.core.plans.postgres.nested import REMOTE_PLAN, nested_plans, without_shard
from dbplanmon_pipeline.core.plans.postgres.shape import plan_hash_of_pg
from dbplanmon_pipeline.core.plans.postgres.text import plan_children, plan_statements
from dbplanmon_pipeline.core.plans.tree import Operator, Plan, PlanStatement
from dbplanmon_pipeline.errors import PlanParseError

_SIGN_BIT = 1 << 63
_HUGE = 1e300
_CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "TID Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
    "Order By",
    "Sort Key",
    "Presorted Key",
    "Group Key",
    "Cache Key",
    "Function Call",
    "Table Function Call",
)
_FIELDS = frozenset(
    {
        *_CONDITIONS,
        *("Node Type", "Parent Relationship", "Relation Name", "Schema", "Alias", "Index Name", "Join Type"),
        *("Strategy", "Scan Direction", "Parallel Aware", "Plan Rows", "Total Cost", "Startup Cost", "Plan Width"),
        *("Actual Rows", "Actual Loops", "Actual Total Time", "Plans"),
    }
)


def parse_pg_plan(source: object) -> Plan:
    """Read the output of EXPLAIN, in JSON or text form.

    Args:
        source: text (bare, or as psql, a log or a spreadsheet shows it) or the decoded JSON document: a list of
            statements, one statement, or a bare root node.

    Raises:
        PlanParseError: it is no such plan; one line.
    """
    try:
        statements = tuple(_statement(entry) for entry in plan_statements(source))
    except RecursionError:
        raise PlanParseError("no readable execution plan: it is nested too deeply") from None
    operators = sum(1 for statement in statements for _ in statement.operators())
    return Plan(Engine.POSTGRES, statements, counts={"statements": len(statements), "operators": operators})


def _statement(entry: Mapping[str, Any]) -> PlanStatement:
    root = _operator(entry["Plan"])
    identifier = entry.get("Query Identifier")
    return PlanStatement(
        root=root,
        text=_text(entry, "Query Text"),
        kind=_text(entry["Plan"], "Operation").upper() or "SELECT",
        query_hash=identifier if isinstance(identifier, int) and -_SIGN_BIT <= identifier < _SIGN_BIT else 0,
        plan_hash=plan_hash_of_pg(dict(entry)),
        estimated_cost=root.estimated_cost,
        attributes={key: value for key, value in entry.items() if key not in ("Plan", "Query Text")},
    )


def _operator(node: Mapping[str, Any], place: str = "") -> Operator:
    """The operator of a plan node; `place` is the attribute that holds its tree where that is not `Plan`."""
    name = without_shard if place == REMOTE_PLAN else str
    return Operator(
        kind=kind_of(node),
        name=_text(node, "Node Type"),
        role=_text(node, "Parent Relationship") or place,
        relation=name(_text(node, "Relation Name")),
        schema=_text(node, "Schema"),
        alias=name(_text(node, "Alias")),
        index=name(_text(node, "Index Name")),
        join_type=_text(node, "Join Type"),
        strategy=_text(node, "Strategy") or _text(node, "Custom Plan Provider"),
        direction=_text(node, "Scan Direction"),
        parallel=node.get("Parallel Aware") is True,
        conditions=_conditions(node),
        estimated_rows=_number(node, "Plan Rows"),
        estimated_cost=_number(node, "Total Cost"),
        startup_cost=_number(node, "Startup Cost"),
        estimated_width_bytes=_number(node, "Plan Width"),
        actual_rows=_number(node, "Actual Rows"),
        actual_loops=_number(node, "Actual Loops"),
        actual_ms=_number(node, "Actual Total Time"),
        rows_by_worker=_rows_by_worker(node),
        children=(
            *(_operator(child, attribute) for attribute, child in nested_plans(node)),
            *(_operator(child, place) for child in plan_children(node)),
        ),
        attributes={key: value for key, value in node.items() if key not in _FIELDS},
    )


def _rows_by_worker(node: Mapping[str, Any]) -> tuple[float, ...]:
    """Rows of each worker; what the leader did is not told apart."""
    told = node.get("Workers")
    workers = [worker for worker in told if isinstance(worker, dict)] if isinstance(told, list) else []
    rows = [(_number(worker, "Actual Rows"), _number(worker, "Actual Loops")) for worker in workers]
    delivered = tuple(one * (loops or 1.0) for one, loops in rows if one is not None)
    return delivered if len(delivered) > 1 else ()


def _conditions(node: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    found = ((name, node[name]) for name in _CONDITIONS if name in node)
    return tuple((name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)) for name, value in found)


def _text(node: Mapping[str, Any], name: str) -> str:
    value = node.get(name)
    return value if isinstance(value, str) else ""


def _number(node: Mapping[str, Any], name: str) -> float | None:
    value = node.get(name)
    return (
        float(value) if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE else None
    )
