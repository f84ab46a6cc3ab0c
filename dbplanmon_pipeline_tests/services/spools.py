"""A fleet whose store can go away and come back, read the way a session reads it."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services.collect import CollectionReport
from dbplanmon_pipeline.settings import Settings
from dbplanmon_pipeline.store import DiskSpool, SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START, STEP, assert_same_work, named, recorded

EVERY_STATEMENT = {"top_n": 10_000, "min_executions": 1}
SOURCES: dict[str, dict[str, Any]] = {
    "plan_cache": {"source": "plan_cache"},
    "query_store_of_an_hour": {"source": "query_store", "interval_minutes": 60},
    "query_store_of_five_minutes": {"source": "query_store", "interval_minutes": 5, "flush_seconds": 300},
}
DATABASES = 3


class SpooledFleet:
    """One session per collection, as runs have it.

    Args:
        folder: state folder.
        provider: the fleet.
        clock: its clock.
        store_url: of a store; not set: SQLite in `folder`.
        spool: settings of the spool.
    """

    def __init__(
        self,
        folder: Path,
        provider: SimulatedProvider,
        clock: FixedClock,
        store_url: str | None = None,
        **spool: Any,
    ) -> None:
        instance = {"name": "fleet", "engine": "simulated", "databases": provider.databases()}
        collection = {**EVERY_STATEMENT, "spool": spool}
        sections: dict[str, Any] = {"environment": "test", "state_dir": folder, "collection": collection}
        if store_url:
            sections["store"] = {"url": store_url}
        self.settings = Settings.model_validate({**sections, "instances": [instance]})
        self.clock = clock
        self.provider = named(provider)
        self.monitor = Monitor(self.settings, clock, make_provider=lambda *_: provider)
        self.folder = folder / "spool"

    def collect(self) -> CollectionReport:
        """Read once, now; a store that is away is no obstacle."""
        with self.monitor.session(needs_store=False) as session:
            return session.collect()

    def tick(self, times: int = 1, by: timedelta = STEP) -> CollectionReport:
        """Let time pass and read, so many times; returns the last report."""
        for _ in range(times):
            self.clock.advance(by)
            report = self.collect()
        return report

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*.spool")) if self.folder.exists() else []

    @property
    def spool(self) -> DiskSpool:
        chosen = self.settings.collection.spool
        return DiskSpool(self.folder, chosen.max_mb * 1_000_000, chosen.max_age)

    def asked(self, question: Callable[[SqlStore], Any]) -> Any:
        """Ask the store."""
        store = open_store(self.settings.store_url(), clock=self.clock)
        try:
            return question(store)
        finally:
            store.close()

    def assert_recorded_is_true(self, since: Any = START) -> None:
        """The store holds what the source showed at the readings since START, no more and no less."""
        for database in self.provider.databases():
            ref = next(r for r in self.asked(lambda store: store.known_databases()) if r.database == database)
            assert_same_work(self.asked(lambda store, ref=ref: recorded(store, ref)), self.expected(database, since))

    def expected(self, database: str, since: Any) -> Any:
        if not self.provider.has_query_store:
            return self.provider.truth(database, since, self.clock.moment)
        return self.provider.recordable(database, self.moments)

    @property
    def moments(self) -> list[Any]:
        return [START, self.clock.moment]


class Disk:
    """The disk of a SQLite store, which can be unplugged: a file is then where its folder was."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "disk"
        self.url = f"sqlite:///{self.folder}/store.db"

    def unplug(self) -> None:
        self.folder.rename(self.folder.with_name("unplugged"))
        self.folder.touch()

    def plug_in(self) -> None:
        self.folder.unlink()
        self.folder.with_name("unplugged").rename(self.folder)


def fleet_of(
    folder: Path,
    url: str,
    clock: FixedClock,
    spool: dict[str, Any] | None = None,
    databases: int = DATABASES,
    **options: Any,
) -> SpooledFleet:
    """A fleet of 12 statements per database over the store at `url`; options of the provider and of the spool."""
    provider = SimulatedProvider(
        "fleet", databases, clock=clock, **{"statements": 12, "seed": 3, "source": "plan_cache", **options}
    )
    return SpooledFleet(folder / "state", provider, clock, url, **(spool or {}))


def statuses(report: CollectionReport) -> set[CollectionStatus]:
    return {outcome.status for outcome in report.outcomes}
