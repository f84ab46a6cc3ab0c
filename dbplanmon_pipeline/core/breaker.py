"""Back-off and circuit breaker as one pure rule over the memory of a job."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.ports import JobState


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """After `max_failures` in a row nothing is tried before the pause is over; pauses double from `backoff` up."""

    max_failures: int = 5
    backoff: timedelta = timedelta(seconds=30)
    max_backoff: timedelta = timedelta(minutes=10)

    def pause(self, failures: int) -> timedelta:
        """Pause after so many failures in a row: backoff, twice, four times ... never above max_backoff."""
        # 2**20 pauses of any length already exceed every bound; it keeps the product of timedelta in range.
        doublings = min(max(failures - 1, 0), 20)
        return min(self.backoff * (1 << doublings), self.max_backoff)


def after_failure(state: JobState, policy: BreakerPolicy, now: datetime, detail: str) -> JobState:
    """Count one more failure; the next attempt is due after the pause for that many."""
    failures = state.consecutive_failures + 1
    return replace(
        state,
        consecutive_failures=failures,
        last_failure_at=now,
        next_attempt_at=now + policy.pause(failures),
        detail=detail,
    )


def after_success(state: JobState, now: datetime) -> JobState:
    """Forget the failures."""
    return replace(state, consecutive_failures=0, last_success_at=now, next_attempt_at=None, detail="")


def is_open(state: JobState, now: datetime, policy: BreakerPolicy) -> bool:
    """True while nothing may be tried: enough failures in a row, and the pause is not over."""
    tripped = state.consecutive_failures >= policy.max_failures
    return tripped and state.next_attempt_at is not None and now < state.next_attempt_at
