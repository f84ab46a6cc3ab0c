"""Ways back for one incident, as dry text: what to run, what undoes it, what it risks. Nothing is executed here."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from dbplanmon_pipeline.core.causes.context_facts import FRESH, SETTING_FACT, STALE, STATISTICS_FACT
from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.model import CapturedPlan, Engine, Label, StatementText, hash_text
from dbplanmon_pipeline.core.plans.comparing.context import context_changes, stale_rows
from dbplanmon_pipeline.core.plans.comparing.diff import diff_plans
from dbplanmon_pipeline.core.plans.comparing.differences import DifferenceKind, figure
from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.core.ports import FactChange, Suggestion
from dbplanmon_pipeline.core.remedies.index_recovery import index_recovery
from dbplanmon_pipeline.core.remedies.lost_indexes import lost_indexes, tells_of
from dbplanmon_pipeline.core.remedies.optimizer_advice import advised_by_optimizer
from dbplanmon_pipeline.core.remedies.plan_forcing import UNKNOWN_ROWS, RowsPerExecution, plan_forcing
from dbplanmon_pipeline.core.remedies.suggestion_drafts import Draft, SuggestionKind
from dbplanmon_pipeline.core.remedies.what_if import advised_by_planner
from dbplanmon_pipeline.core.sqlnames import quote_name, quote_path, quote_value

__all__ = ["SuggestionKind", "suggest", "suggestion_id"]

_NOTHING: Mapping[str, str] = MappingProxyType({})
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?")
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>B|kB|MB|GB|TB)?")
_BYTES = {"B": 1.0, "kB": 2.0**10, "MB": 2.0**20, "GB": 2.0**30, "TB": 2.0**40, None: 1.0}
_MORE_IS_BETTER = frozenset(
    {
        *("work_mem", "hash_mem_multiplier", "effective_cache_size", "effective_io_concurrency"),
        *("max_parallel_workers_per_gather", "max_parallel_workers", "default_statistics_target"),
    }
)


def suggest(
    incident: Incident,
    *,
    old: CapturedPlan | None,
    new: CapturedPlan | None,
    statement: StatementText | None,
    dialect: Engine,
    now: datetime,
    facts: Sequence[FactChange] = (),
    present: Mapping[str, str] = _NOTHING,
    rows: RowsPerExecution = UNKNOWN_ROWS,
) -> tuple[Suggestion, ...]:
    """Everything that what is known about the incident speaks for, the surest first; at least a look at the plans.

    Args:
        incident: what got slower.
        old: the plan before, None where not captured.
        new: the plan now, likewise. Its context must list every index of the tables it reads, or an index that is
            merely unused looks as if it were gone.
        statement: its text, None where never read.
        dialect: whose SQL the scripts are in.
        now: becomes `created_at`, aware UTC.
        facts: facts of the database that changed shortly before, oldest first.
        present: facts that hold in the database now, by name.
        rows: rows per execution under the former plan and now.
    """
    drafts = [
        *index_recovery(incident, old, new, dialect),
        *_changed_settings(incident, old, new, dialect, facts),
        *_stale_statistics(new or old, dialect, facts),
    ]
    if dialect == Engine.SQLSERVER:
        drafts += _of_sql_server(incident, old, new, present, rows)
    elif dialect == Engine.POSTGRES:
        drafts = advised_by_planner(old, new, drafts)
    drafts = _surest_first(drafts)
    if not drafts:
        drafts = [_review(incident, old, new, statement)]
    return tuple(
        Suggestion(
            suggestion_id(incident.incident_id, draft.kind, draft.script),
            incident.incident_id,
            draft.kind,
            draft.risk,
            draft.rationale,
            draft.script,
            draft.undo_script,
            now,
        )
        for draft in drafts
    )


def ways_back(stored: Sequence[Suggestion], present: Sequence[Suggestion]) -> list[Suggestion]:
    """What was suggested for an incident, as it is shown: the surest first; what would be now where nothing is stored.

    A mere review gives way once anything better is known, which may be a collection later than the incident.

    Args:
        stored: what was suggested at its steps.
        present: what `suggest` says now, the surest first.
    """
    rank = {one.suggestion_id: place for place, one in enumerate(present)}
    better = ([one for one in ways if one.kind != SuggestionKind.REVIEW_PLANS] for ways in (stored, present))
    shown = next(filter(None, better), stored or present)
    return sorted(shown, key=lambda one: rank.get(one.suggestion_id, len(rank)))


def suggestion_id(incident_id: str, kind: str, script: str) -> str:
    """16 hex digits, the same whenever the same is suggested for the same incident."""
    return hashlib.sha256(f"{incident_id}\n{kind}\n{script}".encode()).hexdigest()[:16]


def _of_sql_server(
    incident: Incident,
    old: CapturedPlan | None,
    new: CapturedPlan | None,
    present: Mapping[str, str],
    rows: RowsPerExecution,
) -> list[Draft]:
    forcing = plan_forcing(incident, old=old, new=new, present=present, rows=rows)
    context = new.context if new and tells_of(incident, new.context) else {}
    regained = {lost.name: lost.definition for lost in lost_indexes(incident, old, new)}
    return [*([forcing] if forcing else []), *advised_by_optimizer(incident.database, old, new, context, regained)]


def _surest_first(drafts: list[Draft]) -> list[Draft]:
    """By kind, within a kind as found; what two rules suggest alike stands once."""
    rank = {kind: place for place, kind in enumerate(SuggestionKind)}
    return sorted({(draft.kind, draft.script): draft for draft in drafts}.values(), key=lambda draft: rank[draft.kind])


def _changed_settings(
    incident: Incident,
    old: CapturedPlan | None,
    new: CapturedPlan | None,
    dialect: Engine,
    facts: Sequence[FactChange],
) -> Iterator[Draft]:
    """Settings that may have made the statement slower, put back for the whole database."""
    if dialect != Engine.POSTGRES or not incident.database:
        return
    for name, (before, after) in _setting_changes(old, new, facts).items():
        if _SETTING_NAME.fullmatch(name) and _may_hurt(name, before, after):
            yield Draft(
                SuggestionKind.RESTORE_SETTING,
                "medium",
                f"The setting {name} changed from {before or 'its default'} to {after or 'its default'} before the "
                "statement got slower. Putting it back reaches new sessions of the whole database only; where a role "
                "or the application sets it, change it there.",
                _set(incident.database, name, before),
                _set(incident.database, name, after),
            )


def _setting_changes(
    old: CapturedPlan | None, new: CapturedPlan | None, facts: Sequence[FactChange]
) -> dict[str, tuple[str, str]]:
    """First and last value of each setting that changed, as plans and facts tell; facts are the fresher ones."""
    found: dict[str, tuple[str, str]] = {}
    if old and new:
        changes = context_changes(old.context, new.context)
        found = {c.node: (c.before, c.after) for c in changes if c.kind == DifferenceKind.SETTING}
    seen: dict[str, tuple[str, str]] = {}
    for fact in facts:
        if fact.name.startswith(SETTING_FACT):
            name = fact.name.removeprefix(SETTING_FACT)
            seen[name] = (seen.get(name, (fact.before, ""))[0], fact.after)
    return {name: values for name, values in (found | seen).items() if values[0] != values[1]}


def _may_hurt(name: str, before: str, after: str) -> bool:
    """False for changes that only give the planner more room."""
    if name.startswith("enable_"):
        return after == "off"
    was, now = _size(before), _size(after)
    return not (name in _MORE_IS_BETTER and was is not None and now is not None and now > was)


def _size(value: str) -> float | None:
    found = _SIZE.fullmatch(value)
    return float(found["number"]) * _BYTES[found["unit"]] if found else None


def _set(database: str, name: str, value: str) -> str:
    head = f"ALTER DATABASE {quote_name(database, Engine.POSTGRES)}"
    return f"{head} SET {name} = {quote_value(value)};" if value else f"{head} RESET {name};"


def _stale_statistics(plan: CapturedPlan | None, dialect: Engine, facts: Sequence[FactChange]) -> Iterator[Draft]:
    """Tables the plan reads whose rows changed much since the planner's statistics were taken.

    The plan knows how its tables were when it was first seen, the facts know what became of them since.
    """
    tables: Mapping[str, Mapping[str, Any]] = plan.context.get("tables", {}) if plan else {}
    latest = {fact.name.removeprefix(STATISTICS_FACT): fact.after for fact in facts}
    for name, table in tables.items():
        changed = stale_rows(table)
        if latest.get(name, STALE if changed else FRESH) == FRESH:
            continue
        how_many = figure(changed) if changed else "Many"
        verb = "ANALYZE" if dialect == Engine.POSTGRES else "UPDATE STATISTICS"
        yield Draft(
            SuggestionKind.REFRESH_STATISTICS,
            "low",
            f"{how_many} rows of {name} changed since its statistics were taken, so the planner works with old "
            "row counts. Fresh statistics read a sample of the table and block nobody; they may change other plans on "
            "it, and there is no way to put the old ones back.",
            f"{verb} {quote_path(name, dialect)};",
        )


_ADVICE = {
    Label.PLAN_REGRESSION: "No lost index, changed setting or stale statistics explain it; compare the two plans.",
    Label.FAILING: (
        "Executions fail since its plan changed: compare the two plans, and see whether the client's timeout or an "
        "error of the statement ends them."
    ),
    Label.PARAMETER_SENSITIVITY: (
        "Its cost depends on the parameter values. Compare the plans for a common and a rare value before forcing one."
    ),
    Label.DATA_GROWTH: (
        "Each execution handles more data than before. Check that the result grew as intended and that its range is "
        "served by an index."
    ),
    Label.CONTENTION: "Executions wait more than they work. Look for blocking, I/O and concurrent load at that time.",
    Label.DATABASE_SLOWDOWN: (
        "Many statements of this database slowed down together, those of others did not. Look at its log, its locks, "
        "its files and the settings of the database."
    ),
    Label.INSTANCE_SLOWDOWN: "Many statements slowed down together. Look at the instance, its host and its storage.",
}


def _review(
    incident: Incident, old: CapturedPlan | None, new: CapturedPlan | None, statement: StatementText | None
) -> Draft:
    """The honest answer where nothing else is known."""
    if incident.scope != IncidentScope.QUERY:
        database = incident.scope == IncidentScope.DATABASE
        label = Label.DATABASE_SLOWDOWN if database else Label.INSTANCE_SLOWDOWN
        return Draft(SuggestionKind.REVIEW_PLANS, "low", _ADVICE[label])
    kind = f"{statement.kind} " if statement and statement.kind else ""
    advice = _ADVICE.get(incident.label, "No lost index, changed setting or stale statistics explain it.")
    return Draft(
        SuggestionKind.REVIEW_PLANS,
        "low",
        f"Statement {kind}{hash_text(incident.query_hash)}: {advice} {_what_changed(old, new)}",
    )


def _what_changed(old: CapturedPlan | None, new: CapturedPlan | None) -> str:
    trees = [tree_of(plan) if plan else None for plan in (old, new)]
    if trees[0] and trees[1]:
        return diff_plans(trees[0], trees[1]).summary
    return "There is no second plan to compare with."
