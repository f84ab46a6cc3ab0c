"""Learns the normal of one view of all statements, and how far it strays."""

import numpy as np

from dbplanmon_pipeline.core.counters import Floats
from dbplanmon_pipeline.core.verdict.fitting import Fit
from dbplanmon_pipeline.core.verdict.history import History
from dbplanmon_pipeline.core.verdict.normal import Normal, joined, unknown
from dbplanmon_pipeline.core.verdict.null import StrayingMeans, all_means, nothing_strayed
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy


def learn_view(
    history: History, view: str, execution_variance: Floats, policy: DetectorPolicy
) -> tuple[Normal, StrayingMeans]:
    """Learn one view, all but its inflation, and what that is found from.

    Args:
        history: the rows.
        view: which.
        execution_variance: float64 [series], variance of the logarithm of a single execution.
        policy: thresholds.
    """
    rows, stretches = history.rows, history.stretches
    known = ~np.isnan(rows.figures[view])
    if not known.any():
        return unknown(len(rows), len(policy.scales)), nothing_strayed(len(rows), len(policy.scales))
    rest = np.empty(len(known), np.float32)
    fits = [Fit(one, view, execution_variance[one.series], rest[one.place], policy) for one in stretches]
    for fit in fits:
        fit.habits()
    deviation = rest if known.all() else np.where(known, rest, np.float32(np.nan))
    mode = history.scopes.mode(deviation, _scale(fits), policy)
    for fit, stretch in zip(fits, stretches, strict=True):
        fit.share(mode[stretch.place])
        # Once more: what all felt at some hour of a single day is no habit.
        fit.habits()
        fit.weekdays()
    means = [fit.weigh() for fit in fits]
    normals = [fit.normal(own.highest) for fit, own in zip(fits, means, strict=True)]
    return joined(normals), all_means(means)


def _scale(fits: list[Fit]) -> Floats:
    """Typical distance of an interval from its normal [series]."""
    return np.concatenate([fit.scale for fit in fits])
