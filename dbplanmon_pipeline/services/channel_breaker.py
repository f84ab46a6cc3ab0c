"""The circuit breaker of one channel, remembered in the store as the job `channel:<name>`."""

from dataclasses import replace
from datetime import timedelta

from dbplanmon_pipeline.core.alerts.delivery_policy import RetryPolicy
from dbplanmon_pipeline.core.breaker import BreakerPolicy, after_failure, after_success, is_open
from dbplanmon_pipeline.core.ports import Clock, DeliveryStore, JobState


def breaker_name(channel: str) -> str:
    """Name of the memory of a channel."""
    return f"channel:{channel}"


class ChannelBreaker:
    """Opens after some failures in a row; when its pause is over, one attempt shows whether it may close.

    A channel that asks to be left alone opens it at once, for as long as it asked.
    """

    def __init__(self, store: DeliveryStore, channel: str, policy: BreakerPolicy, now: Clock) -> None:
        self._store, self._channel, self._policy, self._now = store, channel, policy, now
        name = breaker_name(channel)
        self._state: JobState = store.job_states([name])[name]

    def rests(self) -> bool:
        """True while nothing may be sent."""
        return is_open(self._state, self._now(), self._policy)

    def succeeded(self) -> None:
        """Forget the failures; written down only where that changes something."""
        if self._state.consecutive_failures or self._state.last_success_at is None:
            self._save(after_success(self._state, self._now()))

    def failed(self, message: str, asked_seconds: float | None) -> None:
        """Count a failure that may pass."""
        now = self._now()
        state = after_failure(self._state, self._policy, now, message)
        if asked_seconds is not None and state.next_attempt_at is not None:
            until = max(state.next_attempt_at, now + timedelta(seconds=asked_seconds))
            failures = max(state.consecutive_failures, self._policy.max_failures)
            state = replace(state, consecutive_failures=failures, next_attempt_at=until)
        self._save(state)

    def give_up_old(self, retry: RetryPolicy) -> int:
        """End what waited too long for a channel that does not work; returns how many."""
        now = self._now()
        reason = f"not tried, the channel did not work: {self._state.detail}"
        return self._store.give_up_alerts(self._channel, now - retry.give_up_after, reason, now)

    def _save(self, state: JobState) -> None:
        self._state = state
        self._store.save_job_states([state])
