"""Executions that failed: cut short by their client, or ended by an error."""

import math
from dataclasses import dataclass

FAILED_EXECUTIONS = "failed_executions"
"""Metric of a verdict that is about failures, not about time."""

_LEAST_SHARE = 0.001
"""So rarely anything may fail; a share before of 0 is taken as this one."""


@dataclass(frozen=True, slots=True)
class Failures:
    """How often a statement fails now and before.

    Attributes:
        share_before / share: failed of all executions, with the plans before and with the present one, 0 to 1.
        failed_before / executions_before: failed ones and all, under the plans before.
        failed / executions: the same over the window of the verdict, under the present plan.
        aborted: how many of `failed` the client cut short, by a timeout for example; the rest ended with an error.
        per_hour: failed executions per hour beyond those that were to be expected.
    """

    share_before: float
    share: float
    failed_before: float
    executions_before: float
    failed: float
    executions: float
    aborted: float
    per_hour: float

    @property
    def ratio(self) -> float:
        """Share now over share before, at least 1."""
        return max(self.share / max(self.share_before, _LEAST_SHARE), 1.0)

    def is_normal(self, share: float) -> bool:
        """True for a share nearer to the one before than to the one it had risen to, on the logarithmic scale."""
        return share < math.sqrt(max(self.share_before, _LEAST_SHARE) * max(self.share, _LEAST_SHARE))


def share_words(share: float) -> str:
    """`62 %`, `0.35 %`; never 0 or 100 for what is not."""
    percent = 100 * share
    if percent <= 0 or percent >= 100:
        return f"{percent:.0f} %"
    if percent >= 99.5:
        return f"{min(percent, 99.99):.2f} %"
    return f"{percent:.0f} %" if percent >= 10 else f"{max(percent, 0.01):.2g} %"


def failing_words(failures: Failures) -> str:
    """`62 % of its executions fail, 0.35 % before`, or that none succeeds any more."""
    before = share_words(failures.share_before)
    if failures.failed >= failures.executions:
        return f"none of its executions succeeds any more, {before} failed before"
    return f"{share_words(failures.share)} of its executions fail, {before} before"


def failures_per_hour_words(failures: Failures) -> str:
    """The cost: engines keep no time of executions that failed."""
    count = failures.per_hour
    number = f"{count:,.0f}" if count >= 10 else f"{count:.2g}"
    return f"{number} more failed executions per hour"
