"""Which statements may fire: a cheap test that never says no where the rule of `scales.py` would say yes.

Each test here is one of that rule, or follows from several of them, with what is not known taken at its best. Only
statements that pass are judged by the rule itself.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.normal.baseline import Learnt
from dbplanmon_pipeline.core.verdict.normal.view import Normal
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import ELAPSED_PER_WORKER, METRICS, VIEWS
from dbplanmon_pipeline.core.verdict.rules.dear_path import LEAST
from dbplanmon_pipeline.core.verdict.rules.scales import (
    LATEST,
    LATEST_CONFIRM,
    RARE_LEAST,
    RARE_WINDOW,
    RECENT,
    RECENT_OF_MEAN,
    Demand,
)
from dbplanmon_pipeline.core.verdict.running.sums import EXTRA, NEWEST, WEIGHT, WEIGHTED, RunningSums, long_windows

_WORKER = METRICS[1]
_SLACK = 1e-4
"""Sums that were taken in another order differ in their last digits."""


@dataclass(frozen=True)
class Screen:
    """Statements to be tested.

    Attributes:
        sums: of all statements.
        statements: int64 [n], those to be tested.
        learnt: row i is the normal of `statements[i]`.
        since: int64 [n], intervals since the last change of plan, 0 for none.
        min_extra_us: float64 [n], what a rise must cost per hour [microseconds].
        policy: thresholds.
    """

    sums: RunningSums
    statements: Longs
    learnt: Learnt
    since: Longs
    min_extra_us: Floats
    policy: DetectorPolicy

    def may_fire(self) -> NDArray[np.bool_]:
        """False for a statement that surely does not fire now [n]."""
        found = np.zeros(len(self.statements), np.bool_)
        with np.errstate(invalid="ignore", over="ignore"):
            for number in range(len(VIEWS)):
                found |= self._view(number)
        for number in range(len(METRICS)):
            found |= self.sums.dear_ones(number, self.statements) >= LEAST
        return found

    def _view(self, view: int) -> NDArray[np.bool_]:
        policy, name = self.policy, VIEWS[view]
        margin = policy.ratio_margin if name == ELAPSED_PER_WORKER else 0.0
        windows = long_windows(policy)
        found = self._after_plan_change(view) if name in METRICS else np.zeros(len(self.statements), np.bool_)
        for number, scale in enumerate(policy.scales):
            demand = Demand(scale.min_score + margin, scale.min_ratio, policy.chance)
            if number in windows:
                found |= self._long(view, number, windows.index(number), demand)
            else:
                length = np.full(len(self.statements), scale.intervals, np.int64)
                found |= self._short(view, length, np.full(len(length), number, np.int64), demand)
        return found

    def _after_plan_change(self, view: int) -> NDArray[np.bool_]:
        policy = self.policy
        news = (self.since >= 2) & (self.since <= policy.plan_intervals)
        news &= self.learnt.flip_share <= policy.plan_flip_share
        scales = np.array([scale.intervals for scale in policy.scales], np.int64)
        column = np.maximum(np.searchsorted(scales, self.since, side="right") - 1, 0)
        demand = Demand(policy.plan_score, policy.plan_ratio, policy.plan_chance)
        short = self.since <= NEWEST
        fits = short & self._short(view, np.maximum(np.minimum(self.since, NEWEST), 1), column, demand)
        return news & (fits | (~short & self._lasts(view, demand)))

    def _short(self, view: int, length: Longs, column: Longs, demand: Demand) -> NDArray[np.bool_]:
        sums, at = self.sums, self.statements
        weight, weighted = sums.newest(WEIGHT + view, at, length), sums.newest(WEIGHTED + view, at, length)
        passed = sums.rows[at] >= length
        passed &= self._shows(self._normal(view), column, (weight, weighted), demand)
        passed &= self._costs(sums.newest(self._extra(view), at, length), np.zeros(len(at)))
        return passed & self._lasts(view, demand, length)

    def _long(self, view: int, number: int, window: int, demand: Demand) -> NDArray[np.bool_]:
        sums, at = self.sums, self.statements
        lasts, intervals = self._lasts(view, demand), self.policy.scales[number].intervals
        passed = (sums.rows[at] >= intervals) & lasts
        rare = lasts & self._normal(view).rare(self.policy) & (sums.rows[at] >= RARE_LEAST) & (intervals == RARE_WINDOW)
        since = sums.since_bounded(at)
        open_end = since > sums.holds[at]
        since, bounds = np.minimum(since, NEWEST), sums.bounds
        weight = bounds.weight[window, view, at] + sums.newest(WEIGHT + view, at, since)
        weighted = bounds.weighted[window, view, at] + sums.newest(WEIGHTED + view, at, since)
        metric = self._extra(view) - EXTRA
        extra = bounds.extra[window, metric, at] + sums.newest(EXTRA + metric, at, since)
        column = np.full(len(at), number, np.int64)
        within = self._shows(self._normal(view), column, (weight, weighted), demand)
        within &= self._costs(extra, bounds.span_us[window, at])
        return rare | passed & (open_end | within)

    def _shows(self, normal: Normal, column: Longs, sums: tuple[Floats, Floats], demand: Demand) -> NDArray[np.bool_]:
        """The score, the ratio and the margin over the highest of the baseline; a doubt that is not known is none."""
        weight, weighted = np.maximum(sums[0], 1e-9), sums[1]
        at = np.arange(len(weight))
        mean = weighted / weight
        spread = np.sqrt(normal.inflation[at, column] ** 2 / weight + normal.level_variance)
        highest = self.policy.highest_margin * normal.highest[at, column]
        passed: NDArray[np.bool_] = mean / spread >= demand.score * (1 - _SLACK)
        passed &= mean >= np.log(demand.ratio) * (1 - _SLACK)
        passed &= mean * np.sqrt(weight) >= highest - np.abs(highest) * _SLACK
        return passed

    def _costs(self, extra_us: Floats, span_us: Floats) -> NDArray[np.bool_]:
        hours = np.maximum(span_us, self.policy.impact_intervals * self.policy.step_us) / 3.6e9
        needed = self.min_extra_us * hours
        found: NDArray[np.bool_] = extra_us >= needed - np.abs(needed) * _SLACK - 1.0
        return found

    def _lasts(self, view: int, demand: Demand, length: Longs | None = None) -> NDArray[np.bool_]:
        """The latest intervals carry their part of the least that is demanded."""
        effect = np.log(demand.ratio) * (1 - _SLACK)
        latest, recent = self._newest_means[view] if length is None else self._means(view, length)
        passed: NDArray[np.bool_] = (latest >= LATEST_CONFIRM * effect) & (recent >= RECENT_OF_MEAN * effect)
        return passed

    @cached_property
    def _newest_means(self) -> list[tuple[Floats, Floats]]:
        """By view, for windows that are longer than all that is known of."""
        longest = np.full(len(self.statements), NEWEST, np.int64)
        return [self._means(view, longest) for view in range(len(VIEWS))]

    def _means(self, view: int, length: Longs) -> tuple[Floats, Floats]:
        latest, recent = (self.sums.mean(view, self.statements, np.minimum(length, most)) for most in (LATEST, RECENT))
        return latest, recent

    def _normal(self, view: int) -> Normal:
        return self.learnt.views[VIEWS[view]]

    def _extra(self, view: int) -> int:
        return EXTRA + (1 if VIEWS[view] == _WORKER else 0)
