"""Count failed collection runs in a row, so that the next attempt waits longer each time."""

from dataclasses import replace
from datetime import datetime

from dbplanmon_pipeline.core.breaker import BreakerPolicy, after_failure, after_success
from dbplanmon_pipeline.core.ports import CollectionStore, JobState

JOB = "collection"


def collection_state(store: CollectionStore) -> JobState:
    """Memory of the collection job."""
    return store.job_states([JOB])[JOB]


def remember_collection(
    store: CollectionStore,
    *,
    failed: bool,
    now: datetime,
    policy: BreakerPolicy,
    detail: str = "",
    partial: bool = False,
) -> JobState:
    """Count a failed run, or forget the failures after a good one; returns the new memory.

    A partial run, for which somebody named the targets, neither starts nor ends a back-off: only that it went well
    is remembered, so that an analysis follows.
    """
    before = collection_state(store)
    if partial:
        after = before if failed else replace(before, last_success_at=now)
    else:
        after = after_failure(before, policy, now, detail) if failed else after_success(before, now)
    store.save_job_states([after])
    return after
