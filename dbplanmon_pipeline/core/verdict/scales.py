"""The rule of the means: how far the last intervals lie from normal, at several window lengths at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.baseline import LearntMetric
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy, ScaleRule
from dbplanmon_pipeline.core.verdict.windows import Windows

_OLDEST = timedelta(days=3) // timedelta(microseconds=1)
_OF_DEMANDED = 0.6
_OF_MEAN = 0.4
_EXECUTIONS_CONFIRM = 0.5
_LATEST, _LATEST_CONFIRM = 3, 0.5


@dataclass(frozen=True)
class Finding:
    """What one rule says of each statement of a block.

    Attributes:
        fired: bool [n].
        intervals: int64 [n], active intervals the finding rests on.
        score: float64 [n], distance from normal in spreads.
        spread: float64 [n], spread of the mean over such a window while all is well, natural logarithm.
    """

    fired: NDArray[np.bool_]
    intervals: Longs
    score: Floats
    spread: Floats


class Support:
    """Rise of the metrics that corroborate elapsed time.

    Args:
        parts: windows of logical reads and of CPU time; where unknown, their mean is 0.
    """

    def __init__(self, parts: Sequence[Windows]) -> None:
        self._parts = parts

    def log_rise(self, length: Longs) -> Floats:
        """Largest rise among them [n], natural logarithm."""
        largest: Floats = np.maximum.reduce([part.mean(length) for part in self._parts])
        return largest


@dataclass(frozen=True)
class Block:
    """What the rules need of a block of statements for one metric.

    Attributes:
        windows: its last intervals.
        learnt: its normal.
        support: what corroborates it; None where the metric stands for itself.
        min_extra_us: float64 [n], what a rise must cost per hour [microseconds].
    """

    windows: Windows
    learnt: LearntMetric
    support: Support | None
    min_extra_us: Floats


def judge_scale(block: Block, number: int, policy: DetectorPolicy) -> Finding:
    """Apply scale `number` of the policy."""
    scale = policy.scales[number]
    windows = block.windows
    length = np.full(len(windows.held), scale.intervals, np.int64)
    spread = block.learnt.spread[:, number]
    mean = windows.mean(length)
    with np.errstate(invalid="ignore"):
        score = (mean - np.maximum(block.learnt.centre[:, number], 0.0)) / spread
        fired = windows.fits(length) & (score >= scale.min_score)
    fired &= windows.span_us(length) <= max(_OLDEST, 3 * scale.intervals * policy.step_us)
    fired &= passes_gates(block, length, mean, scale.min_ratio, policy)
    fired &= persists(windows, length, mean, scale.min_ratio, _persistence(scale, policy))
    return Finding(fired, length, score, spread)


def persists(windows: Windows, length: Longs, mean: Floats, min_ratio: float, share: float) -> NDArray[np.bool_]:
    """True where enough of the window's intervals are elevated by themselves.

    An interval is elevated above a part of the demanded rise, and of the mean as well: two spikes in a row lift the
    mean of a window, but not its other intervals.
    """
    above = np.maximum(_OF_DEMANDED * np.log(min_ratio), _OF_MEAN * mean)
    persistent: NDArray[np.bool_] = windows.elevated_share(length, above) >= share
    return persistent


def passes_gates(
    block: Block, length: Longs, mean: Floats, min_ratio: float, policy: DetectorPolicy
) -> NDArray[np.bool_]:
    """Effect and impact: enough per execution, over all executions too, and enough per hour.

    The mean over intervals must reach `min_ratio`, and the cost over all executions half of it on the logarithmic
    scale: a few expensive executions in quiet intervals do not speak for the thousands that ran in busy ones. The
    last three intervals must show half of it too, or a long window would go on about what has long been cured.
    """
    effect = np.full(len(mean), np.log(min_ratio))
    if block.support is not None:
        effect *= np.where(block.support.log_rise(length) >= mean / 2, 1.0, policy.uncorroborated_effect)
    hours = np.maximum(block.windows.span_us(length), policy.impact_intervals * policy.step_us) / 3.6e9
    costs = block.windows.extra_us(length) / hours >= block.min_extra_us
    confirmed = block.windows.log_ratio(length) >= _EXECUTIONS_CONFIRM * effect
    lasts = block.windows.mean(np.minimum(length, _LATEST)) >= _LATEST_CONFIRM * effect
    passed: NDArray[np.bool_] = (mean >= effect) & costs & confirmed & lasts
    return passed


def _persistence(scale: ScaleRule, policy: DetectorPolicy) -> float:
    return 1.0 if scale.intervals <= policy.scales[0].intervals else policy.persistence
