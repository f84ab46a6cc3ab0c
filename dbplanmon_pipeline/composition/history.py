"""Which databases have a history nobody asked for yet."""

from datetime import datetime, timedelta

from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.services.import_history import ENGINES_WITH_HISTORY
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.store import SqlStore

RECENT_INTERVALS = 3
"""A database that was read within so many intervals counts as being recorded now."""


def databases_without_history(settings: Settings, store: SqlStore, now: datetime) -> list[DatabaseRef]:
    """Databases that were read lately and whose history nobody ever asked for; asks no server."""
    keep_history = {i.name for i in settings.instances if i.enabled and i.engine in ENGINES_WITH_HISTORY}
    if not keep_history:
        return []
    since = now - max(RECENT_INTERVALS * settings.collection.interval, timedelta(minutes=15))
    successes = (CollectionStatus.OK, CollectionStatus.FIRST_READING)
    recent = {o.ref for o in store.collection_log(since) if o.status in successes}
    wanted = {ref for ref in recent & store.recorded_from().keys() if ref.instance in keep_history}
    return sorted(wanted - store.history_attempts().keys())
