"""Fits the normal of one view to some series: level, habits of hours, days and load, and what is common."""

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.verdict.normal.dear import learn_dear, no_dear
from dbplanmon_pipeline.core.verdict.normal.history import Stretch
from dbplanmon_pipeline.core.verdict.normal.null import StrayingMeans, straying_means
from dbplanmon_pipeline.core.verdict.normal.table import rough_medians
from dbplanmon_pipeline.core.verdict.normal.tails import learn_tails
from dbplanmon_pipeline.core.verdict.normal.view import MAX_EXECUTION_VARIANCE, Normal
from dbplanmon_pipeline.core.verdict.normal.weekdays import weekday_levels, weekend_trust
from dbplanmon_pipeline.core.verdict.normal.whole import learn_whole
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.calendar import (
    HOURS,
    WEEKDAYS,
    around_the_hour,
    by_hour,
    series_sums,
    unsteady_hours,
    weekday,
)
from dbplanmon_pipeline.core.verdict.rows.pooled_lines import COVERED, INTERVALS, known, scatter
from dbplanmon_pipeline.core.verdict.rows.row_figures import EXECUTIONS, FEWNESS, LOAD, Singles
from dbplanmon_pipeline.core.verdict.rows.series import ELAPSED_PER_WORKER, METRICS

_ROUNDS = 2
_CUT, _DAY_CUT = 2.5, 1.5
_FAR = 4.0
_DAYS_OF_AN_HOUR, _SHARP = 3, 2.0
_BEGIN_WITH = 64
"""Pools whose median is near enough to begin with."""

_DISTANCE_TO_SD = np.array([0.0, 1.25, 1.13, 1.085], np.float32)
"""Standard deviation over the mean root of the mean square of so many intervals, and of more."""

_DISTURBED = 0.1
_WITHIN = np.float32(0.23)
"""Share of the square of one outlier that is scatter within its pool."""

_SMALLEST_SCALE = 0.02
_TINY = 1e-12


