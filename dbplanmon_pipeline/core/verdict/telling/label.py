"""What kind of slowness a verdict is, from the other metrics of the same window."""

import math
from dataclasses import dataclass

from dbplanmon_pipeline.core.model import Label

_ABOUT_AS_MUCH = 0.6
_HARDLY = 0.3
_EXPLAINS = 0.5
_SPREAD_NOW = 1.5
_SPREAD_ROSE = 1.5


@dataclass(frozen=True, slots=True)
class WindowFacts:
    """One statement over the window of its verdict, against its baseline; NaN where the engine does not tell.

    Attributes:
        metric: the metric that fired.
        effect_ratio: its cost per execution over normal.
        plan_changed: the plan is another one than before the rise.
        elapsed_before_us / elapsed_now_us, worker_*: cost per execution [microseconds].
        reads_before / reads_now, rows_before / rows_now: per execution [pages, rows].
        waited_before_us / waited_now_us: input/output and waits per execution [microseconds].
        variation_before / variation_now: standard deviation over mean of single executions under the present plan.
    """

    metric: str
    effect_ratio: float
    plan_changed: bool
    elapsed_before_us: float
    elapsed_now_us: float
    worker_before_us: float
    worker_now_us: float
    reads_before: float
    reads_now: float
    rows_before: float
    rows_now: float
    waited_before_us: float
    waited_now_us: float
    variation_before: float
    variation_now: float

    @property
    def log_effect(self) -> float:
        """Natural logarithm of the effect."""
        return math.log(self.effect_ratio)

    @property
    def log_reads(self) -> float:
        """Rise of reads per execution, natural logarithm; NaN unknown."""
        return log_rise(self.reads_before, self.reads_now, 1.0)

    @property
    def log_rows(self) -> float:
        """Rise of rows per execution, natural logarithm; NaN unknown."""
        return log_rise(self.rows_before, self.rows_now, 1.0)

    @property
    def log_worker(self) -> float:
        """Rise of CPU per execution, natural logarithm; NaN unknown."""
        return log_rise(self.worker_before_us, self.worker_now_us, 1.0)

    @property
    def waited_share(self) -> float:
        """Share of the extra elapsed time that input/output and waits explain; NaN unknown."""
        extra = self.elapsed_now_us - self.elapsed_before_us
        return (self.waited_now_us - self.waited_before_us) / extra if extra > 0 else math.nan


def log_rise(before: float, now: float, offset: float) -> float:
    """Natural logarithm of now over before, `offset` added to both so that next to nothing stays next to nothing."""
    return math.log((now + offset) / (before + offset)) if now >= 0 and before >= 0 else math.nan


def label_of(facts: WindowFacts) -> Label:
    """Choose the label.

    A new plan that costs more is a plan regression. Under one plan, executions that spread far more than before
    are parameter sensitivity; more reads or rows in about the measure of the cost are data growth; time without
    work is contention, which needs waits as proof where CPU time is not known.
    """
    if facts.plan_changed:
        return Label.PLAN_REGRESSION
    if _spreads(facts):
        return Label.PARAMETER_SENSITIVITY
    if max(_or_zero(facts.log_reads), _or_zero(facts.log_rows)) >= _ABOUT_AS_MUCH * facts.log_effect:
        return Label.DATA_GROWTH
    if _is_contention(facts):
        return Label.CONTENTION
    return Label.UNKNOWN


def _spreads(facts: WindowFacts) -> bool:
    more_work = max(_or_zero(facts.log_reads), _or_zero(facts.log_worker)) > _HARDLY * facts.log_effect
    wide = facts.variation_now >= _SPREAD_NOW and facts.variation_now >= _SPREAD_ROSE * facts.variation_before
    return wide and more_work


def _is_contention(facts: WindowFacts) -> bool:
    if facts.metric != "elapsed_time_us" or _or_zero(facts.log_reads) > _HARDLY * facts.log_effect:
        return False
    if not math.isnan(facts.log_worker):
        return facts.log_worker <= _HARDLY * facts.log_effect
    return _or_zero(facts.waited_share) >= _EXPLAINS


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value
