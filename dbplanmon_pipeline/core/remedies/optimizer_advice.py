"""Ways back that a showplan itself speaks for: statistics to refresh and indexes the optimizer missed."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dbplanmon_pipeline.core.model import CapturedPlan, Engine
from dbplanmon_pipeline.core.plans.comparing.differences import figure
from dbplanmon_pipeline.core.plans.findings.missing_indexes import (
    KnownIndex,
    Wish,
    existing_for,
    index_name,
    index_script,
    merged_wishes,
    worth_building,
)
from dbplanmon_pipeline.core.plans.showplan.statistics_used import StatisticsUse, statistics_used
from dbplanmon_pipeline.core.plans.stored import tree_of
from dbplanmon_pipeline.core.plans.tree import MissingIndex, Plan
from dbplanmon_pipeline.core.remedies.index_ddl import widening_scripts
from dbplanmon_pipeline.core.remedies.lost_indexes import databases_named
from dbplanmon_pipeline.core.remedies.suggestion_drafts import Draft, SuggestionKind
from dbplanmon_pipeline.core.sqlnames import quote_name

WORTH_AN_INDEX_PERCENT = 50.0
"""Wishes with a smaller estimated gain are not passed on."""

MOST_INDEXES = 2
_TEMPORARY = ("#", "@")
_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})
_NO_DEFINITIONS: Mapping[str, str] = MappingProxyType({})


def advised_by_optimizer(
    database: str,
    old: CapturedPlan | None,
    new: CapturedPlan | None,
    context: Mapping[str, Any] = _NO_CONTEXT,
    regained: Mapping[str, str] = _NO_DEFINITIONS,
) -> Iterator[Draft]:
    """Drafts from the showplans of one statement; nothing where the new one cannot be read or is of another engine.

    One stored plan stands for all databases that have it, so the database it names need not be the one of the
    incident: scripts name that of the incident, and a plan over several databases gets none.

    Args:
        database: where the statement runs; scripts begin with it.
        old: the former plan, None where not captured.
        new: the plan now, likewise.
        context: what is known of that database, as in `CapturedPlan.context`; with its indexes none is suggested twice.
        regained: definitions, by name as there, of indexes that another suggestion brings back.
    """
    after = tree_of(new) if new else None
    if after is None or after.engine != Engine.SQLSERVER or not database or len(databases_named(after)) > 1:
        return
    before = tree_of(old) if old else None
    yield from _statistics(database, before, after)
    yield from _indexes(database, before, after, context, regained)


def _used(plan: Plan | None) -> dict[tuple[str, str], StatisticsUse]:
    used: dict[tuple[str, str], StatisticsUse] = {}
    for statement in plan.statements if plan else ():
        used |= statistics_used(statement)
    return {key: use for key, use in used.items() if use.relation and not use.relation.startswith(_TEMPORARY)}


def _statistics(database: str, before: Plan | None, after: Plan) -> Iterator[Draft]:
    was = _used(before)
    for key, use in _used(after).items():
        if use.is_stale:
            yield _refresh(
                database,
                use,
                "low",
                f"{figure(use.modifications)} rows of {use.table} changed since its statistics {use.name} were taken "
                f"at {use.moment}, before the present plan was compiled. Fresh ones read a sample of the table and "
                "block nobody; other plans on it are compiled anew, and there is no way to put the old ones back.",
                "",
            )
        elif key in was and _was_sampled_since(was[key], use):
            yield _refresh(
                database,
                use,
                "medium",
                f"The statistics {use.name} of {use.table} were updated at {use.moment} from {use.sample_words}, "
                f"between the two plans (before: {was[key].sample_words or 'unknown'}, at {was[key].moment}). A sample "
                "can miss what the statement looks for. A full scan reads the whole table once: take a quiet hour. "
                "Other plans on it are compiled anew, and there is no way to put the old ones back.",
                " WITH FULLSCAN",
            )


def _was_sampled_since(old: StatisticsUse, new: StatisticsUse) -> bool:
    return new.is_sampled and new.last_update > old.last_update


def _refresh(database: str, use: StatisticsUse, risk: str, rationale: str, how: str) -> Draft:
    statement = f"UPDATE STATISTICS {_path(use.schema, use.relation)} {_quoted(use.name)}{how};"
    return Draft(SuggestionKind.REFRESH_STATISTICS, risk, rationale, f"USE {_quoted(database)};\n{statement}")


def _indexes(
    database: str, before: Plan | None, after: Plan, context: Mapping[str, Any], regained: Mapping[str, str]
) -> Iterator[Draft]:
    """Wishes of the new plan that the old one did not have, the most promising first.

    Of a wide one only the keys are suggested, and nothing where an index that is there begins with them.
    """
    known = {_columns(wish) for wish in _wishes(before)}
    fresh = {_columns(wish): wish for wish in _wishes(after) if _columns(wish) not in known}
    missing = [
        (narrow, len(wish.included) - len(narrow.included))
        for wish in merged_wishes(fresh.values())
        if (narrow := worth_building(wish))
        and not _is_served(narrow, context)
        and not _is_served(narrow, {"indexes": regained})
    ]
    for wish, left_out in missing[:MOST_INDEXES]:
        yield _wider(database, wish, existing_for(wish, context)) or _index(database, wish, left_out)


def _is_served(wish: Wish, context: Mapping[str, Any]) -> bool:
    found = existing_for(wish, context)
    return bool(found.name) and not found.lacks(wish)


def _wider(database: str, wish: Wish, there: KnownIndex) -> Draft | None:
    """An index that begins with the wished columns gets the others; None where there is none that can."""
    lacking = there.lacks(wish)
    scripts = widening_scripts(there.definition, lacking)
    if scripts is None:
        return None
    use = f"USE {_quoted(database)};\n"
    return Draft(
        SuggestionKind.CREATE_INDEX,
        "medium",
        f"The optimizer missed an index on {wish.relation} ({', '.join(wish.keys)}) when it compiled the present plan, "
        f"and puts the gain for this statement at {wish.impact_percent:.0f} %. The index {there.name} begins with "
        f"these columns and lacks {', '.join(lacking)}: widening it costs less than one index more. It is built "
        "anew, and writes to the table wait meanwhile: take a quiet hour, or build online where the edition can. Its "
        "options of storage, such as compression, fill factor and partitions, are not known: compare.",
        f"{use}{scripts[0]}",
        f"{use}{scripts[1]}",
    )


def _wishes(plan: Plan | None) -> Iterator[MissingIndex]:
    for statement in plan.statements if plan else ():
        for wish in statement.missing_indexes:
            keys = (*wish.equality_columns, *wish.inequality_columns)
            if keys and wish.impact_percent >= WORTH_AN_INDEX_PERCENT and not wish.relation.startswith(_TEMPORARY):
                yield wish


def _columns(wish: MissingIndex) -> tuple[object, ...]:
    return (wish.schema, wish.relation, wish.equality_columns, wish.inequality_columns, wish.included_columns)


def _index(database: str, wish: Wish, left_out: int) -> Draft:
    name, table = _quoted(index_name(wish)), _path(wish.schema, wish.relation)
    use = f"USE {_quoted(database)};\n"
    without = (
        f"It would include {left_out} more columns, which every write would pay for: the keys alone bring part of the "
        "gain. "
        if left_out
        else ""
    )
    return Draft(
        SuggestionKind.CREATE_INDEX,
        "medium",
        f"The optimizer missed an index on {wish.relation} ({', '.join(wish.keys)}) when it compiled the present plan, "
        f"and puts the gain for this statement at {wish.impact_percent:.0f} %. {without}It looks at one statement "
        "only: compare with the indexes that are there, mind that every write to the table maintains one more, and "
        "build it in a quiet hour or online where the edition can.",
        f"{use}{index_script(wish)}",
        f"{use}DROP INDEX {name} ON {table};",
    )


def _quoted(name: str) -> str:
    return quote_name(name, Engine.SQLSERVER)


def _path(schema: str, relation: str) -> str:
    return ".".join(_quoted(part) for part in (schema, relation) if part)