class Fit:
    """The figures of one view while they are being learnt; each step takes out of the rest what it explains.

    What is known of pools is float32, what is known of series and their hours float64.

    Args:
        stretch: the pools.
        view: which.
        execution_variance: float64 [series], variance of the logarithm of a single execution.
        rest: float32 [pools], to be filled with what is left unexplained; 0 unknown.
        policy: thresholds.
    """

    def __init__(
        self, stretch: Stretch, view: str, execution_variance: Floats, rest: Singles, policy: DetectorPolicy
    ) -> None:
        rows = stretch.rows
        value, self._number = rows.figures[view], rows.figures[known(view)]
        self._stretch, self._rows, self._runs, self._policy = stretch, rows, stretch.runs, policy
        self._known = ~np.isnan(value)
        self._all_known = bool(self._known.all())
        self._view = view
        self._execution_variance = execution_variance
        self._few = self._spread(execution_variance)
        self._few *= rows.figures[FEWNESS]
        self._weight = self._number / (self._few + np.float32(0.01))
        self._total = series_sums(self._weight, rows.bounds) + _TINY
        self._intervals = series_sums(rows.figures[INTERVALS], rows.bounds)
        self._mean_weight = self._total / self._intervals
        self._scatter = rows.figures[scatter(view)]
        self._calm = np.ones(len(rows.series), np.bool_)
        self._distance_weight = self._weight * _DISTANCE_TO_SD[np.minimum(self._number, 3).astype(np.int8)]
        self._run_weight = stretch.runs.sums(self._weight)
        self._hour_weight = by_hour(stretch.runs, self._run_weight, len(rows))
        self._run_total = self._hour_weight.sum(axis=1)
        self._weekend_weight = self._of_series(self._run_weight * stretch.runs.weekend)
        self._level = rough_medians(value, rows, _BEGIN_WITH)
        self._blank = np.isnan(self._level)
        np.subtract(value, self._spread(self._level), out=rest)
        self._rest = rest
        self._forget_unknown()
        self._level = np.nan_to_num(self._level)
        self._load_centre = series_sums(self._weight * rows.figures[LOAD], rows.bounds) / self._total
        self._load = rows.figures[LOAD] - self._spread(self._load_centre)
        self._weighted_load = self._weight * self._load
        self._run_load = stretch.runs.sums(self._weighted_load)
        self._load_square = series_sums(self._weighted_load * self._load, rows.bounds)
        self._slope = np.zeros(len(rows))
        self._weekend, self._apart = np.zeros(len(rows)), np.zeros(len(rows))
        self._day = weekday(rows.end_us[stretch.runs.first])
        self._offsets = np.zeros((len(rows), HOURS))
        self._sensitivity = np.ones(len(rows))
        self._unproven = np.ones(len(rows))
        self._weekdays, self._weekday_variance = np.zeros((len(rows), WEEKDAYS)), np.zeros(len(rows))
        self.scale = self._scale()

    def habits(self) -> None:
        """Hours, weekends, load and level, from what is left, outliers cut."""
        cut = _clipped(self._rest, self._spread(_CUT * self.scale))
        pull = series_sums(self._weighted_load * cut, self._rows.bounds)
        cut *= self._weight
        rest = self._runs.sums(cut) / np.maximum(self._run_weight, _TINY)
        before = rest
        rest = rest - self._learn_hours(rest)
        rest = rest - self._learn_weekend(rest)
        moved = before - rest
        moved += self._learn_level(rest)
        self._learn_load(pull - self._of_series(self._run_load * (before - rest)))
        self._rest -= self._runs.at_rows(moved)
        self._forget_unknown()
        self.scale = self._scale()

    def weekdays(self) -> None:
        """Levels of weekdays, from what is left after all else."""
        runs = self._runs
        day = self._day
        cut = np.clip(self._rest, -_DAY_CUT, _DAY_CUT)
        cut *= self._weight
        rest = runs.sums(cut) / np.maximum(self._run_weight, _TINY)
        self._weekdays, self._weekday_variance = weekday_levels(runs, day, self._run_weight, rest, len(self._rows))
        if self._weekdays.any():
            self._rest -= runs.at_rows(np.nan_to_num(self._weekdays[runs.series, day]))
            self._forget_unknown()
            self.scale = self._scale()

    @property
    def level(self) -> Floats:
        """As far as it is learnt by now [series]."""
        return self._level

    def hold(self, held: Singles) -> None:
        """Take out what the pools were held up together with others."""
        self._rest -= held
        self._forget_unknown()
        self._disturb(held)
        self.scale = self._scale()

    def share(self, mode: Floats) -> None:
        """Take out what is common, as far as each statement feels it."""
        rows = self._rows
        common = mode.astype(np.float32)
        limit = np.abs(common)
        limit *= np.float32(1.5)
        limit += self._spread(_CUT * self.scale)
        weighted = self._weight * common
        pull = _clipped(self._rest, limit)
        pull *= weighted
        with_mode = series_sums(pull, rows.bounds)
        weighted *= common
        square = series_sums(weighted, rows.bounds)
        prior = self._mean_weight * self._policy.sensitivity_prior * self.scale**2
        self._sensitivity = np.clip((with_mode + prior) / (square + prior + _TINY), 0.0, 2.0)
        self._unproven = prior / (square + prior + _TINY)
        common *= self._spread(self._sensitivity)
        self._rest -= common
        self._forget_unknown()
        self._disturb(common)
        self.scale = self._scale()

    def _disturb(self, common: Singles) -> None:
        """Where much is common, the intervals of a pool differ by that as well: not all of them were hit alike."""
        disturbed = np.abs(common) > _DISTURBED
        if disturbed.any():
            self._calm &= ~disturbed
            usual = self._spread(self.scale * self.scale)
            self._scatter = np.where(self._calm, self._scatter, np.minimum(self._scatter, usual))

    def weigh(self) -> StrayingMeans:
        """Find how far the rest strays."""
        few = np.minimum(self._few, np.float32(MAX_EXECUTION_VARIANCE))
        limit = self._spread(_FAR * self.scale)
        cut = _clipped(self._rest, limit.copy())
        self._interval_variance = self._stray(cut, few, limit)
        few += self._spread(self._interval_variance)
        sure = np.float32(1.0) / few
        self._tail = learn_tails(self._rows, self._view, self._rest, sure, self._calm)
        weight = self._number * sure
        self._dear = (
            learn_dear(self._rows, self._view, self._rest) if self._view in METRICS else no_dear(len(self._rows))
        )
        return straying_means(self._stretch.windows, self._rest, weight, limit)

    def normal(self, highest: Floats) -> Normal:
        """Everything learnt, after `weigh`, but the inflation, which is found over all statements."""
        rows, policy = self._rows, self._policy
        habit = self._habit()
        seen = np.maximum(self._intervals, series_sums(rows.figures[COVERED], rows.bounds) * policy.intervals_per_hour)
        unsure = np.minimum(habit, policy.habit) ** 2 * policy.level_prior / (seen + policy.level_prior)
        return Normal(
            level=np.where(self._blank, np.nan, self._level),
            slope=self._slope,
            slope_centre=self._load_centre,
            slope_width=np.sqrt(self._load_square / self._total),
            weekend=self._weekend,
            weekdays=self._weekdays,
            sensitivity=self._sensitivity,
            sensitivity_doubt=np.hypot(policy.sensitivity_doubt, policy.unproven_doubt * np.sqrt(self._unproven)),
            interval_variance=self._interval_variance,
            execution_variance=self._execution_variance,
            scale=self.scale,
            whole=self._whole(),
            habit=habit,
            level_variance=unsure + self._weekday_variance,
            offsets=self._offsets,
            inflation=np.full(highest.shape, np.nan),
            highest=highest,
            tail=self._tail,
            dear=self._dear,
        )

    def _forget_unknown(self) -> None:
        if not self._all_known:
            self._rest[~self._known] = 0.0

    def _scale(self) -> Floats:
        """Typical distance from normal, a mean of absolute values that no outlier spoils [series]."""
        distance = self._rest * self._rest
        distance += self._scatter
        np.sqrt(distance, out=distance)
        np.minimum(distance, np.float32(1.5), out=distance)
        distance *= self._distance_weight
        return np.maximum(series_sums(distance, self._rows.bounds) / self._total, _SMALLEST_SCALE)

    def _spread(self, values: Floats) -> Singles:
        return self._rows.spread(values.astype(np.float32))

    def _of_series(self, values: Floats) -> Floats:
        """Sum of a figure of the runs of each series [series]."""
        sums: Floats = np.bincount(self._runs.series, values, minlength=len(self._rows)).astype(np.float64, copy=False)
        return sums

    def _learn_hours(self, rest: Floats) -> Floats:
        runs, series = self._runs, len(self._rows)
        weight = around_the_hour(self._hour_weight)
        pulled = around_the_hour(by_hour(runs, self._run_weight * rest, series) + self._hour_weight * self._offsets)
        samples = self._stretch.samples
        doubt = self._policy.season_samples * np.minimum(self.scale[:, None] / 0.15, 4.0)
        smooth = pulled / np.maximum(weight, _TINY)
        offsets = self._sharpened(rest, self._hour_weight, smooth) * samples / (samples + doubt)
        offsets -= offsets.mean(axis=1, keepdims=True)
        offsets[self._stretch.young] = 0.0
        change: Floats = (offsets - self._offsets)[runs.series, runs.hour]
        self._offsets = offsets
        return change

    def _sharpened(self, rest: Floats, here: Floats, smooth: Floats) -> Floats:
        """Levels of hours, as sharp as their days agree on: a batch begins at once, most habits do not [series, 24].

        Args:
            rest: float64 [runs], mean distance from normal.
            here: float64 [series, 24], weight of each hour.
            smooth: float64 [series, 24], levels with the hours around.
        """
        runs, series = self._runs, len(self._rows)
        own = by_hour(runs, self._run_weight * rest, series) / np.maximum(here, _TINY) + self._offsets
        days = by_hour(runs, np.ones(len(rest)), series)
        astray = rest + (self._offsets - own)[runs.series, runs.hour]
        noise = self._of_series(self._run_weight * astray * astray) / np.maximum(
            self._of_series(self._run_weight), _TINY
        )
        told = days >= _DAYS_OF_AN_HOUR
        change = np.where(told, own - smooth, 0.0)
        chance = np.where(told, noise[:, None] / np.maximum(days, 1.0), 0.0)
        trust = 1.0 - _SHARP * chance.sum(axis=1) / np.maximum((change * change).sum(axis=1), _TINY)
        found: Floats = smooth + np.maximum(trust, 0.0)[:, None] * change
        return found

    def unsteady(self) -> Floats:
        """See `unsteady_hours`."""
        runs = self._runs
        cut = np.clip(self._rest, -_DAY_CUT, _DAY_CUT)
        cut *= cut
        cut += np.minimum(self._scatter, np.float32(_WITHIN * _DAY_CUT**2))
        cut *= self._weight
        squares = runs.sums(cut) / np.maximum(self._run_weight, _TINY)
        return unsteady_hours(runs, self._run_weight, squares, len(self._rows))

    def _learn_weekend(self, rest: Floats) -> Floats:
        on = self._runs.weekend
        pulls = self._run_weight * rest
        weight = self._weekend_weight
        others = self._run_total - weight
        pull = self._of_series(pulls * on)
        other_pull = self._of_series(pulls) - pull
        both = (weight > _TINY) & (others > _TINY)
        apart = pull / np.maximum(weight, _TINY) - other_pull / np.maximum(others, _TINY)
        samples = self._stretch.weekend_samples
        shrunk = samples / (samples + self._policy.weekend_samples)
        left = np.where(both, apart + self._weekend - self._apart, 0.0)
        self._apart = self._apart + left * shrunk
        whole = rest + (self._weekend[self._runs.series] * on)
        believed = self._apart * weekend_trust(self._runs, self._day, self._run_weight, whole, len(self._rows))
        change, self._weekend = believed - self._weekend, believed
        return np.where(on, change[self._runs.series], 0.0)

    def _learn_load(self, pull: Floats) -> None:
        """By how much the rest rises with the load; `pull` is the weighted sum of both [series]."""
        doubt = self._mean_weight * self._policy.load_prior * self.scale**2
        slope = np.clip(self._slope + pull / (self._load_square + doubt + _TINY), 0.0, 3.0)
        moved = self._spread(slope - self._slope)
        moved *= self._load
        self._rest -= moved
        self._slope = slope

    def _learn_level(self, rest: Floats) -> Floats:
        """The change of the level, by run."""
        series = self._runs.series
        change = np.zeros(len(self._rows))
        total = np.maximum(self._run_total, _TINY)
        limit = 2.0 * self.scale[series]
        for _ in range(_ROUNDS):
            pull = self._of_series(self._run_weight * np.clip(rest - change[series], -limit, limit))
            change = change + pull / total
        self._level = self._level + change
        found: Floats = change[series]
        return found

    def _stray(self, cut: Singles, few: Singles, limit: Singles) -> Floats:
        """Variance of an interval beyond what its few executions explain [series]."""
        bounds = self._rows.bounds
        weight = np.minimum(self._rows.figures[EXECUTIONS], np.float32(20.0))
        weight *= self._number
        total = series_sums(weight, bounds) + _TINY
        cut *= cut
        cut += np.minimum(self._scatter, _WITHIN * limit * limit)
        cut -= few
        cut *= weight
        return np.maximum(series_sums(cut, bounds) / total, self._policy.spread_floor**2)

    def _whole(self) -> Floats:
        """See `learn_whole`."""
        return learn_whole(self._rows, self._runs, self._view, self._rest)

    def _habit(self) -> Floats:
        """How large a habit may be that was not seen yet [series]."""
        policy = self._policy
        ratio = self._view == ELAPSED_PER_WORKER
        return np.where(self._stretch.young, policy.young_habit / 3 if ratio else policy.young_habit, policy.habit)


def _clipped(values: Singles, limit: Singles) -> Singles:
    """Values cut off at so much on either side; `limit` is used up."""
    cut: Singles = np.minimum(values, limit)
    np.negative(limit, out=limit)
    return np.maximum(cut, limit, out=cut)
