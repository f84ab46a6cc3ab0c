"""What differs in how SQL Server compiled two plans: estimator, effort, options, memory, statistics."""

from collections.abc import Iterator, Mapping

from dbplanmon_pipeline.core.plans.compare_access import ESTIMATE_RATIO
from dbplanmon_pipeline.core.plans.differences import DifferenceKind, PlanDifference, figure, ratio_text
from dbplanmon_pipeline.core.plans.showplan_values import figure_of
from dbplanmon_pipeline.core.plans.statistics_used import statistics_used
from dbplanmon_pipeline.core.plans.tree import PlanStatement

SMALL_GRANT_KB = 10 * 1024
"""Memory wishes below are no news however they moved."""

_EARLY_ENDS = {
    "TimeOut": "it ran out of time and took the best plan so far",
    "MemoryLimitExceeded": "it ran out of memory and took the best plan so far",
}
_BATCH_MODE = "Batch"


def compare_compilation(before: PlanStatement, after: PlanStatement) -> Iterator[PlanDifference]:
    """Differences of two showplans of one statement that no operator shows; nothing for other engines."""
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
    for key, use in now.items():
        old = was.get(key)
        name = f"{use.name} of {use.table}"
        if old and use.last_update > old.last_update:
            sample = f" from {use.sample_words}" if use.sample_words else ""
            text = f"statistics {name} were updated at {use.moment}{sample}, before at {old.moment}"
            yield PlanDifference(DifferenceKind.STATISTICS, name, old.moment, use.moment, text)
        elif use.is_stale and not (old and old.is_stale):
            changed = figure(use.modifications)
            text = f"statistics {name} are stale: {changed} rows changed since they were taken"
            yield PlanDifference(DifferenceKind.STATISTICS, name, "", changed, text)
