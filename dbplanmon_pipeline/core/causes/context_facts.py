"""Facts of a database that may explain a slower statement: where they come from, whom they concern, how they read."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from dbplanmon_pipeline.core.causes.distribution import DISTRIBUTION_FACT, column_changes, updated_of
from dbplanmon_pipeline.core.causes.table_facts import (
    ALTERED_FACT,
    INDEXES_FACT,
    ROWS_FACT,
    UPDATED_FACT,
    TableShape,
    number_of,
    part_changes,
    table_facts,
    table_of,
)
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import read_utc
from dbplanmon_pipeline.core.plans.comparing.context import stale_rows
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, PlanDifference, figure, ratio_text
from dbplanmon_pipeline.core.ports import FactChange

STARTED_FACT = "server started"
"""Value: the moment."""

RECOVERED_FACT, NO_RECOVERY = "crash recovery", "none since the start"
"""When PostgreSQL began anew after one of its processes crashed, which leaves the start of the server as it is."""

_FRESH_START = timedelta(hours=2)

SETTING_FACT = "setting "
"""Facts with this prefix are settings of the database; the rest of their name is the setting's."""

STATISTICS_FACT = "statistics of "
"""Facts with this prefix say whether the planner's statistics of a table are fresh; the rest is the table."""

ADVICE_FACT = "engine advice "
"""Facts with this prefix hold what the engine itself would do about a statement; the rest is its query hash."""

OF_STATEMENTS = ("forced plan ", "query hint ", "psp variants ", ADVICE_FACT)
"""Facts with these prefixes concern one statement, whose query hash follows; they come and go, others only change."""

ROLE_SETTINGS_FACT = "role settings"
"""Settings that roles have for themselves, as a list in JSON by `<setting> of role <role>`."""

FRESH, STALE = "fresh", "stale"

_BEYOND_NUMBER = re.compile(r"[^\d.].*")
_NO_CAUSES = (ADVICE_FACT, "query store size", "query store state")
_IDENTITY = "database identity"
EDITION_FACT = "SQL Server edition"
_FROM_TO = ("replica role", "compatibility level", "timeline", EDITION_FACT)
SQL_SERVER_VERSION_FACT = "SQL Server version"
VERSION_FACTS = {SQL_SERVER_VERSION_FACT: "SQL Server", "PostgreSQL version": "PostgreSQL"}
"""The product by the fact that tells its version."""

MOST_PARTS = 5
"""Indexes or columns of one table that are told to have changed; the rest is counted."""


def context_facts(context: Mapping[str, Any]) -> dict[str, str]:
    """Settings with their values, and for each table whether its statistics are fresh, where that is known.

    A context that says in which database it was read lists indexes by table, which are told too, with its rows.
    """
    facts = {f"{SETTING_FACT}{name}": str(value) for name, value in context.get("settings", {}).items()}
    for name, table in context.get("tables", {}).items():
        if table.get("n_mod_since_analyze") is not None:
            facts[f"{STATISTICS_FACT}{name}"] = STALE if stale_rows(table) else FRESH
        if "database" in context:
            facts |= table_facts(TableShape(name, table.get("rows"), indexes=_indexes_of(name, context)))
    return facts


def _indexes_of(table: str, context: Mapping[str, Any]) -> dict[str, str] | None:
    """Definitions of one table by bare name; None where a context does not list them by table."""
    listed = context.get("indexes")
    if not isinstance(listed, dict):
        return None
    end = f" on {table}"
    return {name.removesuffix(end): text for name, text in listed.items() if name.endswith(end)}


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
    table = table_of(fact) or (fact.removeprefix(STATISTICS_FACT) if fact.startswith(STATISTICS_FACT) else "")
    if not table:
        return True
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
    if name in (STARTED_FACT, RECOVERED_FACT, *VERSION_FACTS):
        return _server_words(change)
    if name == _IDENTITY:
        return "the database was replaced by another one, for example by a restore"
    if name in _FROM_TO or name.startswith("automatic tuning "):
        return f"{name} changed from {before} to {after}"
    if name == ROLE_SETTINGS_FACT or table_of(name):
        return _table_words(name, table_of(name), before, after)
    prefix = next((prefix for prefix in OF_STATEMENTS if name.startswith(prefix)), "")
    if prefix:
        return _statement_words(prefix, name.removeprefix(prefix), before, after)
    return f"{name}: {before} became {after}"


