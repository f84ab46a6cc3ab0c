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
        min_score: distance from normal, in spreads of the same mean over the baseline.
        min_ratio: cost per execution over normal.
    """

    intervals: int
    min_score: float
    min_ratio: float


DEFAULT_SCALES = (
    ScaleRule(3, 7.0, 1.8),
    ScaleRule(6, 6.3, 1.5),
    ScaleRule(12, 5.7, 1.35),
    ScaleRule(48, 5.3, 1.2),
    ScaleRule(144, 5.6, 1.15),
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
        persistence: share of a window's intervals that must be elevated; the shortest window needs all of them.
        spread_floor: smallest believable spread of ln cost, shrinking with the fourth root of the window.
        jitter_us: cost noise of any execution; gives tiny statements a wider spread [microseconds].
        season_samples: hour offsets are shrunk by samples / (samples + this).
        common_mode_statements: statements an instance needs in one tick before it can be called slow.
        common_mode_few: from this number on what they have in common is at least taken out of each of them.
        common_mode_few_ratio: up to this factor, as few statements may well be broken together.
        common_mode_executions: executions that make a statement's interval count for that.
        common_mode_ratio: common factor above which an instance counts as slow.
        common_mode_support: share of the statements that must have risen by the root of the common factor.
        common_mode_score: distance of the common factor from 1, in standard errors of the median.
        common_mode_strong: common factor above which statements are given `common_mode_slack` times its logarithm,
            because they differ in how much they feel it.
        common_mode_slack: see there.
        culprit_ratio: a statement this much above normal that costs more than the common rise explains that rise.
        plan_intervals: active intervals after a plan change in which the change is evidence.
        plan_score / plan_ratio / plan_persistence: the softer demands then.
        plan_sharp_ratio: mean cost ratio from which the second interval after the change is enough.
        plan_flip_share: with more plan changes per interval than this, a change is no news.
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
    persistence: float = 0.7
    spread_floor: float = 0.04
    jitter_us: float = 20.0
    season_samples: float = 30.0
    common_mode_statements: int = 8
    common_mode_few: int = 4
    common_mode_few_ratio: float = 2.0
    common_mode_executions: float = 3.0
    common_mode_ratio: float = 1.3
    common_mode_support: float = 0.6
    common_mode_score: float = 3.5
    common_mode_strong: float = 1.25
    common_mode_slack: float = 1.6
    culprit_ratio: float = 3.0
    plan_intervals: int = 96
    plan_score: float = 4.2
    plan_ratio: float = 1.2
    plan_persistence: float = 0.75
    plan_sharp_ratio: float = math.e
    plan_flip_share: float = 0.05
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
    def lookback(self) -> timedelta:
        """Span of recent intervals that `evaluate` wants to get."""
        return self.step * self.lookback_intervals

    def min_extra_seconds(self, ref: DatabaseRef) -> float:
        """What a rise must cost per hour in one database [seconds]."""
        return self.min_extra_seconds_overrides.get(ref, self.min_extra_seconds_per_hour)
