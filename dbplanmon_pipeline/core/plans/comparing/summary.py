"""The difference of two plans, headed by one sentence."""

from collections.abc import Sequence

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.comparing.differences import (
    DifferenceKind,
    PlanDiff,
    PlanDifference,
    figure,
    ratio_text,
)
from dbplanmon_pipeline.core.plans.findings.model import Finding, Weight
from dbplanmon_pipeline.core.plans.findings.view import number_of
from dbplanmon_pipeline.core.plans.showplan.attributes import figure_of
from dbplanmon_pipeline.core.plans.tree import Plan, PlanStatement

NO_DIFFERENCE = "No difference: the same operators, tables and indexes in the same order."

WORTH_RATIO = 1.05
"""Costs that moved by less are not told."""

CAUSES = (
    "parameter-sniffing",
    "implicit-conversion-seek",
    "no-join-predicate",
    "missing-statistics",
    "table-variable",
    "scalar-function",
    "generic-plan-skew",
    "disabled-operator",
    "unmatched-indexes",
    "non-sargable-predicate",
    "optimizer-gave-up",
    "row-goal",
    "function-scan-estimate",
)
"""Findings that say why a plan is as it is, the surest first; others say what is bad about it."""

_WISH = "missing-index"

_EXPLAINS = (DifferenceKind.PARAMETER, DifferenceKind.HINT, DifferenceKind.FUNCTION, DifferenceKind.SETTING)
"""Changes that explain others, the surest first."""

_ARRANGED = frozenset(
    {
        DifferenceKind.ACCESS_PATH,
        DifferenceKind.INDEX,
        DifferenceKind.CONDITION,
        DifferenceKind.JOIN_TYPE,
        DifferenceKind.JOIN_ORDER,
        DifferenceKind.BUILD_SIDE,
        DifferenceKind.HINT,
        DifferenceKind.FUNCTION,
        DifferenceKind.ROW_GOAL,
        DifferenceKind.PARALLELISM,
        DifferenceKind.AGGREGATION,
        DifferenceKind.SORT,
        DifferenceKind.SPOOL,
        DifferenceKind.OPERATOR,
        DifferenceKind.WARNING,
    }
)


def summarise(
    old: Plan,
    new: Plan,
    changes: Sequence[PlanDifference],
    fresh: Sequence[Finding],
    stayed: Sequence[Finding],
) -> PlanDiff:
    """The changes with one sentence: why, where the plans tell, then the most telling change, and what it costs.

    Where the plans work alike, what is bad about the new one speaks, or what is bad about both.

    Args:
        old: the former plan.
        new: the present one.
        changes: all between them, the most telling first.
        fresh: findings that only the present plan has, what weighs most first.
        stayed: findings that both have, likewise.
    """
    figures = [words for words in (_cost(old, new), _measured(old, new)) if words]
    lead = changes[:1]
    if lead:
        fresh, stayed = ([one for one in side if one.statement == lead[0].statement] for side in (fresh, stayed))
    cause = _cause(changes, fresh)
    reason = cause.text if cause else _symptom(changes, fresh, stayed)
    if not lead:
        sentences = [NO_DIFFERENCE, *(f"{_begun(words)}." for words in [reason, *figures] if words)]
        return PlanDiff((), " ".join(sentences), reason=reason)
    more = len(changes) - 1 - (cause in changes)
    rest = f", and {more} more {'difference' if more == 1 else 'differences'}" if more else ""
    told = [*([_begun(reason)] if reason else []), f"{lead[0].text}{rest}", *figures]
    in_words = tuple(one for one in changes if one in (lead[0], cause))
    return PlanDiff(
        tuple(changes), f"{'; '.join(told)}.", in_words, "" if isinstance(cause, PlanDifference) else reason
    )


def _cause(changes: Sequence[PlanDifference], fresh: Sequence[Finding]) -> Finding | PlanDifference | None:
    """What explains the rest: a finding of the present plan only, else a change of what the plan was made for."""
    for rule in CAUSES:
        found = next((one for one in fresh if one.rule == rule and one.weight is not Weight.LOW), None)
        if found:
            return found
    if not changes or changes[0].kind in _EXPLAINS:
        return None
    beside = [one for one in changes if one.statement == changes[0].statement]
    by_kind = (next((one for one in beside if one.kind is kind), None) for kind in _EXPLAINS)
    return next((one for one in by_kind if one), None)


def _symptom(changes: Sequence[PlanDifference], fresh: Sequence[Finding], stayed: Sequence[Finding]) -> str:
    """What is bad about the present plan, or about both, where they do not differ in how they work."""
    if any(change.kind in _ARRANGED and not change.is_light for change in changes):
        return ""
    worst = next((one for one in fresh if one.weight is not Weight.LOW), None)
    if worst:
        return worst.text
    if changes and changes[0].kind in _EXPLAINS:
        return ""
    worst = next((one for one in stayed if one.weight is Weight.HIGH), None)
    if worst and worst.rule == _WISH:
        # What the plan does is said before what the optimizer estimates it could do.
        worst = next((one for one in stayed if one.weight is not Weight.LOW and one.rule != _WISH), worst)
    return f"in both plans {worst.text}" if worst else ""


def _begun(words: str) -> str:
    """As a sentence begins; names keep their case."""
    return f"{words[0].upper()}{words[1:]}" if words.split(" ", 1)[0].rstrip(":,").isalpha() else words


def _cost(old: Plan, new: Plan) -> str:
    before, after = (sum(statement.estimated_cost or 0.0 for statement in plan.statements) for plan in (old, new))
    return _moved("estimated cost", before, after, "")


def _measured(old: Plan, new: Plan) -> str:
    times = [[_elapsed_ms(plan.engine, one) for one in plan.statements if one.trees] for plan in (old, new)]
    if not all(times) or any(value is None for side in times for value in side):
        return ""
    before, after = (sum(value or 0.0 for value in side) for side in times)
    return _moved("measured time", before, after, " ms")


def _elapsed_ms(engine: Engine, statement: PlanStatement) -> float | None:
    """Measured time of a statement, None where it was not run [ms]."""
    if engine == Engine.SQLSERVER:
        told = statement.attributes.get("QueryTimeStats")
        return figure_of(told.get("ElapsedTime")) if isinstance(told, dict) else None
    told = number_of(statement.attributes.get("Execution Time"))
    return told if told is not None else statement.root.actual_ms if statement.root else None


def _moved(what: str, before: float, after: float, unit: str) -> str:
    if not before or not after or before == after or max(before / after, after / before) < WORTH_RATIO:
        return ""
    return f"{what} {figure(before)}{unit} became {figure(after)}{unit} ({ratio_text(before, after)})"
