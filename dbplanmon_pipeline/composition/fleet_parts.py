"""The fleet of the settings in parts, for collections that several runs share."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.model import CollectionOutcome
from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.core.shards import Shard, shards_of
from dbplanmon_pipeline.services.remember_collection import JOB, collection_states
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.store import SqlStore


def collection_shards(settings: Settings) -> list[Shard]:
    """Parts that are collected by runs of their own; none where one run reads everything."""
    return shards_of(settings.collection.shards, len(enabled_instances(settings)))


def enabled_instances(settings: Settings) -> list[str]:
    """Names of the instances that are read."""
    return [instance.name for instance in settings.instances if instance.enabled]


def reading_states(settings: Settings, store: SqlStore) -> dict[Shard | None, JobState]:
    """Memory of the runs that the schedule asks for: of each shard, or under None of the one that reads everything."""
    shards = collection_shards(settings)
    states = collection_states(store, shards)
    return {shard: states[shard] for shard in shards or (None,)}


def fresh_states(settings: Settings) -> dict[Shard | None, JobState]:
    """The same runs while the store that remembers them is away: none backs off, as their readings can be kept."""
    return {shard: JobState(JOB) for shard in collection_shards(settings) or (None,)}


def whole_fleet(
    settings: Settings, store: SqlStore, read: Iterable[CollectionOutcome], since: datetime
) -> list[CollectionOutcome]:
    """What became of every database lately: those just `read`, and the others as they were read last since then."""
    enabled = frozenset(enabled_instances(settings))
    newest = {o.ref: o for o in (*store.collection_log(since), *read)}
    return [outcome for ref, outcome in newest.items() if ref.instance in enabled]


def three_readings(settings: Settings) -> timedelta:
    """Within this time every database has been read, unless something is wrong."""
    return 3 * max(settings.collection.interval, timedelta(minutes=1))