def took_over(change: FactChange) -> bool:
    """Whether a server that was already running answers instead of the one before."""
    started = read_utc(change.after) if change.name == STARTED_FACT else None
    return started is not None and change.seen_at - started > _FRESH_START


def is_all_clear(change: FactChange) -> bool:
    """Whether a fact only went back to what is usual, which slows nothing down."""
    return change.name == RECOVERED_FACT and change.after == NO_RECOVERY


def _server_words(change: FactChange) -> str:
    name, before, after = change.name, change.before, change.after
    if is_all_clear(change):
        return "the server was started anew since its last crash"
    if name == RECOVERED_FACT:
        return f"the server crashed and was back at {_moment(after)}"
    if took_over(change):
        since = _moment(after)
        return (
            f"the server that answers has run since {since}: another one took over, unless it was not read for so long"
        )
    if name == STARTED_FACT:
        return f"the server restarted at {_moment(after)}"
    return _version_words(name, before, after)


def _version_words(name: str, before: str, after: str) -> str:
    """`SQL Server was updated from 16.0.4095.4 to 16.0.4125.3`; a failover may bring an older version back."""
    was, now = ([int(part) for part in re.findall(r"\d+", _BEYOND_NUMBER.sub("", value))] for value in (before, after))
    verb = "was updated" if now >= was else "went back"
    return f"{VERSION_FACTS[name]} {verb} from {before} to {after}"


def _table_words(name: str, table: str, before: str, after: str) -> str:
    if name.startswith(ROWS_FACT):
        was, now = number_of(before), number_of(after)
        times = f" ({ratio_text(was, now)})" if was > 0 and now > 0 else ""
        verb = "grew" if now > was else "shrank"
        return f"table {table} {verb} from about {figure(was)} to {figure(now)} rows{times}"
    if name.startswith(UPDATED_FACT):
        moment, _, how = after.partition(" ")
        return f"statistics of {table} were updated at {_moment(moment)}{f' {how}' if how else ''}"
    if name.startswith(ALTERED_FACT):
        return f"table {table} or an index of it was altered or rebuilt at {_moment(after)} by the server's clock"
    if name.startswith(DISTRIBUTION_FACT):
        moved = [column.words for column in column_changes(table, before, after)]
        more = [f"and {len(moved) - MOST_PARTS} more columns"] if len(moved) > MOST_PARTS else []
        words = "; ".join([*moved[:MOST_PARTS], *more]) or f"statistics of {table} are about other columns"
        return f"{words}{distribution_words(after)}"
    return _listed_words(name, table, before, after)


def distribution_words(value: str) -> str:
    """`, found by ANALYZE at 2026-03-01 10:02:00 UTC` for a value of DISTRIBUTION_FACT; empty where unknown."""
    moment, _, how = updated_of(value).partition(" ")
    return f", found {how} at {_moment(moment)}" if how else ""


def _listed_words(name: str, table: str, before: str, after: str) -> str:
    """What changed in a list of indexes, columns or settings."""
    noun = "index" if name.startswith(INDEXES_FACT) else "column" if table else "setting"
    head = f"{table}: " if table else ""
    parts = [f"{noun} {part.name} {part.verb}" for part in part_changes(before, after)]
    more = [f"and {len(parts) - MOST_PARTS} more"] if len(parts) > MOST_PARTS else []
    return f"{head}{', '.join([*parts[:MOST_PARTS], *more]) or f'the list of {noun} names changed'}"


def _moment(value: str) -> str:
    """`2026-03-01 10:02:00 UTC` for `2026-03-01T10:02:00.123Z`; a moment without a zone stays without one."""
    moment = value.removesuffix("Z").partition(".")[0].replace("T", " ")
    return f"{moment} UTC" if value.endswith("Z") else moment


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
