"""Plans without the values of the statement: every literal in a PostgreSQL plan becomes `?`."""

from typing import Any

from dbplanmon_pipeline.core.plans.postgres.text import plan_document
from dbplanmon_pipeline.core.statements.postgres import MASK, mask_postgres_expression, mask_postgres_literals
from dbplanmon_pipeline.errors import PlanParseError

NAMES = frozenset(
    {
        *("Node Type", "Parent Relationship", "Join Type", "Strategy", "Partial Mode", "Scan Direction", "Operation"),
        *("Command", "Relation Name", "Relation", "Schema", "Alias", "Index Name", "CTE Name", "Subplan Name"),
        *("Function Name", "Table Function Name", "Tuplestore Name", "Sort Method", "Sort Methods Used"),
        *("Sort Space Type", "Cache Mode", "Custom Plan Provider", "Trigger Name", "Constraint Name"),
        *("Conflict Resolution", "Conflict Arbiter Indexes", "Sampling Method", "Storage"),
    }
)
EXPRESSIONS = frozenset(
    {
        *("Filter", "Index Cond", "Hash Cond", "Recheck Cond", "Join Filter", "Merge Cond", "Sort Key", "Group Key"),
        *("Group Keys", "Hash Key", "Hash Keys", "Output", "Function Call", "Table Function Call", "TID Cond"),
        *("One-Time Filter", "Presorted Key", "Cache Key", "Order By", "Sampling Parameters", "Repeatable Seed"),
        *("Conflict Filter", "Run Condition", "Window", "Relations"),
    }
)
STATEMENTS = frozenset({"Query Text", "Remote SQL"})
"""These may be cut off."""


def redact_pg_plan(document: object) -> object:
    """A copy of the plan in which no attribute carries a value of the statement.

    Names (tables, columns, indexes) and the engine's own words stay, so does the hash of the plan's shape. Expressions
    are read token by token and their literals masked; a text attribute this function does not know is masked whole, as
    is an expression with a quote that nothing closes.

    Args:
        document: decoded EXPLAIN (FORMAT JSON), or its text.

    Raises:
        PlanParseError: a text without a plan, or a document nested too deeply.
    """
    try:
        return _redacted("", plan_document(document) if isinstance(document, str) else document)
    except RecursionError:
        raise PlanParseError("no readable execution plan: it is nested too deeply") from None


def _redacted(name: str, value: object) -> object:
    if isinstance(value, dict):
        return _redacted_object(name, value)
    if isinstance(value, list | tuple):
        return [_redacted(name, item) for item in value]
    if isinstance(value, str):
        return _redacted_text(name, value)
    return value if value is None or isinstance(value, bool | int | float) else MASK


def _redacted_object(name: str, entries: dict[Any, Any]) -> dict[str, object]:
    if name == "Settings":
        return {key: value if "." not in key else MASK for key, value in entries.items()}
    return {str(key): _redacted(str(key), value) for key, value in entries.items()}


def _redacted_text(name: str, text: str) -> str:
    if name in NAMES:
        return text
    if name in STATEMENTS:
        return mask_postgres_literals(text)
    return mask_postgres_expression(text) if name in EXPRESSIONS else MASK
