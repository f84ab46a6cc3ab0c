"""All thresholds of the statistical detector in one frozen value."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from dbplanmon_pipeline.core.model import DatabaseRef


@dataclass(frozen=True, slots=True)
class ScaleRule:
    """What the mean of the last `intervals` active intervals must show.

    Attributes:
        intervals: window length in intervals with executions.
        min_score: distance from normal, in standard deviations of such a mean while all is well.
        min_ratio: cost per execution over normal.
    """

    intervals: int
    min_score: float
    min_ratio: float


DEFAULT_SCALES = (
    ScaleRule(3, 7.0, 1.8),
    ScaleRule(6, 6.6, 1.5),
    ScaleRule(12, 6.2, 1.35),
    ScaleRule(36, 5.8, 1.22),
    ScaleRule(144, 5.6, 1.15),
    ScaleRule(288, 5.6, 1.13),
)
"""Short windows see large steps soon, long ones small steps later; nothing fires before the third bad interval."""


@dataclass(frozen=True, slots=True)
class DetectorPolicy:
    """When a statement counts as slower than its normal.

    Attributes:
        step: collection cadence; intervals are put on a grid of it.
        days: how many days a baseline looks back.
        min_intervals: active intervals a baseline needs; below, a statement is unjudged.
        lookback_intervals: how many steps of recent intervals a judgement gets to see.
        scales: windows tried, shortest first.
        ratio_margin: what elapsed per CPU time needs above `min_score`.
        chance: how likely intervals as high as those of a short window may be to come together by chance.
        highest_margin: a mean must exceed the second highest daily maximum of the baseline by this factor.
        spread_floor: smallest believable standard deviation of ln cost of one interval.
        mode_doubt: standard deviation of what a statement feels of the common mode, as a share of it.
        sensitivity_doubt: standard deviation of what that may be wrong by all through a window, as a share of it.
        unproven_doubt: the same besides, for a statement that was not yet seen in any disturbance.
        sensitivity_prior: how firmly a statement is held to feel the common mode as others do.
        season_samples: hour offsets are shrunk by samples / (samples + this), noisy statements more.
        weekend_samples: the same for the weekend.
        load_prior: how firmly costs are held not to depend on the number of executions.
        load_doubt: what that may be wrong by where many more executions come than were learnt from, as a share of the
            spread of single executions.
        habit / young_habit: standard deviation of habits not learnt yet, natural logarithm; young is less than a day.
        level_prior: intervals after which a level is twice as sure.
        ended_odds: logarithm of the odds, by the latest intervals, that a rise is over, from which it is not told.
        common_mode_statements: statements an instance needs in one tick before it can be called slow.
        common_mode_few: from this number on what they have in common is at least taken out of each of them.
        common_mode_few_ratio: up to this factor, as few statements may well be broken together.
        part_few: so many are enough in a database of several: two beside the one that is looked at.
        part_few_ratio: up to this factor there; `common_mode_few` suffice to call it slow, and to say that statements
            of an instance are held up together.
        common_mode_executions: executions that make a statement's interval count for that.
        common_mode_least: below this common factor nobody asks whether most statements rose.
        common_mode_ratio: common factor above which an instance counts as slow.
        common_mode_support: share of the statements that must have risen by the root of the common factor.
        common_mode_score: distance of the common factor from 1, in standard errors of the median.
        culprit_ratio: a statement this much above normal that costs more than the common rise explains that rise.
        plan_intervals: active intervals after a plan change in which the change is evidence.
        plan_score / plan_ratio / plan_chance: the softer demands then.
        plan_sharp_ratio: mean cost ratio from which the second interval after the change is enough.
        plan_flip_share: with more plan changes per interval than this, about one in `plan_intervals`, a change is no
            news.
        uncorroborated_effect: factor on the demanded ln ratio where only elapsed time rose, or where nothing but
            elapsed time is known, and reads do not rise with it.
        min_extra_seconds_per_hour: what the rise must cost, in seconds of the metric.
        min_extra_seconds_overrides: the same for single databases.
        impact_intervals: shortest time base of that cost, in steps; a short burst must weigh enough for all of it.
        material_seconds_per_hour: below this cost the severity is one step lower.
    """

    step: timedelta = timedelta(minutes=5)
    days: int = 7
    min_intervals: int = 30
    lookback_intervals: int = 288
    scales: tuple[ScaleRule, ...] = DEFAULT_SCALES
    ratio_margin: float = 1.0
    chance: float = 1e-6
    highest_margin: float = 1.15
    spread_floor: float = 0.03
    mode_doubt: float = 0.6
    sensitivity_doubt: float = 0.2
    unproven_doubt: float = 0.3
    sensitivity_prior: float = 67.0
    season_samples: float = 3.0
    weekend_samples: float = 6.0
    load_prior: float = 40.0
    load_doubt: float = 0.5
    habit: float = 0.15
    young_habit: float = 0.25
    level_prior: float = 72.0
    ended_odds: float = 3.0
    common_mode_statements: int = 8
    common_mode_few: int = 4
    common_mode_few_ratio: float = 2.0
    part_few: int = 3
    part_few_ratio: float = 5.0
    common_mode_executions: float = 3.0
    common_mode_least: float = 1.1
    common_mode_ratio: float = 1.3
    common_mode_support: float = 0.6
    common_mode_score: float = 3.5
    culprit_ratio: float = 3.0
    plan_intervals: int = 96
    plan_score: float = 4.5
    plan_ratio: float = 1.2
    plan_chance: float = 1e-3
    plan_sharp_ratio: float = math.e
    plan_flip_share: float = 0.01
    uncorroborated_effect: float = 1.3
    min_extra_seconds_per_hour: float = 1.0
    min_extra_seconds_overrides: Mapping[DatabaseRef, float] = field(default_factory=dict)
    impact_intervals: int = 12
    material_seconds_per_hour: float = 10.0

    @property
    def step_us(self) -> int:
        """The cadence in microseconds."""
        return self.step // timedelta(microseconds=1)

    @property
    def intervals_per_hour(self) -> float:
        """Steps of an hour, at most 12: readings closer to each other tell hardly more."""
        return min(timedelta(hours=1) / self.step, 12.0)

    @property
    def lookback(self) -> timedelta:
        """Span of recent intervals that `evaluate` wants to get."""
        return self.step * self.lookback_intervals

    def min_extra_seconds(self, ref: DatabaseRef) -> float:
        """What a rise must cost per hour in one database [seconds]."""
        return self.min_extra_seconds_overrides.get(ref, self.min_extra_seconds_per_hour)
