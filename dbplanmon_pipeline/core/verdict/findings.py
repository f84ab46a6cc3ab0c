"""Applies all rules to all statements and keeps, for each that fired, the one finding to report."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.comparison import READS, Comparison
from dbplanmon_pipeline.core.verdict.plan_path import intervals_since_plan_change, judge_plan
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.scales import Block, Finding, Support, judge_scale
from dbplanmon_pipeline.core.verdict.series import METRICS
from dbplanmon_pipeline.core.verdict.sorted_groups import blocks, last_rows
from dbplanmon_pipeline.core.verdict.windows import Windows

_ELAPSED, _WORKER = METRICS
_CPU_LEADS = 0.5


@dataclass(frozen=True, slots=True)
class Fired:
    """One statement that is worse than normal.

    Attributes:
        series: its number in the comparison.
        metric: what rose.
        intervals: active intervals the finding rests on.
        score / spread: as in `Finding`.
    """

    series: int
    metric: str
    intervals: int
    score: float
    spread: float


def find(comparison: Comparison, judged: Longs, min_extra_us: Floats, policy: DetectorPolicy) -> list[Fired]:
    """Judge the given series by all rules.

    CPU time decides first: where it fired and makes up half of what elapsed time rose by, it is the metric reported.

    Args:
        comparison: recent rows against their normal.
        judged: int64 [n], series that ran in the last interval.
        min_extra_us: float64 [series], what a rise must cost per hour [microseconds].
        policy: thresholds.
    """
    rows = comparison.rows
    since = intervals_since_plan_change(rows)
    longest = max(policy.plan_intervals, *(scale.intervals for scale in policy.scales))
    held = np.minimum(rows.counts[judged], longest)
    fired: list[Fired] = []
    for chosen in blocks(held):
        series = judged[chosen]
        at = last_rows(rows.bounds[series], rows.bounds[series + 1], int(held[chosen[0]]))
        windows = {name: Windows(rows, at, costs) for name, costs in comparison.costs.items()}
        findings = {
            metric: _first_to_fire(
                _apply_rules(comparison, windows, metric, series, since[series], min_extra_us[series], policy)
            )
            for metric in METRICS
        }
        fired += _report(series, findings, windows)
    return fired


def _apply_rules(
    comparison: Comparison,
    windows: dict[str, Windows],
    metric: str,
    series: Longs,
    since: Longs,
    min_extra_us: Floats,
    policy: DetectorPolicy,
) -> list[Finding]:
    support = Support([windows[READS], windows[_WORKER]]) if metric == _ELAPSED else None
    block = Block(windows[metric], comparison.learnt.metrics[metric].at(series), support, min_extra_us)
    findings = [judge_plan(block, since, comparison.learnt.flip_share[series], policy)]
    return findings + [judge_scale(block, number, policy) for number in range(len(policy.scales))]


def _first_to_fire(findings: Sequence[Finding]) -> Finding:
    fired = np.stack([finding.fired for finding in findings])
    rule, at = np.argmax(fired, axis=0), np.arange(fired.shape[1])
    fires: NDArray[np.bool_] = np.logical_or.reduce(fired, axis=0)
    return Finding(
        fires,
        np.stack([finding.intervals for finding in findings])[rule, at],
        np.stack([finding.score for finding in findings])[rule, at],
        np.stack([finding.spread for finding in findings])[rule, at],
    )


def _report(series: Longs, findings: dict[str, Finding], windows: dict[str, Windows]) -> list[Fired]:
    elapsed, worker = findings[_ELAPSED], findings[_WORKER]
    cpu_cost = windows[_WORKER].extra_us(worker.intervals)
    all_cost = windows[_ELAPSED].extra_us(worker.intervals)
    cpu_leads = worker.fired & (~elapsed.fired | (cpu_cost >= _CPU_LEADS * all_cost))
    reported = []
    for at in np.flatnonzero(elapsed.fired | worker.fired):
        metric = _WORKER if cpu_leads[at] else _ELAPSED
        chosen = findings[metric]
        reported.append(
            Fired(int(series[at]), metric, int(chosen.intervals[at]), float(chosen.score[at]), float(chosen.spread[at]))
        )
    return reported
