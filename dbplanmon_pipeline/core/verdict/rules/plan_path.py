"""The fast path: a new plan is evidence of its own, so less is asked of the intervals since it took over."""

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows
from dbplanmon_pipeline.core.verdict.rows.ticks import Points
from dbplanmon_pipeline.core.verdict.rules.scales import Demand, Finding, Judge

_SEEN, _SHARPLY_SEEN = 3, 2


def plan_changes_at(rows: SeriesRows) -> tuple[Longs, Longs]:
    """For each row, the row in which its statement last got another plan and the row of the plan before; -1 for none.

    Intervals without a known plan neither change nor confirm one.
    """
    known = np.flatnonzero(rows.plan_hash)
    series, plan = rows.series[known], rows.plan_hash[known]
    changed = np.flatnonzero((plan[1:] != plan[:-1]) & (series[1:] == series[:-1])) + 1
    at, before = np.full(len(rows.series), -1, np.int64), np.full(len(rows.series), -1, np.int64)
    at[known[changed]] = known[changed]
    at = np.maximum.accumulate(at)
    before[known[changed]] = known[changed - 1]
    before = before[np.maximum(at, 0)]
    own = (at >= 0) & (at >= rows.bounds[rows.series])
    return np.where(own, at, -1), np.where(own, before, -1)


def intervals_since_plan_change(changes: tuple[Longs, Longs], points: Points) -> Longs:
    """Active intervals since each point last got another plan, the changing one included; 0 for no change in sight.

    Args:
        changes: see `plan_changes_at`.
        points: the statements.
    """
    at, before = changes
    changed = at[points.row]
    seen = (changed >= 0) & (before[points.row] >= points.oldest)
    return np.where(seen, points.row - changed + 1, 0)


def judge_plan(judge: Judge, view: str, points: Points, since: Longs) -> Finding:
    """Judge the intervals since the plan change by the null of the longest window that fits in them.

    Args:
        judge: the demands.
        view: what is judged.
        points: the statements.
        since: int64 [n], see `intervals_since_plan_change`.
    """
    policy = judge.policy
    series = judge.rows.series[points.row]
    news = (since >= _SHARPLY_SEEN) & (since <= policy.plan_intervals)
    news &= judge.learnt.flip_share[series] <= policy.plan_flip_share
    length = np.where(news, since, 0)
    scales = np.array([scale.intervals for scale in policy.scales], np.int64)
    column = np.maximum(np.searchsorted(scales, length, side="right") - 1, 0)
    found = judge.ask(view, points, length, column, Demand(policy.plan_score, policy.plan_ratio, policy.plan_chance))
    sharp = np.zeros(len(length), np.bool_)
    fired = np.flatnonzero(found.fired)
    mean = judge.views[view].mean(points.row[fired], length[fired])
    sharp[fired] = mean > np.log(policy.plan_sharp_ratio)
    return Finding(found.fired & ((length >= _SEEN) | sharp), found.intervals, found.score, found.spread)
