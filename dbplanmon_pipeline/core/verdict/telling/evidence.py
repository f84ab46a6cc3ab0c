"""The reasons of a verdict as two to five short sentences with numbers."""

import math
from datetime import datetime

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.verdict.telling.label import WindowFacts

_CHANGED = 1.2
_TOLD_COMMON_RATIO = 1.1


def duration_text(microseconds: float) -> str:
    """A duration with three significant digits in the unit a person would choose."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size or (unit == "ms" and microseconds >= size / 10):
            return f"{_three_digits(microseconds / size)} {unit}"
    return f"{_three_digits(microseconds)} µs"


def count_text(value: float) -> str:
    """A count: three significant digits below 100, whole and grouped above."""
    return f"{value:,.0f}" if value >= 100 else _three_digits(value)


def verdict_evidence(
    facts: WindowFacts,
    *,
    plans: tuple[int, int],
    began_at: datetime,
    intervals: int,
    executions_per_hour: float,
    common_ratio: float,
) -> tuple[str, ...]:
    """Sentences for one statement.

    Args:
        facts: the window against its baseline.
        plans: plan before and now, 0 unknown.
        began_at: start of the first bad interval.
        intervals: active intervals the verdict rests on.
        executions_per_hour: over the window.
        common_ratio: how slow the whole instance is; it is already taken out of the figures of the statement.
    """
    return tuple(
        sentence
        for sentence in (
            _cost_sentence(facts, executions_per_hour),
            f"Worse since {began_at:%Y-%m-%d %H:%M:%S} UTC, judged over {intervals} intervals with executions.",
            plan_sentence(plans),
            _reads_sentence(facts),
            _cause_sentence(facts, common_ratio),
        )
        if sentence
    )


def instance_evidence(
    ratio: float, statements: int, spoke: int, began_at: datetime, extra_seconds_per_hour: float, which: str = ""
) -> tuple[str, ...]:
    """Sentences for a slow instance: `statements` of the `spoke` that ran often enough rose.

    `which` names the part of it that did, with a blank before; empty for all.
    """
    beyond = " beyond what all do" if which else ""
    return (
        f"{statements} of {spoke} statements{which} cost more together, x{_three_digits(ratio)} at the median{beyond}.",
        f"Worse since {began_at:%Y-%m-%d %H:%M:%S} UTC; {count_text(extra_seconds_per_hour)} s of extra time per hour.",
    )


def _cost_sentence(facts: WindowFacts, executions_per_hour: float) -> str:
    name, before, now = "Elapsed time", facts.elapsed_before_us, facts.elapsed_now_us
    if facts.metric == "worker_time_us":
        name, before, now = "CPU time", facts.worker_before_us, facts.worker_now_us
    return (
        f"{name} per execution {duration_text(before)} -> {duration_text(now)} (x{_three_digits(facts.effect_ratio)}) "
        f"at {count_text(executions_per_hour)} executions per hour."
    )


def plan_sentence(plans: tuple[int, int]) -> str:
    """On the plans before and now, by hash; empty where that of now is unknown."""
    before, now = plans
    if before and now and before != now:
        return f"Plan {hash_text(before)} -> {hash_text(now)}."
    return f"Same plan {hash_text(now)} as before." if now else ""


def _reads_sentence(facts: WindowFacts) -> str:
    if math.isnan(facts.log_reads):
        return ""
    if abs(facts.log_reads) < math.log(_CHANGED):
        return f"Reads per execution unchanged at {count_text(facts.reads_now)} pages."
    return f"Reads per execution {count_text(facts.reads_before)} -> {count_text(facts.reads_now)} pages."


def _cause_sentence(facts: WindowFacts, common_ratio: float) -> str:
    if common_ratio >= _TOLD_COMMON_RATIO:
        return f"The whole instance is x{_three_digits(common_ratio)} slower; that is not counted here."
    if facts.waited_share >= 0.5:
        return f"Waits and input/output explain {min(facts.waited_share, 1.0):.0%} of the extra time."
    if facts.metric == "elapsed_time_us" and facts.log_worker < math.log(_CHANGED):
        return f"CPU per execution unchanged at {duration_text(facts.worker_now_us)}."
    return ""


def _three_digits(value: float) -> str:
    if value <= 0:
        return "0"
    decimals = max(0, 2 - math.floor(math.log10(value)))
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
