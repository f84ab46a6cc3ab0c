"""From a finding to a verdict: since when, how much, with which plan, of which kind, and why."""

import math
from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.verdict.comparison import READS, Comparison
from dbplanmon_pipeline.core.verdict.failing.attempts import Flags
from dbplanmon_pipeline.core.verdict.model import Verdict
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.windows import CostRows
from dbplanmon_pipeline.core.verdict.rules.findings import Fired
from dbplanmon_pipeline.core.verdict.telling.beginnings import STILL_ELEVATED, first_bad_rows
from dbplanmon_pipeline.core.verdict.telling.course import course_of
from dbplanmon_pipeline.core.verdict.telling.evidence import verdict_evidence
from dbplanmon_pipeline.core.verdict.telling.label import WindowFacts, label_of
from dbplanmon_pipeline.core.verdict.telling.severity import severity_of

_JUST_BEFORE = 3
_NORMAL_95 = 1.96


@dataclass(frozen=True, slots=True)
class PlanHistory:
    """Plan now and before, 0 unknown, and whether the change belongs to the rise."""

    now: int
    before: int
    changed: bool


@dataclass(frozen=True, slots=True)
class _Cost:
    """Extra cost per hour with its 95 % interval, and cost per execution, normal and now."""

    extra: float
    low: float
    high: float
    baseline_us: float
    observed_us: float


def verdict_of(comparison: Comparison, fired: Fired, ref: DatabaseRef, policy: DetectorPolicy) -> Verdict:
    """Spell out one finding."""
    rows = comparison.rows
    end = fired.row + 1
    window = slice(end - fired.intervals, end)
    first_bad = int(first_bad_rows(comparison, [fired])[0])
    plans = plan_history(comparison, fired, first_bad, _last_row_of_cause(comparison, fired, window, first_bad))
    hours = (int(rows.end_us[end - 1]) - int(rows.start_us[window.start])) / 3.6e9
    cost = _cost(comparison, fired, window, hours)
    effect = max(cost.observed_us / cost.baseline_us, 1.0)
    facts = _window_facts(comparison, fired, window, effect, plans)
    began = from_epoch_us(int(rows.start_us[first_bad]))
    return Verdict(
        ref=ref,
        query_hash=int(rows.query_hash[rows.series[fired.row]]),
        plan_hash=plans.now,
        previous_plan_hash=plans.before if plans.changed else 0,
        label=label_of(facts),
        severity=severity_of(effect, cost.extra, policy.material_seconds_per_hour),
        metric=fired.metric,
        effect_ratio=effect,
        extra_seconds_per_hour=cost.extra,
        extra_seconds_low=cost.low,
        extra_seconds_high=cost.high,
        baseline_us=cost.baseline_us,
        observed_us=cost.observed_us,
        score=fired.score,
        window_intervals=fired.intervals,
        began_at=began,
        evidence=verdict_evidence(
            facts,
            plans=(plans.before if plans.changed else plans.now, plans.now),
            began_at=began,
            intervals=fired.intervals,
            executions_per_hour=float(rows.executions[window].sum()) / hours,
            common_ratio=_common_ratio(comparison, fired, end - 1),
        ),
        course=course_of(comparison, fired, first_bad),
    )


def plan_history(comparison: Comparison, fired: Fired, first_bad: int, last_bad: int) -> PlanHistory:
    """Plans of a statement around a rise that began in row `first_bad`; `last_bad` is the last row of its plan.

    The change belongs to the rise when it came at most three intervals before, or during it. When the rise is as old
    as the rows, the plan of the baseline stands for the plan before.
    """
    rows = comparison.rows
    first, end = fired.oldest, last_bad + 1
    known = first + np.flatnonzero(rows.plan_hash[first:end])
    if not len(known):
        return PlanHistory(0, 0, changed=False)
    now = int(rows.plan_hash[known[-1]])
    others = np.flatnonzero(rows.plan_hash[known] != now)
    if len(others):
        changed_row = int(known[others[-1] + 1])
        return PlanHistory(now, int(rows.plan_hash[known[others[-1]]]), changed=changed_row >= first_bad - _JUST_BEFORE)
    learnt = int(comparison.learnt.plan_hash[rows.series[fired.row]])
    return PlanHistory(now, learnt, changed=learnt not in (0, now) and first_bad <= first + _JUST_BEFORE)


def _last_row_of_cause(comparison: Comparison, fired: Fired, window: slice, first_bad: int) -> int:
    """Last bad row of the plan under which most of the rise was paid for.

    A plan that came at its end may be the way out: an interval in which plans changed counts as one of the last.
    """
    rows = comparison.rows
    if fired.whole:
        dear = comparison.dear[fired.metric].row
        bad = dear[(dear >= first_bad) & (dear < window.stop)]
    else:
        bad = first_bad + np.flatnonzero(~_calm(comparison, fired, window)[first_bad - fired.oldest :])
    bad = bad[rows.plan_hash[bad] != 0]
    if not len(bad):
        return int(window.stop) - 1
    costs = _costs(comparison, fired, fired.metric)
    plans, which = np.unique(rows.plan_hash[bad], return_inverse=True)
    extra = np.bincount(which, np.nan_to_num(costs.observed_us[bad] - costs.expected_us[bad]))
    return int(bad[rows.plan_hash[bad] == plans[extra.argmax()]][-1])


