"""What an evaluation says, to be compared with another one."""

from dataclasses import replace

_FIGURES = (
    "effect_ratio",
    "extra_seconds_per_hour",
    "extra_seconds_low",
    "extra_seconds_high",
    "baseline_us",
    "observed_us",
    "score",
)
_WORDS = ("query_hash", "metric", "window_intervals", "began_at", "label", "severity", "plan_hash")


def said(evaluation):
    """Everything, without the last digits of figures."""
    verdicts = [
        (
            v.ref,
            *(getattr(v, name) for name in _WORDS),
            v.previous_plan_hash,
            v.evidence,
            v.course and (v.course.ends_us, [f"{extra:.6g}" for extra in v.course.extra]),
            v.failures and replace(v.failures, per_hour=round(v.failures.per_hour, 6)),
            *(f"{getattr(v, name):.8g}" for name in _FIGURES),
        )
        for v in evaluation.verdicts
    ]
    slow = [
        (v.instance, v.database, v.statements, v.began_at, f"{v.effect_ratio:.8g}")
        for v in evaluation.instance_verdicts
    ]
    counts = (
        evaluation.as_of,
        evaluation.judged,
        evaluation.unjudged,
        evaluation.slow_instances,
        evaluation.slow_databases,
    )
    return sorted(verdicts, key=repr), slow, counts, set(evaluation.active), dict(evaluation.failing)
