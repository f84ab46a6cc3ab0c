"""Count failed collection runs in a row, so that the next attempt waits longer each time."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from dbplanmon_pipeline.core.breaker import BreakerPolicy, after_failure, after_success
from dbplanmon_pipeline.core.ports import CollectionStore, JobState
from dbplanmon_pipeline.core.shards import Shard

JOB = "collection"


def collection_state(store: CollectionStore, shard: Shard | None = None) -> JobState:
    """Memory of the collection job, or of one shard of it."""
    name = _name(shard)
    return store.job_states([name])[name]


def collection_states(store: CollectionStore, shards: Sequence[Shard]) -> dict[Shard | None, JobState]:
    """Memory of every shard, and under None that of collections of the whole fleet."""
    states = store.job_states([_name(shard) for shard in (None, *shards)])
    return {shard: states[_name(shard)] for shard in (None, *shards)}


def _name(shard: Shard | None) -> str:
    """By number alone, so that a failing shard is remembered when their count changes."""
    return JOB if shard is None else f"{JOB}:{shard.number}"


def remember_collection(
    store: CollectionStore,
    *,
    failed: bool,
    now: datetime,
    policy: BreakerPolicy,
    detail: str = "",
    partial: bool = False,
    shard: Shard | None = None,
) -> JobState:
    """Count a failed run, or forget the failures after a good one; returns the new memory.

    A partial run, for which somebody named the targets, neither starts nor ends a back-off: only that it went well
    is remembered, so that an analysis follows.
    """
    before = collection_state(store, shard)
    if partial:
        after = before if failed else replace(before, last_success_at=now)
    else:
        after = after_failure(before, policy, now, detail) if failed else after_success(before, now)
    store.save_job_states([after])
    return after
