"""Facts of a database drawn from the contexts of its plans, in a form whose changes are worth telling."""

from collections.abc import Mapping, Sequence
from typing import Any

from dbplanmon_pipeline.core.plans.context import stale_rows

SETTING_FACT = "setting "
"""Facts with this prefix are settings of the database; the rest of their name is the setting's."""

STATISTICS_FACT = "statistics of "
"""Facts with this prefix say whether the planner's statistics of a table are fresh; the rest is the table."""

FRESH, STALE = "fresh", "stale"


def context_facts(context: Mapping[str, Any]) -> dict[str, str]:
    """Settings with their values, and for each table whether its statistics are fresh.

    Row counts move all the time; only crossing the bound at which statistics mislead is told.
    """
    facts = {f"{SETTING_FACT}{name}": str(value) for name, value in context.get("settings", {}).items()}
    for name, table in context.get("tables", {}).items():
        facts[f"{STATISTICS_FACT}{name}"] = STALE if stale_rows(table) else FRESH
    return facts


def concerns(fact: str, contexts: Sequence[Mapping[str, Any]]) -> bool:
    """False for facts about tables that none of the plans with these contexts reads."""
    if not fact.startswith(STATISTICS_FACT):
        return True
    table = fact.removeprefix(STATISTICS_FACT)
    return any(table in context.get("tables", {}) for context in contexts)
