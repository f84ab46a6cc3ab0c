"""The monitor of one settings file: sessions that hold the adapters and run the use cases on them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cached_property

from dbplanmon_pipeline.composition.alert_rules import alert_policy, alert_routes
from dbplanmon_pipeline.composition.channels import build_channel_list, channel_names, channel_policies
from dbplanmon_pipeline.composition.detectors import build_detector, workload_policy
from dbplanmon_pipeline.composition.fleet_parts import enabled_instances
from dbplanmon_pipeline.composition.history import databases_without_history
from dbplanmon_pipeline.composition.incidents import incident_link, incident_policy
from dbplanmon_pipeline.composition.journal import journalled
from dbplanmon_pipeline.composition.kpis import KpiProviders, kpi_run_policy, kpi_specs
from dbplanmon_pipeline.composition.providers import build_provider, health_policy, instance_spec
from dbplanmon_pipeline.composition.retention import AGE_OF, retention_policy
from dbplanmon_pipeline.composition.running import running_steps
from dbplanmon_pipeline.composition.spooling import collect_or_spool, failure_to_open, keeps_readings
from dbplanmon_pipeline.composition.tracing import with_spans
from dbplanmon_pipeline.core.alerts.delivery_policy import AlertKind
from dbplanmon_pipeline.core.alerts.job_alerts import JobEnd
from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.health import Finding
from dbplanmon_pipeline.core.hotspots import HOTSPOT_COLUMNS, hotspots
from dbplanmon_pipeline.core.kpis.health import KpiStatus
from dbplanmon_pipeline.core.kpis.rules import KpiSpec
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import Channel, Clock, ExpiryMark, Hotspot, Provider, UpkeepStep
from dbplanmon_pipeline.core.ports.collection import CollectionStore, JobState
from dbplanmon_pipeline.core.shards import Shard
from dbplanmon_pipeline.core.summary.period import DaySummary
from dbplanmon_pipeline.core.verdict.model import Detector
from dbplanmon_pipeline.errors import SettingsError, StoreError
from dbplanmon_pipeline.services.analyse import AnalysisPolicy, AnalysisReport, analyse
from dbplanmon_pipeline.services.apply_retention import RetentionReport, apply_retention, take_back
from dbplanmon_pipeline.services.breakers import breaker_states, resting_instances
from dbplanmon_pipeline.services.channel_breaker import ChannelBreaker
from dbplanmon_pipeline.services.check_health import check_health
from dbplanmon_pipeline.services.collect import CollectionPolicy, CollectionReport, collect
from dbplanmon_pipeline.services.decide_alerts import DecisionReport, decide_alerts, ends_due
from dbplanmon_pipeline.services.import_history import MAX_WORKERS, HistoryReport, import_history
from dbplanmon_pipeline.services.process_alerts import AlertReport, process_alerts
from dbplanmon_pipeline.services.rank_hotspots import HotspotReport, rank_hotspots
from dbplanmon_pipeline.services.rebuild_baselines import BaselineReport, rebuild_baselines
from dbplanmon_pipeline.services.remember_collection import remember_collection
from dbplanmon_pipeline.services.resolve_targets import Resolution, resolve_targets
from dbplanmon_pipeline.services.run_kpis import KpiReport, due_kpis, kpi_status, named_kpis, run_kpis
from dbplanmon_pipeline.services.send_summary import send_summary
from dbplanmon_pipeline.services.suggest_remediations import SuggestionReport, suggest_remediations
from dbplanmon_pipeline.services.summarise import summarise
from dbplanmon_pipeline.services.watch_channels import watch_channels
from dbplanmon_pipeline.services.watch_jobs import watch_jobs
from dbplanmon_pipeline.settings import InstanceSettings, Settings
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.telemetry import flush

MakeProvider = Callable[[InstanceSettings, Settings], Provider]

SNAPSHOT_STATEMENTS = 10


def utc_now() -> datetime:
    """The clock of production."""
    return datetime.now(UTC)


class Monitor:
    """Settings and a clock; every session opens its own adapters and closes them.

    Args:
        settings: as loaded.
        clock: the present moment, aware UTC.
        make_provider: another source for the same settings, for a story with a truth of its own.
    """

    def __init__(
        self, settings: Settings, clock: Clock = utc_now, *, make_provider: MakeProvider = build_provider
    ) -> None:
        self.settings = settings
        self.clock = clock
        self._make_provider = make_provider

    @contextmanager
    def session(
        self, *, upgrade: bool = True, stopped: Callable[[], bool] = lambda: False, needs_store: bool = True
    ) -> Iterator["Session"]:
        """Open the store; providers are made when first needed.

        Args:
            upgrade: create the tables of an empty store. An old store is never changed without being asked:
                that is `dbplanmon store upgrade`.
            stopped: asked often during a collection; true ends it within seconds.
            needs_store: false opens the session even while the store is away, to collect and nothing else.
        """
        session = self.open_session(stopped)
        try:
            session.store_failure = failure_to_open(session.store, upgrade=upgrade)
            if session.store_failure and (needs_store or not keeps_readings(self.settings)):
                raise session.store_failure
            yield session
        finally:
            session.close()

    def open_session(self, stopped: Callable[[], bool] = lambda: False) -> "Session":
        """A session that the caller closes; touches no store and no server before it is used."""
        store = open_store(self.settings.store_url(), archive=self.settings.store.archive, clock=self.clock)
        return Session(self.settings, store, self.clock, stopped, self._make_provider)


@with_spans
@journalled
class Session:
    """The use cases on open adapters; each method is one of `services/` with its policy from the settings.

    Attributes:
        store_failure: why the store is away; only `collect` works then.
    """

    def __init__(
        self,
        settings: Settings,
        store: SqlStore,
        clock: Clock,
        stopped: Callable[[], bool],
        make_provider: MakeProvider,
    ) -> None:
        self.settings = settings
        self.store = store
        self.store_failure: StoreError | None = None
        self._clock = clock
        self._stopped = stopped
        self._make_provider = make_provider

    @cached_property
    def providers(self) -> dict[str, Provider]:
        """Adapters of the enabled instances, by name."""
        return {i.name: self._make_provider(i, self.settings) for i in self.settings.instances if i.enabled}

    @cached_property
    def detector(self) -> Detector:
        """The rule the settings name."""
        return build_detector(self.settings)

    @cached_property
    def channels(self) -> list[Channel]:
        """Enabled channels."""
        return build_channel_list(self.settings)

    @cached_property
    def breaker(self) -> BreakerPolicy:
        """When an instance or the whole collection rests."""
        resilience = self.settings.resilience
        return BreakerPolicy(resilience.max_consecutive_failures, resilience.backoff, resilience.max_backoff)

    def close(self) -> None:
        """Give everything back."""
        flush(self.settings)
        if "providers" in self.__dict__:
            for provider in self.providers.values():
                provider.close()
        self.store.close()

    def targets(self, only: Sequence[str] = (), *, resting: Mapping[str, JobState] | None = None) -> Resolution:
        """Databases to read; discovery asks the servers, but for those that rest."""
        specs = [
            instance_spec(instance, self.settings, self.providers[instance.name])
            for instance in self.settings.instances
            if instance.enabled
        ]
        return resolve_targets(
            specs,
            self.providers,
            only=only,
            now=self._clock(),
            max_workers=self.settings.collection.max_workers,
            resting=resting,
            stopped=self._stopped,
        )

    def collect(self, only: Sequence[str] = (), *, shard: Shard | None = None) -> CollectionReport:
        """Read the targets once; those that `only` names are read even where their breaker is open."""
        return collect_or_spool(
            self.settings,
            self.store,
            lambda store, clock: self._collect(store, clock, only, shard),
            failure=self.store_failure,
            clock=self._clock,
            stopped=self._stopped,
        )

    def _collect(
        self, store: CollectionStore, clock: Clock, only: Sequence[str], shard: Shard | None
    ) -> CollectionReport:
        resting = {} if only else self._resting(store)
        resolution = self._part(shard, resting) if shard else self.targets(only, resting=resting)
        collection = self.settings.collection
        return collect(
            resolution.targets,
            self.providers,
            store,
            clock=clock,
            policy=CollectionPolicy(collection.max_workers, collection.interval, self.breaker),
            unlisted=resolution.unlisted,
            partial=bool(only),
            stopped=self._stopped,
        )

    def _part(self, shard: Shard, resting: Mapping[str, JobState]) -> Resolution:
        instances = shard.of(enabled_instances(self.settings))
        return self.targets(instances, resting=resting) if instances else Resolution(())

    def _resting(self, store: CollectionStore) -> dict[str, JobState]:
        breakers = breaker_states(self.providers, store)
        return {name: breakers[name] for name in resting_instances(breakers, self._clock(), self.breaker)}

    def remember_collection(self, report: CollectionReport, shard: Shard | None = None) -> bool:
        """Count the run as good or failed; returns true where too many targets were not read.

        A run that could not reach the store counts nowhere, as the store does the counting.
        """
        if report.store_failure:
            return True
        failed = bool(report.outcomes) and report.failed_share >= self.settings.collection.failure_threshold
        unread = [*report.failed, *report.skipped]
        remember_collection(
            self.store,
            failed=failed,
            now=self._clock(),
            policy=self.breaker,
            detail=unread[0].message if failed and unread else "",
            partial=report.partial,
            shard=shard,
        )
        return failed

    def import_history(self, days: Sequence[date], only: Sequence[str] = ()) -> HistoryReport:
        """Import what engines still know of these UTC days, of all databases or of those that `only` names."""
        resolution = self.targets(only, resting={} if only else self._resting(self.store))
        return import_history(
            resolution.targets,
            self.providers,
            self.store,
            days=days,
            clock=self._clock,
            unlisted=resolution.unlisted,
            max_workers=min(MAX_WORKERS, self.settings.collection.max_workers),
            stopped=self._stopped,
        )

    def databases_without_history(self) -> list[DatabaseRef]:
        """Databases that were read lately and whose history nobody ever asked for; asks no server."""
        return databases_without_history(self.settings, self.store, self._clock())

    def analyse(self, as_of: datetime | None = None) -> AnalysisReport:
        """Judge what was recorded."""
        settings = self.settings
        return analyse(
            self.store,
            self.detector,
            policy=AnalysisPolicy(
                lookback=settings.analysis.lookback,
                incidents=incident_policy(settings.collection.interval),
                dialect=self.dialect,
                routes=alert_routes(settings),
                link=incident_link(settings),
            ),
            as_of=as_of,
            steps=None if as_of else running_steps(settings, self.store, self.detector),
        )

    def apply_retention(self, *, dry_run: bool = False, at_once: bool = False, actor: str = "") -> RetentionReport:
        """Mark what expired and remove what was marked long enough ago; see the service for the arguments."""
        return apply_retention(
            self.store,
            retention_policy(self.settings),
            now=self._clock(),
            dry_run=dry_run,
            at_once=at_once,
            actor=actor,
            stopped=self._stopped,
        )

    def take_back_expiry(self, subjects: Sequence[str], *, actor: str) -> list[ExpiryMark]:
        """Take marks away, all of them or those of some kinds.

        Raises:
            StoreError: nothing of one of these kinds expires.
        """
        if unknown := sorted(set(subjects) - AGE_OF.keys()):
            raise StoreError(f"nothing called {', '.join(unknown)} expires; choose of {', '.join(AGE_OF)}")
        return take_back(self.store, subjects, actor=actor)

    def watch_jobs(self, ends: Sequence[JobEnd]) -> int:
        """Count how runs of our jobs ended; returns how many alerts were queued."""
        after = self.settings.resilience.max_consecutive_failures
        return watch_jobs(self.store, ends, tell_after=after, channels=channel_names(self.settings))

    def maintain_store(self, *, may_rewrite: bool = True) -> list[UpkeepStep]:
        """Weekly care of the store itself."""
        return self.store.maintain(may_rewrite=may_rewrite)

    def alerts_due(self) -> bool:
        """True where an alert waits for a decision, an end is missing, or something may be sent over a channel."""
        now = self._clock()
        if self.store.decisions_due(now) or ends_due(self.store, alert_policy(self.settings), now):
            return True
        resting = (ChannelBreaker(self.store, name, self.breaker, self._clock) for name in self.store.due_channels(now))
        return any(not breaker.rests() for breaker in resting)

    def decide_alerts(self) -> DecisionReport:
        """Decide what of the queue is sent, and when."""
        return decide_alerts(self.store, alert_policy(self.settings), now=self._clock, stopped=self._stopped)

    def process_alerts(self) -> AlertReport:
        """Decide about what is queued, and send what is due."""
        watch_channels(self.store, channel_names(self.settings), self._clock())
        self.decide_alerts()
        return process_alerts(
            self.store,
            self.channels,
            now=self._clock,
            policies=channel_policies(self.settings),
            breaker=self.breaker,
            cancelled=self._stopped,
        )

    def rebuild_baselines(self, as_of: datetime | None = None) -> BaselineReport:
        """Learn what is normal."""
        return rebuild_baselines(
            self.store, self.detector, as_of=as_of or self._clock(), days=self.settings.baselines.days
        )

    def rank_hotspots(self) -> HotspotReport:
        """Rank the last window."""
        chosen = self.settings.hotspots
        return rank_hotspots(self.store, window=chosen.window, top_n=chosen.top_n)

    def due_kpis(self) -> list[KpiSpec]:
        """KPIs whose time has come."""
        return due_kpis(kpi_specs(self.settings), self.store, self._clock())

    def run_kpis(self, names: Sequence[str] = ()) -> KpiReport:
        """Read the KPIs that are due, or those with these names now."""
        specs = named_kpis(kpi_specs(self.settings), names)
        providers = KpiProviders(self.settings, self.providers, self._make_provider)
        try:
            return run_kpis(
                specs,
                providers.of,
                self.store,
                clock=self._clock,
                policy=kpi_run_policy(self.settings),
                named=bool(names),
                stopped=self._stopped,
            )
        finally:
            providers.close()

    def kpi_status(self) -> list[KpiStatus]:
        """Every KPI with its newest reading."""
        return kpi_status(kpi_specs(self.settings), self.store)

    def suggest_remediations(self) -> SuggestionReport:
        """Write down ways back."""
        return suggest_remediations(self.store, dialect=self.dialect)

    def summarise(self, day: date, *, days: int = 1) -> DaySummary:
        """Sum up one UTC day, or so many that end with it."""
        return summarise(self.store, day, self.settings.hotspots.top_n, workload_policy(self.settings), days=days)

    def send_summary(self, summary: DaySummary, pictures: Mapping[str, str]) -> int:
        """Queue it for the channels that want summaries; pictures are PNGs in base64."""
        wanted = [name for name, policy in channel_policies(self.settings).items() if AlertKind.SUMMARY in policy.kinds]
        page = self.settings.web.public_url or ""
        return send_summary(self.store, summary, pictures, wanted, now=self._clock(), page=page)

    def health(self) -> dict[str, Finding]:
        """The monitor's own health, without asking a monitored server."""
        policy = health_policy(self.settings, self.providers, self.detector.layout)
        return check_health(self.store, policy=policy, now=self._clock())

    def dearest_statements(self, ref: DatabaseRef) -> list[tuple[Hotspot, str]]:
        """The dearest statements of one database within the last window, with their texts."""
        now = self._clock()
        since = now - self.settings.hotspots.window
        frame = self.store.work_by_statement(since, now, HOTSPOT_COLUMNS, databases=[ref])
        top = [h for h in hotspots(frame, top_n=SNAPSHOT_STATEMENTS) if h.rank_by == "elapsed_time_us"]
        texts = self.store.statement_texts([(ref, h.query_hash) for h in top])
        return [(h, texts[ref, h.query_hash].text if (ref, h.query_hash) in texts else "") for h in top]

    def dialect(self, instance: str) -> Engine:
        """The language of an instance; PostgreSQL for one that the settings no longer name."""
        try:
            engine = self.settings.instance(instance).engine
        except SettingsError:
            return Engine.POSTGRES
        return Engine.SQLSERVER if engine is Engine.SIMULATED else engine
