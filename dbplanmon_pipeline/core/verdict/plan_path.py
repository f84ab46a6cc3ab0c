"""The fast path: a new plan is evidence of its own, so less is asked of the intervals since it took over."""

import numpy as np

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.scales import Block, Finding, passes_gates, persists
from dbplanmon_pipeline.core.verdict.series import SeriesRows


def intervals_since_plan_change(rows: SeriesRows) -> Longs:
    """Active intervals since each statement last got another plan, the changing one included; 0 for no change.

    Intervals without a known plan neither change nor confirm one.
    """
    since = np.zeros(len(rows), np.int64)
    known = np.flatnonzero(rows.plan_hash)
    series, plan = rows.series[known], rows.plan_hash[known]
    changed = np.flatnonzero((plan[1:] != plan[:-1]) & (series[1:] == series[:-1])) + 1
    since[series[changed]] = rows.bounds[series[changed] + 1] - known[changed]
    return since


def judge_plan(block: Block, since: Longs, flip_share: Floats, policy: DetectorPolicy) -> Finding:
    """Judge the intervals since the plan change by the spread of the longest window that fits in them.

    Args:
        block: the statements.
        since: int64 [n], see `intervals_since_plan_change`.
        flip_share: float64 [n], plan changes per interval in the baseline; where flips are usual they are no news.
        policy: thresholds.
    """
    windows = block.windows
    centre, spread = _null_for(block, since, policy)
    mean = windows.mean(since)
    news = windows.fits(since) & (since <= policy.plan_intervals) & (flip_share <= policy.plan_flip_share)
    seen = (since >= 3) | ((since >= 2) & (mean > np.log(policy.plan_sharp_ratio)))
    with np.errstate(invalid="ignore"):
        score = (mean - np.maximum(centre, 0.0)) / spread
        fired = news & seen & (score >= policy.plan_score)
    fired &= passes_gates(block, since, mean, policy.plan_ratio, policy)
    fired &= persists(windows, since, mean, policy.plan_ratio, policy.plan_persistence)
    return Finding(fired, since, score, spread)


def _null_for(block: Block, since: Longs, policy: DetectorPolicy) -> tuple[Floats, Floats]:
    lengths = np.array([scale.intervals for scale in policy.scales], np.int64)
    calibrated = ~np.isnan(block.learnt.spread)
    usable = calibrated & (lengths <= since[:, None])
    column = np.maximum(len(lengths) - 1 - np.argmax(usable[:, ::-1], axis=1), 0)
    column[~usable.any(axis=1)] = 0
    at = np.arange(len(since))
    shorter = np.sqrt(np.maximum(lengths[0] / np.maximum(since, 1), 1.0))
    return block.learnt.centre[at, column], block.learnt.spread[at, column] * shorter
