"""One circuit breaker per instance: a server that keeps failing is left alone for a while."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.breaker import BreakerPolicy, after_failure, after_success, is_open
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports import CollectionStore, JobState

BREAKER = "breaker"
"""Error class of a target that was left alone."""


class BreakerStore(Protocol):
    """Where breakers are remembered."""

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name; a fresh `JobState` where there is none."""
        ...


def left_alone(ref: DatabaseRef, breaker: JobState, tick: datetime) -> CollectionOutcome:
    """The outcome of a target whose breaker is open."""
    until = f" until {breaker.next_attempt_at:%H:%M:%S} UTC" if breaker.next_attempt_at else ""
    message = f"left alone{until} after {breaker.consecutive_failures} failures in a row: {breaker.detail}"
    return CollectionOutcome(ref, tick, CollectionStatus.SKIPPED, error_class=BREAKER, message=message)


def breaker_states(instances: Iterable[str], store: BreakerStore) -> dict[str, JobState]:
    """Memory of the breaker of each instance."""
    names = {f"breaker:{instance}": instance for instance in sorted(set(instances))}
    return {names[name]: state for name, state in store.job_states(names).items()}


def resting_instances(breakers: Mapping[str, JobState], now: datetime, policy: BreakerPolicy) -> set[str]:
    """Instances whose breaker is open."""
    return {instance for instance, state in breakers.items() if is_open(state, now, policy)}


def remember_breakers(
    read: Sequence[CollectionOutcome],
    breakers: Mapping[str, JobState],
    store: CollectionStore,
    policy: BreakerPolicy,
    tick: datetime,
    *,
    partial: bool,
) -> None:
    """Count what was read: an instance fails when none of its databases could be read.

    Failures of a partial run do not count, as one dead database is no dead server.
    """
    by_instance: dict[str, list[CollectionOutcome]] = {}
    for outcome in read:
        if outcome.error_class != BREAKER:
            by_instance.setdefault(outcome.ref.instance, []).append(outcome)
    changed = []
    for instance, results in by_instance.items():
        before = breakers[instance]
        if all(o.status is CollectionStatus.FAILED for o in results):
            if not partial:
                changed.append(after_failure(before, policy, tick, results[0].message))
        elif before.consecutive_failures or before.last_success_at is None:
            changed.append(after_success(before, tick))
    if changed:
        store.save_job_states(changed)
