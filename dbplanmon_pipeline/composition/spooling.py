"""Collection with a spool beside the store: what waits comes first, what cannot be stored waits."""

from collections.abc import Callable

from dbplanmon_pipeline.composition.providers import capture_limits
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import Clock, CollectionStore
from dbplanmon_pipeline.errors import SettingsError, StoreError
from dbplanmon_pipeline.services.collect import CollectionReport
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline.services.replay_spool import Replayed, replay_spool
from dbplanmon_pipeline.services.spool_readings import SpoolingStore, told
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.store import DiskSpool, SqlStore

FOLDER = "spool"
_MEGABYTE = 1_000_000

Collect = Callable[[CollectionStore, Clock], CollectionReport]


def failure_to_open(store: SqlStore, *, upgrade: bool) -> StoreError | None:
    """Make the tables of an empty store where `upgrade` says so; why the store cannot be used, None where it can."""
    try:
        if upgrade and not store.schema_status().revision:
            store.upgrade()
    except StoreError as error:
        return error
    return None


def keeps_readings(settings: Settings) -> bool:
    """False where the settings want no spool."""
    return settings.collection.spool.max_mb > 0


def open_spool(settings: Settings) -> DiskSpool:
    """In the state folder; nothing is made before the first reading is kept."""
    spool = settings.collection.spool
    return DiskSpool(settings.state_dir / FOLDER, spool.max_mb * _MEGABYTE, spool.max_age)


def collect_or_spool(
    settings: Settings,
    store: SqlStore,
    collect: Collect,
    *,
    failure: StoreError | None,
    clock: Clock,
    stopped: Callable[[], bool],
) -> CollectionReport:
    """Record what waits, then collect; without the store, readings wait.

    Args:
        settings: bounds of the spool, limits of databases.
        store: ours.
        collect: reads the targets into the store it is given, at the moment of the clock it is given.
        failure: why the store could not be opened; None where it could.
        clock: the present moment.
        stopped: asked between batches.

    Raises:
        StoreError: neither store nor spool can be written, or the store fails and the settings want no spool.
    """
    if not keeps_readings(settings):
        return collect(store, clock)
    spool = open_spool(settings)
    spooling = SpoolingStore(store, spool, clock, failure)

    def replay(reached: CollectionStore) -> Replayed:
        return replay_spool(
            spool,
            reached,
            now=clock(),
            limits=lambda ref: _limits(settings, ref),
            interval=settings.collection.interval,
            stopped=stopped,
        )

    replayed = spooling.attempt(replay, Replayed)
    return told(collect(spooling, spooling.tick), spooling, replayed)


def _limits(settings: Settings, ref: DatabaseRef) -> CaptureLimits:
    """Those of the usual settings for an instance that is gone from them since."""
    try:
        return capture_limits(settings, ref)
    except SettingsError:
        return CaptureLimits()
