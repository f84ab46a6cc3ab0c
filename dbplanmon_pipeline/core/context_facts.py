"""Facts of a database that may explain a slower statement: where they come from, whom they concern, how they read."""

from collections.abc import Mapping, Sequence
from typing import Any

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plans.context import stale_rows
from dbplanmon_pipeline.core.plans.differences import DifferenceKind, PlanDifference
from dbplanmon_pipeline.core.ports import FactChange

SETTING_FACT = "setting "
"""Facts with this prefix are settings of the database; the rest of their name is the setting's."""

STATISTICS_FACT = "statistics of "
"""Facts with this prefix say whether the planner's statistics of a table are fresh; the rest is the table."""

ADVICE_FACT = "engine advice "
"""Facts with this prefix hold what the engine itself would do about a statement; the rest is its query hash."""

OF_STATEMENTS = ("forced plan ", "query hint ", "psp variants ", ADVICE_FACT)
"""Facts with these prefixes concern one statement, whose query hash follows; they come and go, others only change."""

FRESH, STALE = "fresh", "stale"

_NO_CAUSES = (ADVICE_FACT, "query store size", "query store state")
_STARTED, _ROLE, _IDENTITY, _LEVEL = "server started", "replica role", "database identity", "compatibility level"


def context_facts(context: Mapping[str, Any]) -> dict[str, str]:
    """Settings with their values, and for each table whether its statistics are fresh, where that is known.

    Row counts move all the time; only crossing the bound at which statistics mislead is told.
    """
    facts = {f"{SETTING_FACT}{name}": str(value) for name, value in context.get("settings", {}).items()}
    for name, table in context.get("tables", {}).items():
        if table.get("n_mod_since_analyze") is not None:
            facts[f"{STATISTICS_FACT}{name}"] = STALE if stale_rows(table) else FRESH
    return facts


def concerns(fact: str, contexts: Sequence[Mapping[str, Any]], query_hash: int = 0) -> bool:
    """False for facts about other statements, about tables that no plan reads, and about what slows nothing down.

    Args:
        fact: its name.
        contexts: of the plans of the statement.
        query_hash: of the statement; 0 where facts about statements do not matter.
    """
    if fact.startswith(_NO_CAUSES):
        return False
    prefix = next((prefix for prefix in OF_STATEMENTS if fact.startswith(prefix)), "")
    if prefix:
        return bool(query_hash) and fact.removeprefix(prefix).split(" ")[0] == hash_text(query_hash)
    if not fact.startswith(STATISTICS_FACT):
        return True
    table = fact.removeprefix(STATISTICS_FACT)
    return any(table in context.get("tables", {}) for context in contexts)


def engine_advice(present: Mapping[str, str], query_hash: int) -> str:
    """What the engine itself would do about a statement, in its words; empty where it says nothing."""
    return present.get(f"{ADVICE_FACT}{hash_text(query_hash)}", "")


def cause_line(change: FactChange) -> str:
    """A changed fact as one line for a person."""
    return f"{cause_words(change)}, seen {change.seen_at:%Y-%m-%d %H:%M:%S} UTC"


def cause_name(change: FactChange) -> str:
    """What changed, in words that are the same for every statement it may have slowed."""
    name = change.name
    if name.startswith(OF_STATEMENTS):
        return next(prefix.strip() for prefix in OF_STATEMENTS if name.startswith(prefix))
    return "statistics" if name.startswith(STATISTICS_FACT) else name


def shared_cause(change: PlanDifference) -> str:
    """The same for what changed between two captured plans; empty where it can only concern one statement."""
    names = {
        DifferenceKind.STATISTICS: "statistics",
        DifferenceKind.SETTING: f"{SETTING_FACT}{change.node}",
        DifferenceKind.INDEX: f"index {change.node}",
    }
    return names.get(change.kind, "")


def cause_words(change: FactChange) -> str:
    """What changed, without the moment."""
    name, before, after = change.name, change.before, change.after
    if name == _STARTED:
        return f"the server restarted at {_moment(after)}"
    if name == _IDENTITY:
        return "the database was replaced by another one, for example by a restore"
    if name in (_ROLE, _LEVEL) or name.startswith("automatic tuning "):
        return f"{name} changed from {before} to {after}"
    prefix = next((prefix for prefix in OF_STATEMENTS if name.startswith(prefix)), "")
    if prefix:
        return _statement_words(prefix, name.removeprefix(prefix), before, after)
    return f"{name}: {before} became {after}"


def _moment(value: str) -> str:
    """`2026-03-01 10:02:00 UTC` for `2026-03-01T10:02:00Z`."""
    return f"{value.removesuffix('Z').replace('T', ' ')} UTC" if value.endswith("Z") else value


def _statement_words(prefix: str, rest: str, before: str, after: str) -> str:
    if prefix == "forced plan ":
        plan = rest.partition(" ")[2]
        if not after:
            return f"plan {plan} is no longer forced"
        failing = after.removeprefix("forced").removeprefix(", ")
        return f"forcing plan {plan} fails: {failing}" if failing else f"plan {plan} was forced"
    what = "query hint" if prefix == "query hint " else "plans for different parameter values"
    if not after:
        return f"{what}: {before} is gone"
    return f"{what}: {before} became {after}" if before else f"{what}: {after} is new"
