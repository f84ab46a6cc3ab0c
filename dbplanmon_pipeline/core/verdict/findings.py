"""Applies all rules to all points and keeps, for each that fired, the one finding to report."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.plan_path import intervals_since_plan_change, judge_plan, plan_changes_at
from dbplanmon_pipeline.core.verdict.scales import Finding, Judge, judge_scale, judged_views
from dbplanmon_pipeline.core.verdict.series import METRICS
from dbplanmon_pipeline.core.verdict.ticks import Points

_ELAPSED, _WORKER = METRICS
_CPU_LEADS = 0.5
_POINTS = 8_000


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


def find(judge: Judge, points: Points) -> list[Fired]:
    """Judge the points by all rules, some at a time, so that the work stays in the cache of a processor.

    They are taken in order of their rows: then their windows lie side by side in memory as well.
    """
    since = intervals_since_plan_change(plan_changes_at(judge.rows), points)
    number = np.flatnonzero(judge.may_rise(points.row, since))
    number = number[np.argsort(points.row[number], kind="stable")]
    parts = (number[first : first + _POINTS] for first in range(0, len(number), _POINTS))
    return [fired for part in parts for fired in _find(judge, points.at(part), since[part])]


def _find(judge: Judge, points: Points, since: Longs) -> list[Fired]:
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
    return _report(judge, points, first[_ELAPSED], first[_WORKER])


def _nothing(points: int) -> Finding:
    return Finding(np.zeros(points, np.bool_), np.ones(points, np.int64), np.zeros(points), np.ones(points))


def _fill(found: Finding, left: Longs, other: Finding) -> None:
    """Take over what fired of the points that were left: the first rule to fire is the one that is told."""
    new = left[other.fired]
    found.fired[new] = True
    found.intervals[new] = other.intervals[other.fired]
    found.score[new], found.spread[new] = other.score[other.fired], other.spread[other.fired]


def _report(judge: Judge, points: Points, elapsed: Finding, worker: Finding) -> list[Fired]:
    at = np.flatnonzero(elapsed.fired | worker.fired)
    row = points.row[at]
    cpu_cost = judge.costs[_WORKER].extra_us(row, worker.intervals[at])
    all_cost = judge.costs[_ELAPSED].extra_us(row, worker.intervals[at])
    cpu_leads = worker.fired[at] & (~elapsed.fired[at] | (cpu_cost >= _CPU_LEADS * all_cost))
    reported: list[Fired] = []
    for metric, finding, chosen in ((_WORKER, worker, cpu_leads), (_ELAPSED, elapsed, ~cpu_leads)):
        reported += _spelt_out(judge, points, metric, finding, at[chosen])
    return sorted(reported, key=lambda one: (one.tick, one.row))


def _spelt_out(judge: Judge, points: Points, metric: str, finding: Finding, at: Longs) -> list[Fired]:
    row, intervals = points.row[at], finding.intervals[at]
    costs = judge.costs[metric]
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
        Fired(last, oldest, tick, metric, length, *numbers)
        for (last, oldest, tick, length), numbers in zip(keys, figures, strict=True)
    ]
