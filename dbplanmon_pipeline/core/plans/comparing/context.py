"""What changed around a plan: indexes, settings, table sizes and statistics."""

from collections.abc import Iterator, Mapping
from typing import Any

from dbplanmon_pipeline.core.plans.comparing.differences import (
    DifferenceKind,
    PlanDifference,
    figure,
    ordered,
    ratio_text,
)

GROWTH_RATIO = 1.5
"""Tables that grew or shrank by less are no news."""

STALE_SHARE = 0.1
STALE_ROWS = 1000
"""Statistics are stale when at least this many rows, and this share of the table, changed since they were taken."""


DISABLED = "-- disabled: "
"""Before the definition of an index that is there and serves no plan."""


def context_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[PlanDifference, ...]:
    """Compare the contexts of two captured plans of one statement.

    Args:
        old: `{"indexes": {name: ddl}, "settings": {name: value}, "tables": {name: {"rows", "last_analyze",
            "n_mod_since_analyze"}}}`; parts may be missing, and what only one side knows of a part is compared only
            where both have the part. `database`, where given, is the one it was read in; then indexes are named
            `index on schema.table`, and `tables` are all whose indexes are listed.
        new: likewise, of the plan that replaced it. Read in another database it tells nothing: one stored plan
            stands for all databases that have it, and an index that a tenant never had is not gone.
    """
    if old.get("database") != new.get("database"):
        return ()
    return ordered([*_indexes(old, new), *_settings(old, new), *_tables(old, new)])


def is_listed(index: str, context: Mapping[str, Any]) -> bool:
    """True where a context would have the index if it were there: its table was seen when the context was read."""
    if not isinstance(context.get("indexes"), dict):
        return False
    if "database" not in context:
        return True
    return any(index.endswith(f" on {table}") for table in context.get("tables", {}))


def stale_rows(table: Mapping[str, Any]) -> float:
    """Rows changed since the statistics were taken; 0 while they are fresh enough."""
    changed, rows = _number(table.get("n_mod_since_analyze")), _number(table.get("rows"))
    return changed if changed >= max(STALE_ROWS, STALE_SHARE * rows) else 0.0


def _parts(old: Mapping[str, Any], new: Mapping[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both sides of a part; two empty ones where one side does not know it."""
    before, after = old.get(name), new.get(name)
    return (before, after) if isinstance(before, dict) and isinstance(after, dict) else ({}, {})


def _indexes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[PlanDifference]:
    before, after = _parts(old, new, "indexes")
    for name in dict.fromkeys([*before, *after]):
        was, now = str(before.get(name, "")), str(after.get(name, ""))
        if was != now and is_listed(name, old) and is_listed(name, new):
            yield PlanDifference(DifferenceKind.INDEX, name, was, now, f"index {name} {_index_words(was, now)}")


def _index_words(was: str, now: str) -> str:
    if not now:
        return f"is gone: {was}"
    if not was:
        return f"is new: {now}"
    if now == f"{DISABLED}{was}":
        return f"was disabled: {was}"
    if was == f"{DISABLED}{now}":
        return f"is no longer disabled: {now}"
    return f"was rebuilt differently: {was} became {now}"


def _settings(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[PlanDifference]:
    before, after = _parts(old, new, "settings")
    for name in dict.fromkeys([*before, *after]):
        was, now = str(before.get(name, "")), str(after.get(name, ""))
        if was != now:
            text = f"setting {name}: {was or 'the default'} became {now or 'the default'}"
            yield PlanDifference(DifferenceKind.SETTING, name, was, now, text)


def _tables(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[PlanDifference]:
    before, after = _parts(old, new, "tables")
    for name in after:
        if name in before:
            yield from _size(name, _number(before[name].get("rows")), _number(after[name].get("rows")))
            yield from _statistics(name, before[name], after[name])


def _size(name: str, was: float, now: float) -> Iterator[PlanDifference]:
    low, high = sorted((was, now))
    if low > 0 and high >= GROWTH_RATIO * low:
        verb = "grew" if now > was else "shrank"
        text = f"table {name} {verb} from {figure(was)} to {figure(now)} rows ({ratio_text(was, now)})"
        yield PlanDifference(DifferenceKind.TABLE, name, figure(was), figure(now), text)


def _statistics(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[PlanDifference]:
    was, now = str(before.get("last_analyze") or ""), str(after.get("last_analyze") or "")
    if now and was != now:
        text = f"statistics of {name} were refreshed at {now}"
        yield PlanDifference(DifferenceKind.STATISTICS, name, was, now, text)
    changed, changed_before = stale_rows(after), stale_rows(before)
    if changed and not changed_before:
        text = f"statistics of {name} are stale: {figure(changed)} rows changed since they were taken"
        yield PlanDifference(DifferenceKind.STATISTICS, name, "", figure(changed), text)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
