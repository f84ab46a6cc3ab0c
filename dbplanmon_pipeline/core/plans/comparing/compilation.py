"""What differs in how SQL Server compiled two plans: estimator, effort, options, memory, statistics."""

from collections.abc import Iterator, Mapping

from dbplanmon_pipeline.core.plans.comparing.differences import (
    ESTIMATE_RATIO,
    DifferenceKind,
    PlanDifference,
    figure,
    ratio_text,
)
from dbplanmon_pipeline.core.plans.comparing.hints import compare_hints
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of
from dbplanmon_pipeline.core.plans.showplan.statistics_used import StatisticsUse, statistics_used
from dbplanmon_pipeline.core.plans.tree import PlanStatement

SMALL_GRANT_KB = 10 * 1024
"""Memory wishes below are no news however they moved."""

MOST_STATISTICS = 2
"""Statistics of one table that are told one by one."""

_EARLY_ENDS = {
    "TimeOut": "it ran out of time and took the best plan so far",
    "MemoryLimitExceeded": "it ran out of memory and took the best plan so far",
}
_BATCH_MODE = "Batch"


def compare_compilation(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """Differences of two showplans of one statement that no operator shows; nothing for other engines."""
    yield from compare_hints(before, after)
    yield from _estimator(before, after)
    yield from _effort(before, after)
    yield from _options(before, after)
    yield from _execution_mode(before, after)
    yield from _memory(before, after)
    yield from _statistics(before, after)


def _said(statement: PlanStatement, name: str) -> str:
    return str(statement.attributes.get(name, ""))


def _nested(statement: PlanStatement, name: str) -> Mapping[str, str]:
    found = statement.attributes.get(name)
    return found if isinstance(found, dict) else {}


def _estimator(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    was, now = (_said(side, "CardinalityEstimationModelVersion") for side in (before, after))
    if was and now and was != now:
        text = f"cardinality estimator: version {was} became {now}"
        yield PlanDifference(DifferenceKind.SETTING, "cardinality estimator", was, now, text)


def _effort(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """The optimizer stopped early, or looked less closely, only in one of the plans."""
    was, now = (_early_end(side) for side in (before, after))
    if was != now:
        text = f"optimizer: {_EARLY_ENDS[now]}" if now else f"optimizer: it no longer stops early ({was})"
        yield PlanDifference(DifferenceKind.WARNING, "optimizer", was, now, text)
    was, now = (_said(side, "StatementOptmLevel") for side in (before, after))
    if was and now and was != now:
        text = f"optimizer: level {was} became {now}"
        yield PlanDifference(DifferenceKind.OPERATOR, "optimizer", was, now, text)


def _early_end(statement: PlanStatement) -> str:
    reason = _said(statement, "StatementOptmEarlyAbortReason")
    return reason if reason in _EARLY_ENDS else ""


def _options(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """Session options: the same text is compiled once more for a session with others."""
    was, now = (_nested(side, "StatementSetOptions") for side in (before, after))
    for name in was:
        left, right = (_on_off(side.get(name, "")) for side in (was, now))
        if left and right and left != right:
            text = f"session option {name}: {left} became {right}"
            yield PlanDifference(DifferenceKind.SETTING, name, left, right, text)


def _on_off(value: str) -> str:
    return {"1": "ON", "true": "ON", "0": "OFF", "false": "OFF"}.get(value, "")


def _execution_mode(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    was, now = (_has_batch_mode(side) for side in (before, after))
    if was != now:
        text = "execution: batch mode is new" if now else "execution: batch mode is gone, all operators work row by row"
        left, right = ("batch mode" if side else "row mode" for side in (was, now))
        yield PlanDifference(DifferenceKind.OPERATOR, "", left, right, text)


def _has_batch_mode(statement: PlanStatement) -> bool:
    return any(part.attributes.get("EstimatedExecutionMode") == _BATCH_MODE for part in statement.operators())


def _memory(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    was, now = (figure_of(_nested(side, "MemoryGrantInfo").get("SerialDesiredMemory")) for side in (before, after))
    if was is None or now is None or max(was, now) < SMALL_GRANT_KB:
        return
    low, high = sorted((max(was, 1.0), max(now, 1.0)))
    if high >= ESTIMATE_RATIO * low:
        left, right = (f"{figure(side / 1024)} MB" for side in (was, now))
        text = f"memory wanted: {left} became {right} ({ratio_text(max(was, 1.0), max(now, 1.0))})"
        yield PlanDifference(DifferenceKind.ESTIMATE, "memory", left, right, text)


def _statistics(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    was, now = statistics_used(before), statistics_used(after)
    updated: dict[str, list[tuple[StatisticsUse, StatisticsUse]]] = {}
    for key, use in now.items():
        old = was.get(key)
        if old and use.last_update > old.last_update:
            updated.setdefault(use.table, []).append((old, use))
        elif use.is_stale and not (old and old.is_stale):
            changed = figure(use.modifications)
            name = f"{use.name} of {use.table}"
            text = f"statistics {name} are stale: {changed} rows changed since they were taken"
            yield PlanDifference(DifferenceKind.STATISTICS, name, "", changed, text)
    for table, pairs in updated.items():
        yield from map(_updated, pairs) if len(pairs) <= MOST_STATISTICS else [_many_updated(table, pairs)]


def _updated(pair: tuple[StatisticsUse, StatisticsUse]) -> PlanDifference:
    old, use = pair
    name = f"{use.name} of {use.table}"
    sample = f" from {use.sample_words}" if use.sample_words else ""
    text = f"statistics {name} were updated at {use.moment}{sample}, before at {old.moment}"
    return PlanDifference(DifferenceKind.STATISTICS, name, old.moment, use.moment, text)


def _many_updated(table: str, pairs: list[tuple[StatisticsUse, StatisticsUse]]) -> PlanDifference:
    old, use = (max((pair[side] for pair in pairs), key=lambda one: one.last_update) for side in (0, 1))
    text = f"{len(pairs)} statistics of {table} were updated, the last at {use.moment}, before at {old.moment}"
    return PlanDifference(DifferenceKind.STATISTICS, table, old.moment, use.moment, text)
