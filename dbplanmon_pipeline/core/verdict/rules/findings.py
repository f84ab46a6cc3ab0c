"""Applies all rules to all points and keeps, for each that fired, the one finding to report."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.rows.series import METRICS
from dbplanmon_pipeline.core.verdict.rows.ticks import Points
from dbplanmon_pipeline.core.verdict.rows.windows import CostSums
from dbplanmon_pipeline.core.verdict.rules.dear_path import DearSums
from dbplanmon_pipeline.core.verdict.rules.plan_path import intervals_since_plan_change, judge_plan, plan_changes_at
from dbplanmon_pipeline.core.verdict.rules.scales import Finding, Judge, judge_scale, judged_views

_ELAPSED, _WORKER = METRICS
_CPU_LEADS = 0.5
_POINTS = 40_000


@dataclass(frozen=True, slots=True)
class Fired:
    """One statement that is worse than normal at one moment.

    Attributes:
        row: its last row.
        oldest: the first row that may be looked at.
        tick: number of the moment.
        metric: what rose.
        intervals: active intervals the finding rests on.
        score / spread: as in `Finding`.
        effect_ratio: cost over normal.
        extra_seconds_per_hour: what it costs.
        whole: the largest execution of each interval counts as well, as it is dear ones that rose.
    """

    row: int
    oldest: int
    tick: int
    metric: str
    intervals: int
    score: float
    spread: float
    effect_ratio: float
    extra_seconds_per_hour: float
    whole: bool = False


def find(judge: Judge, points: Points) -> list[Fired]:
    """Judge the points by all rules, some at a time, so that the work stays in the cache of a processor.

    They are taken in order of their rows: then their windows lie side by side in memory as well.
    """
    since = intervals_since_plan_change(plan_changes_at(judge.rows), points)
    dear = {metric: DearSums(judge, metric) for metric in METRICS if len(judge.comparison.dear[metric].row)}
    may = judge.may_rise(points.row, since)
    for sums in dear.values():
        may |= sums.may_fire(points)
    number = np.flatnonzero(may)
    number = number[np.argsort(points.row[number], kind="stable")]
    parts = (number[first : first + _POINTS] for first in range(0, len(number), _POINTS))
    return [fired for part in parts for fired in _find(judge, points.at(part), since[part], dear)]


def _find(judge: Judge, points: Points, since: Longs, dear: Mapping[str, DearSums]) -> list[Fired]:
    """Judge the points by all rules.

    CPU time decides first: where it fired and makes up half of what elapsed time rose by, it is the metric reported.
    What fired for elapsed time per CPU time is reported as elapsed time.
    """
    first = {metric: _nothing(len(points.row)) for metric in METRICS}
    for view in judged_views(judge):
        found = first[_WORKER if view == _WORKER else _ELAPSED]
        if view in METRICS:
            left = np.flatnonzero(~found.fired)
            _fill(found, left, judge_plan(judge, view, points.at(left), since[left]))
        for number in range(len(judge.policy.scales)):
            left = np.flatnonzero(~found.fired)
            _fill(found, left, judge_scale(judge, view, points.at(left), number))
    return _report(judge, points, first, {metric: sums.finding(points) for metric, sums in dear.items()})


def _nothing(points: int) -> Finding:
    return Finding(np.zeros(points, np.bool_), np.ones(points, np.int64), np.zeros(points), np.ones(points))


def _fill(found: Finding, left: Longs, other: Finding) -> None:
    """Take over what fired of the points that were left: the first rule to fire is the one that is told."""
    new = left[other.fired]
    found.fired[new] = True
    found.intervals[new] = other.intervals[other.fired]
    found.score[new], found.spread[new] = other.score[other.fired], other.spread[other.fired]


def _report(judge: Judge, points: Points, first: Mapping[str, Finding], dear: Mapping[str, Finding]) -> list[Fired]:
    """One finding per point; dear executions are told of where nothing else is."""
    elapsed, worker = first[_ELAPSED], first[_WORKER]
    at = np.flatnonzero(elapsed.fired | worker.fired)
    row = points.row[at]
    cpu_cost = judge.costs[_WORKER].extra_us(row, worker.intervals[at])
    all_cost = judge.costs[_ELAPSED].extra_us(row, worker.intervals[at])
    cpu_leads = worker.fired[at] & (~elapsed.fired[at] | (cpu_cost >= _CPU_LEADS * all_cost))
    reported: list[Fired] = []
    for metric, finding, chosen in ((_WORKER, worker, cpu_leads), (_ELAPSED, elapsed, ~cpu_leads)):
        reported += _spelt_out(judge, points, metric, finding, at[chosen])
    told = elapsed.fired | worker.fired
    for metric in (_WORKER, _ELAPSED):
        if metric in dear:
            at = np.flatnonzero(dear[metric].fired & ~told)
            reported += _spelt_out(judge, points, metric, dear[metric], at, whole=True)
            told = told | dear[metric].fired
    return sorted(reported, key=lambda one: (one.tick, one.row))


def _spelt_out(
    judge: Judge, points: Points, metric: str, finding: Finding, at: Longs, whole: bool = False
) -> list[Fired]:
    if not len(at):
        return []
    row, intervals = points.row[at], finding.intervals[at]
    costs = CostSums(judge.rows, judge.comparison.whole[metric]) if whole else judge.costs[metric]
    hours: Floats = costs.span_us(row, intervals) / 3.6e9
    columns: tuple[NDArray[np.float64] | Longs, ...] = (
        finding.score[at],
        finding.spread[at],
        np.maximum(costs.ratio(row, intervals), 1.0),
        costs.extra_us(row, intervals) / 1e6 / hours,
    )
    keys = zip(row.tolist(), points.oldest[at].tolist(), points.tick[at].tolist(), intervals.tolist(), strict=True)
    figures = zip(*(column.tolist() for column in columns), strict=True)
    return [
        Fired(last, oldest, tick, metric, length, score, spread, ratio, extra, whole)
        for (last, oldest, tick, length), (score, spread, ratio, extra) in zip(keys, figures, strict=True)
    ]
