"""Count failed collection runs in a row, so that the next attempt waits longer each time."""

from datetime import datetime

from dbplanmon_pipeline.core.breaker import BreakerPolicy, after_failure, after_success
from dbplanmon_pipeline.core.ports import CollectionStore, JobState

JOB = "collection"


def collection_state(store: CollectionStore) -> JobState:
    """Memory of the collection job."""
    return store.job_states([JOB])[JOB]


def remember_collection(
    store: CollectionStore, *, failed: bool, now: datetime, policy: BreakerPolicy, detail: str = ""
) -> JobState:
    """Count a failed run, or forget the failures after a good one; returns the new memory."""
    before = collection_state(store)
    after = after_failure(before, policy, now, detail) if failed else after_success(before, now)
    store.save_job_states([after])
    return after
