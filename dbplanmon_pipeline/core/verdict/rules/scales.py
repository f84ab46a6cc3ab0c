"""The rule of the means: how far the last intervals lie from normal, at several window lengths at once."""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.comparison import READS, Comparison
from dbplanmon_pipeline.core.verdict.normal.tails import log_chance, surprise_of
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.calendar import HOUR_US
from dbplanmon_pipeline.core.verdict.rows.series import ELAPSED_PER_WORKER, METRICS, VIEWS
from dbplanmon_pipeline.core.verdict.rows.ticks import Points
from dbplanmon_pipeline.core.verdict.rows.windows import SHORT, CostSums, WeightedSums, between, running_sums

_ELAPSED, _WORKER = METRICS
_OLDEST = timedelta(days=3) // timedelta(microseconds=1)
_EXECUTIONS_CONFIRM = 0.5
_METRIC_CONFIRMS = 0.5
LATEST, LATEST_CONFIRM, _LATEST_OF_MEAN = 3, 0.5, 0.4
RECENT, RECENT_OF_MEAN = 12, 0.45
_PARTS, _PART_OF_MEAN = 3, 0.4
_LAST_OF_MEAN, _LAST_OF_SHORT = 0.25, 0.6
_ELEVATED_OF_MEAN = 0.4
_SHARE_CALM, _SHARE_NOISY = 0.7, 0.55
_ALONE, _WITHOUT_OF_MEAN = 2, 0.55
_LATEST_ASKED = (3, 6, 12, 36, 72, 144)
_LONG, _FEW = 36, 36

RARE_WINDOW, RARE_LEAST = 36, 18
"""Statements that run rarely are judged by all there is of so many intervals, if it is at least so many."""

_READS_CUT = 3.0
_SLACK = 1e-9

_LEAST_OF_HOUR = 1 / 12
"""Twelve intervals tell as much of habits as an hour, even where the cadence is faster."""

_CALM = 0.2
"""What is common by no more holds nobody up."""


@dataclass(frozen=True)
class Finding:
    """What one rule says of each point.

    Attributes:
        fired: bool [n].
        intervals: int64 [n], active intervals the finding rests on.
        score: float64 [n], distance from normal in standard deviations.
        spread: float64 [n], standard deviation of such a mean while all is well, natural logarithm.
    """

    fired: NDArray[np.bool_]
    intervals: Longs
    score: Floats
    spread: Floats


@dataclass(frozen=True)
class Demand:
    """What a window has to show.

    Attributes:
        score: distance from normal.
        ratio: cost over normal.
        chance: how likely its intervals may be to be as high as that together; asked of short windows.
    """

    score: float
    ratio: float
    chance: float