def _calm(comparison: Comparison, fired: Fired, window: slice) -> Flags:
    """Rows up to the end of the window that are not elevated, unknown ones among them."""
    residual = comparison.costs[fired.metric].residual[fired.oldest : window.stop]
    own = residual[window.start - fired.oldest :]
    mean = float(own.sum()) / len(own)
    above = STILL_ELEVATED * max(float(np.nanmean(own)) if math.isnan(mean) else mean, 0.0)
    calm: Flags = ~(residual > above)
    return calm


def _cost(comparison: Comparison, fired: Fired, window: slice, hours: float) -> _Cost:
    """Rates over the window; the interval comes from the spread of its intervals, or of such means in the baseline."""
    costs = _costs(comparison, fired, fired.metric)
    residual = costs.residual[window]
    known = ~np.isnan(residual)
    observed, expected = float(costs.observed_us[window][known].sum()), float(costs.expected_us[window][known].sum())
    executions = float(comparison.rows.executions[window][known].sum())
    deviation = float(np.std(residual[known], ddof=1)) / math.sqrt(known.sum()) if known.sum() > 1 else 0.0
    factor = math.exp(_NORMAL_95 * max(deviation, fired.spread))
    per_hour = 1e6 * hours
    return _Cost(
        extra=(observed - expected) / per_hour,
        low=(observed / factor - expected) / per_hour,
        high=(observed * factor - expected) / per_hour,
        baseline_us=expected / executions,
        observed_us=observed / executions,
    )


def _window_facts(
    comparison: Comparison, fired: Fired, window: slice, effect: float, plans: PlanHistory
) -> WindowFacts:
    rows, learnt, series = comparison.rows, comparison.learnt, int(comparison.rows.series[fired.row])
    elapsed, worker = (
        _per_execution(comparison, fired, metric, window) for metric in ("elapsed_time_us", "worker_time_us")
    )
    spreading = fired.metric if math.isnan(worker[1]) else "worker_time_us"
    return WindowFacts(
        metric=fired.metric,
        effect_ratio=effect,
        plan_changed=plans.changed,
        elapsed_before_us=elapsed[0],
        elapsed_now_us=elapsed[1],
        worker_before_us=worker[0],
        worker_now_us=worker[1],
        reads_before=float(learnt.means[READS][series]),
        reads_now=_mean(rows.executions[window], rows.sums[READS][window]),
        rows_before=float(learnt.means["rows"][series]),
        rows_now=_mean(rows.executions[window], rows.sums["rows"][window]),
        waited_before_us=_sum_of_known(*(float(learnt.means[name][series]) for name in ("io_time_us", "wait_time_us"))),
        waited_now_us=_sum_of_known(
            *(_mean(rows.executions[window], rows.sums[name][window]) for name in ("io_time_us", "wait_time_us"))
        ),
        variation_before=float(learnt.variation[spreading][series]),
        variation_now=_variation(comparison, spreading, window, plans.now),
    )


def _costs(comparison: Comparison, fired: Fired, metric: str) -> CostRows:
    return comparison.whole[metric] if fired.whole else comparison.costs[metric]


def _per_execution(comparison: Comparison, fired: Fired, metric: str, window: slice) -> tuple[float, float]:
    costs, executions = _costs(comparison, fired, metric), comparison.rows.executions[window]
    return _mean(executions, costs.expected_us[window]), _mean(executions, costs.observed_us[window])


def _mean(executions: Floats, totals: Floats) -> float:
    known = ~np.isnan(totals)
    return float(totals[known].sum() / executions[known].sum()) if known.any() else math.nan


def _variation(comparison: Comparison, metric: str, window: slice, plan: int) -> float:
    """Standard deviation over mean of single executions in the intervals of one plan."""
    rows = comparison.rows
    own = rows.plan_hash[window] == plan
    executions = rows.executions[window][own]
    mean = _mean(executions, rows.sums[metric][window][own])
    square = _mean(executions, rows.sums[f"{metric}_sumsq"][window][own])
    return math.sqrt(max(square - mean * mean, 0.0)) / max(mean, 1.0) if not math.isnan(square) else math.nan


def _sum_of_known(*values: float) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) if known else math.nan


def _common_ratio(comparison: Comparison, fired: Fired, row: int) -> float:
    mode = comparison.modes[fired.metric]
    return float(np.exp(mode.log_ratio.ravel()[mode.grid.cell[row]]))
