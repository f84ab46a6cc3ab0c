"""Learns the normal of one view of all statements, and how far it strays."""

from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.verdict.common.held_up import Waits, seldom
from dbplanmon_pipeline.core.verdict.normal.fitting import Fit
from dbplanmon_pipeline.core.verdict.normal.history import History
from dbplanmon_pipeline.core.verdict.normal.null import StrayingMeans, all_means, nothing_strayed
from dbplanmon_pipeline.core.verdict.normal.unsteady_modes import unsteady_modes
from dbplanmon_pipeline.core.verdict.normal.view import Normal, joined, unknown
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.calendar import HOURS, HOURS_OF_PART
from dbplanmon_pipeline.core.verdict.rows.row_figures import Singles
from dbplanmon_pipeline.core.verdict.rows.series import ELAPSED_PER_WORKER, METRICS, SeriesRows

_ELAPSED = METRICS[0]


@dataclass(frozen=True)
class Shared:
    """What one view tells of the others.

    Attributes:
        held: float32 [pools], for how much longer each was held up together with others, natural logarithm; how long
            statements wait tells it, and it is taken out of elapsed time.
        unsteady: float64 [series, parts], see `unsteady_hours`; by elapsed time.
        unsteady_modes: float64 [series, parts], see `unsteady_modes`; by elapsed time.
    """

    held: Singles
    unsteady: Floats
    unsteady_modes: Floats


def nothing_shared(rows: SeriesRows) -> Shared:
    """Before any view is learnt."""
    parts = HOURS // HOURS_OF_PART
    return Shared(np.zeros(len(rows.series), np.float32), *np.zeros((2, len(rows), parts)))


def learn_view(
    history: History, view: str, execution_variance: Floats, policy: DetectorPolicy, shared: Shared
) -> tuple[Normal, StrayingMeans]:
    """Learn one view, all but its inflation, and what that is found from.

    Args:
        history: the rows.
        view: which.
        execution_variance: float64 [series], variance of the logarithm of a single execution.
        policy: thresholds.
        shared: what one view tells of the others, filled in where it is found.
    """
    rows, stretches = history.rows, history.stretches
    known = ~np.isnan(rows.figures[view])
    if not known.any():
        return unknown(len(rows), len(policy.scales)), nothing_strayed(len(rows), len(policy.scales))
    rest = np.empty(len(known), np.float32)
    fits = [Fit(one, view, execution_variance[one.series], rest[one.place], policy) for one in stretches]
    if view == _ELAPSED:
        _hold(fits, history, shared.held)
    for fit in fits:
        fit.habits()
    deviation = rest if known.all() else np.where(known, rest, np.float32(np.nan))
    mode = history.scopes.mode(deviation, _scale(fits), policy)
    for fit, stretch in zip(fits, stretches, strict=True):
        fit.share(mode[stretch.place])
    if view == ELAPSED_PER_WORKER:
        deviation = rest if known.all() else np.where(known, rest, np.float32(np.nan))
        waits = Waits(deviation, deviation, _level(fits), _scale(fits), seldom(_scale(fits)))
        shared.held[:] = history.scopes.held_up(waits, policy).at_rows
        _hold(fits, history, shared.held)
    for fit in fits:
        # Once more: what all felt at some hour of a single day is no habit.
        fit.habits()
        fit.weekdays()
    if view == _ELAPSED:
        shared.unsteady_modes[:] = unsteady_modes(history, mode)
        shared.unsteady[:] = np.concatenate([fit.unsteady() for fit in fits])
    means = [fit.weigh() for fit in fits]
    normals = [fit.normal(own.highest) for fit, own in zip(fits, means, strict=True)]
    return joined(normals), all_means(means)


def _hold(fits: list[Fit], history: History, held: Singles) -> None:
    if held.any():
        for fit, stretch in zip(fits, history.stretches, strict=True):
            fit.hold(held[stretch.place])


def _level(fits: list[Fit]) -> Floats:
    """Level of each series [series]."""
    return np.concatenate([fit.level for fit in fits])


def _scale(fits: list[Fit]) -> Floats:
    """Typical distance of an interval from its normal [series]."""
    return np.concatenate([fit.scale for fit in fits])