class Judge:
    """Applies demands to windows.

    Args:
        comparison: recent rows against their normal.
        min_extra_us: float64 [series], what a rise must cost per hour [microseconds].
        policy: thresholds.
    """

    def __init__(self, comparison: Comparison, min_extra_us: Floats, policy: DetectorPolicy) -> None:
        self.comparison = comparison
        self.rows, self.learnt, self.policy = comparison.rows, comparison.learnt, policy
        self.views = comparison.views
        self.costs = {metric: CostSums(comparison.rows, comparison.costs[metric]) for metric in METRICS}
        self._min_extra_us = min_extra_us
        reads = np.clip(comparison.costs[READS].residual, -_READS_CUT, _READS_CUT)
        self._reads = running_sums(reads)
        hours = (self.rows.end_us - self.rows.start_us) / HOUR_US
        self._hours = running_sums(np.clip(hours, _LEAST_OF_HOUR, 1.0))
        load = self.rows.load
        self._load = {view: sums.mean_of(load) for view, sums in self.views.items()}
        scales = [scale.intervals for scale in policy.scales]
        self._latest_means = {view: sums.means(LATEST) for view, sums in self.views.items()}
        self._recent_means = {view: sums.means(RECENT) for view, sums in self.views.items()}
        self._latest = [(latest, max(bisect_right(scales, latest) - 1, 0)) for latest in _LATEST_ASKED]
        of_days = {view: self.learnt.views[view].unseen_day_variance(self.rows) for view in self.views}
        self._unseen_days = {view: running_sums(np.sqrt(of)) for view, of in of_days.items() if of is not None}
        samples = self.learnt.samples[self.rows.series, self.rows.hour]
        self._unsteady = None if comparison.unsteady is None else running_sums(comparison.unsteady)
        self._unseen = running_sums(policy.season_samples / (samples + policy.season_samples))

    def ask(self, view: str, points: Points, length: Longs, column: Longs, demand: Demand) -> Finding:
        """Judge the last `length` rows of each point.

        Args:
            view: what is judged.
            points: whose windows.
            length: int64 [n], active intervals; below 1 there is no window.
            column: int64 [n], scale of the policy whose null is used.
            demand: what has to be shown.
        """
        fits = (length > 0) & (points.row - length + 1 >= points.oldest)
        fits &= self._may_persist(view, points.row, length, demand)
        found = Finding(np.zeros(len(length), np.bool_), length, np.zeros(len(length)), np.ones(len(length)))
        at = np.flatnonzero(fits)
        sums, normal = self.views[view], self.learnt.views[view]
        capped = sums.capped(points.row[at], length[at])
        # Few rise by as much as is demanded; nothing else is asked of the others.
        high = np.flatnonzero(capped >= np.log(demand.ratio))
        at, capped = at[high], capped[high]
        row, length, column = points.row[at], length[at], column[at]
        series = self.rows.series[row]
        weight, mean = np.maximum(sums.weight(row, length), 1e-9), sums.mean(row, length)
        inflation = normal.inflation[series, column]
        noise = inflation / np.sqrt(weight)
        spread = np.sqrt(noise**2 + self._doubt(view, row, length, series))
        innocent = self._innocent(view, row, length, series)
        with np.errstate(invalid="ignore"):
            score = np.minimum((mean - innocent) / spread, (capped - innocent) / noise)
            fired = score >= demand.score
            fired &= mean * np.sqrt(weight) >= self.policy.highest_margin * normal.highest[series, column]
        passed = np.flatnonzero(fired)
        ratio = np.log(demand.ratio) + innocent[passed]
        fired[passed] = self._passes(view, row[passed], length[passed], mean[passed], ratio, demand)
        found.fired[at], found.score[at], found.spread[at] = fired, score, spread
        return found

    def costs_enough(self, metric: str, extra_us: Floats, row: Longs, length: Longs) -> NDArray[np.bool_]:
        """Where extra cost over windows is worth telling of."""
        span = self.costs[metric].span_us(row, length)
        hours = np.maximum(span, self.policy.impact_intervals * self.policy.step_us) / 3.6e9
        enough: NDArray[np.bool_] = extra_us / hours >= self._min_extra_us[self.rows.series[row]]
        return enough

    def may_rise(self, row: Longs, since: Longs) -> NDArray[np.bool_]:
        """False where the latest intervals surely carry too little for any window of any view [n].

        Args:
            row: int64 [n], last rows of windows.
            since: int64 [n], intervals since the last change of plan, 0 for none; a few of them are a window as well.
        """
        scales, policy = self.policy.scales, self.policy
        short = min((scale.min_ratio for scale in scales if scale.intervals < RECENT), default=np.inf)
        least, plan = min(scale.min_ratio for scale in scales), policy.plan_ratio
        news = since > 0
        may: NDArray[np.bool_] = news & (since < LATEST)
        for view in self.views:
            latest, recent = self._latest_means[view][row], self._recent_means[view][row]
            may |= latest >= LATEST_CONFIRM * np.log(short) * (1 - _SLACK)
            may |= news & (latest >= LATEST_CONFIRM * np.log(plan) * (1 - _SLACK))
            rises = latest >= LATEST_CONFIRM * np.log(least) * (1 - _SLACK)
            may |= rises & (recent >= RECENT_OF_MEAN * np.log(least) * (1 - _SLACK))
        return may

    def _may_persist(self, view: str, row: Longs, length: Longs, demand: Demand) -> NDArray[np.bool_]:
        """False where the latest intervals surely carry too little; see `_persists`, whose effect is never smaller."""
        effect = np.log(demand.ratio)
        may: NDArray[np.bool_] = self._latest_means[view][row] >= LATEST_CONFIRM * effect * (1 - _SLACK)
        recent = self._recent_means[view][row] >= RECENT_OF_MEAN * effect * (1 - _SLACK)
        may |= length < LATEST
        may &= recent | (length < RECENT)
        return may

    def _doubt(self, view: str, row: Longs, length: Longs, series: Longs) -> Floats:
        """Variance of the normal itself over a window.

        Of its level, unsteady hours, habits not seen yet, more load than learnt from, what the statement feels of what
        is common, and weekdays not seen yet.
        """
        normal = self.learnt.views[view]
        unseen = between(self._unseen, row, length) / length
        hours = np.clip(between(self._hours, row, length), 1.0, 24.0)
        more_load = np.maximum(self._load[view](row, length) - normal.slope_centre[series], 0.0)
        doubt: Floats = normal.level_variance[series] + normal.habit[series] ** 2 * unseen / hours
        doubt += self.policy.load_doubt**2 * normal.execution_variance[series] * more_load**2
        doubt += (self.policy.load_doubt * normal.whole_at(series, more_load)) ** 2
        doubt += (normal.sensitivity_doubt[series] * self.views[view].common(row, length)) ** 2
        if self._unsteady is not None and view in METRICS:
            doubt += between(self._unsteady, row, length) / length / hours
        if view in self._unseen_days:
            doubt += (between(self._unseen_days[view], row, length) / length) ** 2
        return doubt

    def _innocent(self, view: str, row: Longs, length: Longs, series: Longs) -> Floats:
        """What a mean may rise by although executions cost what they did, where few of them make up most of the cost.

        More executions per interval bring its cost nearer to the mean of all. And what holds up each execution by a
        share of its mean adds more to a typical one, where the statement was not yet seen in any disturbance.
        """
        normal, policy = self.learnt.views[view], self.policy
        whole = self.learnt.views[view if view == _WORKER else _ELAPSED].whole[series]
        more_load = self._load[view](row, length) - normal.slope_centre[series]
        unproven = (normal.sensitivity_doubt[series] ** 2 - policy.sensitivity_doubt**2) / policy.unproven_doubt**2
        common = np.maximum(self.views[view].common(row, length) - _CALM, 0.0)
        by_mode = np.clip(unproven, 0.0, 1.0) * (np.log1p(np.expm1(common) * np.exp(whole)) - common)
        innocent: Floats = normal.whole_at(series, more_load) + by_mode
        return innocent

    def _passes(
        self, view: str, row: Longs, length: Longs, mean: Floats, effect: Floats, demand: Demand
    ) -> NDArray[np.bool_]:
        metric = _WORKER if view == _WORKER else _ELAPSED
        effect = effect * self._uncorroborated(view, row, length, mean)
        costs = self.costs[metric]
        passed: NDArray[np.bool_] = mean >= effect
        passed &= np.log(costs.ratio(row, length)) >= _EXECUTIONS_CONFIRM * effect
        passed &= self.costs_enough(metric, costs.extra_us(row, length), row, length)
        passed &= costs.span_us(row, length) <= np.maximum(_OLDEST, 3 * length * self.policy.step_us)
        if view == ELAPSED_PER_WORKER:
            passed &= self.views[_ELAPSED].mean(row, length) >= _METRIC_CONFIRMS * effect
        passed &= self._persists(view, row, length, mean, effect)
        passed &= self._lasts(view, row, length)
        few = np.flatnonzero(passed & (length <= _FEW))
        passed[few] = self._unlikely(view, row[few], length[few], demand)
        few = few[passed[few]]
        passed[few] = self.without_two(view, row[few], length[few]) >= _WITHOUT_OF_MEAN * mean[few]
        return passed

    def _lasts(self, view: str, row: Longs, length: Longs) -> NDArray[np.bool_]:
        """The latest intervals are not so much more like normal ones than like those before that the rise is over."""
        sums, series = self.views[view], self.rows.series[row]
        inflation = np.nan_to_num(self.learnt.views[view].inflation[series], nan=1.0)
        lasts = np.ones(len(row), np.bool_)
        for latest, column in self._latest:
            asked = np.flatnonzero(length >= 2 * latest)
            at, newest = row[asked], np.full(len(asked), latest, np.int64)
            before = sums.mean(at - newest, length[asked] - newest)
            odds = sums.weight(at, newest) * before * (before / 2 - sums.mean(at, newest))
            lasts[asked] &= odds <= self.policy.ended_odds * inflation[asked, column] ** 2
        return lasts

    def _unlikely(self, view: str, row: Longs, length: Longs, demand: Demand) -> NDArray[np.bool_]:
        """Intervals as high as these seldom come together, by how often the statement has single ones of them."""
        sums, back = self.views[view], np.arange(length.max(initial=0))
        inside = back < length[:, None]
        at = np.maximum(row[:, None] - back, 0)
        standard = np.nan_to_num(sums.residual[at] * np.sqrt(sums.weight(at, np.ones_like(at))))
        tail = self.learnt.views[view].tail[self.rows.series[row]]
        surprise = np.where(inside, surprise_of(standard, tail), 0.0).sum(axis=1)
        unlikely: NDArray[np.bool_] = log_chance(surprise, length) <= np.log(demand.chance)
        return unlikely

    def without_two(self, view: str, row: Longs, length: Longs) -> Floats:
        """Mean of a window in which the two highest intervals count like the third.

        After a disturbance, of which all intervals count little, two long waits would be most of it.
        """
        sums, back = self.views[view], np.arange(length.max(initial=0))
        inside = back < length[:, None]
        at = np.maximum(row[:, None] - back, 0)
        residual = np.where(inside, np.nan_to_num(sums.residual[at]), -np.inf)
        weight = np.where(inside, sums.weight(at, np.ones_like(at)), 0.0)
        third = -np.sort(-residual, axis=1)[np.arange(len(row)), np.minimum(_ALONE, length - 1)]
        cut = np.where(inside, np.minimum(residual, third[:, None]), 0.0)
        found: Floats = (weight * cut).sum(axis=1) / np.maximum(weight.sum(axis=1), _SLACK)
        return found

    def _uncorroborated(self, view: str, row: Longs, length: Longs, mean: Floats) -> Floats:
        """Factor on the demanded effect where only elapsed time tells of it."""
        if view == _WORKER:
            return np.ones(len(row))
        if view == ELAPSED_PER_WORKER:
            return np.where(length < _LONG, self.policy.uncorroborated_effect, 1.0)
        support = between(self._reads, row, length) / length
        if _WORKER in self.views:
            support = np.maximum(support, self.views[_WORKER].mean(row, length))
        return np.where(support >= mean / 2, 1.0, self.policy.uncorroborated_effect)

    def _persists(self, view: str, row: Longs, length: Longs, mean: Floats, effect: Floats) -> NDArray[np.bool_]:
        """Every third of the window carries its part, and so do the latest intervals."""
        sums = self.views[view]
        persistent = np.ones(len(row), np.bool_)
        for part in range(_PARTS):
            newest, oldest = length * part // _PARTS, length * (part + 1) // _PARTS
            taken = np.maximum(oldest - newest, 1)
            persistent &= sums.mean(row - newest, np.minimum(taken, length - newest)) >= _PART_OF_MEAN * mean
        latest = sums.mean(row, np.minimum(length, LATEST))
        persistent &= latest >= np.maximum(LATEST_CONFIRM * effect, _LATEST_OF_MEAN * mean)
        persistent &= sums.mean(row, np.minimum(length, RECENT)) >= RECENT_OF_MEAN * mean
        with np.errstate(invalid="ignore"):
            persistent &= (length > LATEST) | (sums.residual[row] >= _LAST_OF_SHORT * mean)
        short = np.flatnonzero(persistent & (length <= SHORT))
        persistent[short] = self._elevated(sums, view, row[short], length[short], mean[short])
        return persistent

    def _elevated(self, sums: WeightedSums, view: str, row: Longs, length: Longs, mean: Floats) -> NDArray[np.bool_]:
        """Enough intervals of a short window are high by themselves; two spikes in a row are no change."""
        back = np.arange(SHORT)
        inside = back < length[:, None]
        residual = sums.residual[np.maximum(row[:, None] - back, 0)]
        calm = self.learnt.views[view].scale[self.rows.series[row]] < 0.5 * mean
        with np.errstate(invalid="ignore"):
            high = inside & (residual > _ELEVATED_OF_MEAN * mean[:, None])
            last = residual[:, 0] > _LAST_OF_MEAN * mean
        elevated: NDArray[np.bool_] = high.sum(axis=1) >= np.where(calm, _SHARE_CALM, _SHARE_NOISY) * length
        elevated &= last
        falling = -np.sort(np.where(inside, -np.nan_to_num(residual), np.inf), axis=1)
        most = falling[np.arange(len(row)), np.minimum(_ALONE, length - 1)]
        without = np.where(inside, np.minimum(residual, most[:, None]), 0.0)
        elevated &= np.nansum(without, axis=1) >= _WITHOUT_OF_MEAN * mean * length
        return elevated


def judge_scale(judge: Judge, view: str, points: Points, number: int) -> Finding:
    """Apply scale `number` of the policy."""
    scale = judge.policy.scales[number]
    length = np.full(len(points.row), scale.intervals, np.int64)
    if scale.intervals == RARE_WINDOW:
        there = points.row - points.oldest + 1
        fewer = judge.learnt.views[view].rare(judge.policy)[judge.rows.series[points.row]] & (there >= RARE_LEAST)
        length = np.where(fewer, np.minimum(length, there), length)
    score = scale.min_score + (judge.policy.ratio_margin if view == ELAPSED_PER_WORKER else 0.0)
    demand = Demand(score, scale.min_ratio, judge.policy.chance)
    return judge.ask(view, points, length, np.full(len(length), number, np.int64), demand)


def judged_views(judge: Judge) -> list[str]:
    """Views of which something is known."""
    return [view for view in VIEWS if view in judge.views]
