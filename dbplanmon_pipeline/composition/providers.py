"""One provider per configured instance."""

from collections.abc import Callable, Mapping
from datetime import timedelta

from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.ports import Provider
from dbplanmon_pipeline.core.statements.postgres import mask_postgres_literals
from dbplanmon_pipeline.providers.postgres import PostgresProvider
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.providers.simulated import Source as SimulatedSource
from dbplanmon_pipeline.providers.sqlserver import SqlServerProvider
from dbplanmon_pipeline.providers.sqlserver.connection import ConnectionSettings, Encrypt
from dbplanmon_pipeline.providers.sqlserver.discovery import HOME
from dbplanmon_pipeline.providers.sqlserver.source import Source
from dbplanmon_pipeline.services.check_health import HealthPolicy
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline.services.resolve_targets import InstanceSpec
from dbplanmon_pipeline.settings import ApplicationIntent, CounterSource, InstanceSettings, Settings

POSTGRES_PORT = 5432


def build_provider(instance: InstanceSettings, settings: Settings) -> Provider:
    """The adapter of one instance; connects to nothing yet."""
    if instance.engine is Engine.POSTGRES:
        return _postgres(instance, settings)
    if instance.engine is Engine.SQLSERVER:
        return _sqlserver(instance, settings)
    return _simulated(instance)


def instance_spec(instance: InstanceSettings, settings: Settings, provider: Provider) -> InstanceSpec:
    """What the target resolution needs to know of an instance."""
    names: tuple[str, ...] | None = instance.databases.names
    if instance.engine is Engine.SIMULATED:
        names = tuple(provider.databases())
    elif instance.databases.discover:
        names = None

    def limits(database: str) -> tuple[CaptureLimits, float]:
        budget = settings.for_database(instance.name, database).collection.budget_per_database
        return capture_limits(settings, DatabaseRef(instance.name, database)), budget.total_seconds()

    return InstanceSpec(instance.name, instance.engine, names, limits)


def named_databases(settings: Settings, providers: Mapping[str, Provider]) -> tuple[DatabaseRef, ...]:
    """Databases the settings name themselves; discovered ones count from their first reading on."""
    names = {
        instance.name: (
            providers[instance.name].databases() if instance.engine is Engine.SIMULATED else instance.databases.names
        )
        for instance in settings.instances
        if instance.enabled
    }
    return tuple(DatabaseRef(instance, database) for instance, found in names.items() for database in found)


def discovering_instances(settings: Settings) -> dict[str, bool]:
    """Enabled instances, true where their databases are discovered."""
    return {instance.name: instance.databases.discover for instance in settings.instances if instance.enabled}


def health_policy(settings: Settings, providers: Mapping[str, Provider], layout: str) -> HealthPolicy:
    """What the health asks of the fleet; `layout` is the form of the baselines in use."""
    # Schedules know no shorter cadence than a minute.
    cadence = max(settings.collection.interval, timedelta(minutes=1))
    return HealthPolicy(cadence, named_databases(settings, providers), layout, discovering_instances(settings))


def capture_limits(settings: Settings, ref: DatabaseRef) -> CaptureLimits:
    """What is kept of one reading of a database.

    Raises:
        SettingsError: the settings do not name its instance.
    """
    collection = settings.for_database(ref.instance, ref.database).collection
    return CaptureLimits(
        top_n=collection.top_n,
        min_executions=collection.min_executions,
        max_plans=collection.max_plans,
        recheck_after=collection.interval,
    )


def _postgres(instance: InstanceSettings, settings: Settings) -> PostgresProvider:
    selection = instance.databases
    return PostgresProvider(
        instance=instance.name,
        host=instance.server or "localhost",
        port=instance.port or POSTGRES_PORT,
        user=instance.login.user or "",
        password=_password(instance),
        databases=selection.names,
        include=selection.include,
        exclude=selection.exclude,
        maintenance_database=instance.database or "postgres",
        sslmode=instance.sslmode.value,
        connect_timeout=instance.connect_timeout.total_seconds(),
        options=_libpq_options(instance),
        redact=mask_postgres_literals if settings.privacy.redact else None,
    )


def _sqlserver(instance: InstanceSettings, settings: Settings) -> SqlServerProvider:
    selection = instance.databases
    return SqlServerProvider(
        instance=instance.name,
        connection=_odbc_connection(instance),
        databases=selection.names,
        include=selection.include,
        exclude=selection.exclude,
        home=instance.database or HOME,
        source=Source(instance.options.source.value),
        max_connections=settings.collection.max_workers,
        redact=settings.privacy.redact,
    )


def _odbc_connection(instance: InstanceSettings) -> ConnectionSettings:
    """Without a port the provider takes the one in `server`, else 1433."""
    return ConnectionSettings(
        server=instance.server or "localhost",
        port=instance.port,
        user=instance.login.user,
        password=_password(instance),
        integrated=instance.login.integrated,
        authentication=instance.login.authentication,
        encrypt=Encrypt(instance.encrypt.value),
        trust_server_certificate=instance.trust_server_certificate,
        host_name_in_certificate=instance.host_name_in_certificate,
        server_certificate=instance.server_certificate,
        read_only=instance.application_intent is ApplicationIntent.READ_ONLY,
        multi_subnet_failover=instance.multi_subnet_failover,
        connect_timeout=instance.connect_timeout.total_seconds(),
        driver=instance.options.driver,
    )


def _libpq_options(instance: InstanceSettings) -> dict[str, str]:
    return {"sslrootcert": instance.sslrootcert} if instance.sslrootcert else {}


def _password(instance: InstanceSettings) -> Callable[[], str | None]:
    """Read the secret when a connection is made, so that a rotated one is picked up."""
    secret = instance.login.password
    return lambda: secret.resolve() if secret is not None else None


def _simulated(instance: InstanceSettings) -> SimulatedProvider:
    options, selection = instance.options, instance.databases
    return SimulatedProvider(
        instance.name,
        selection.count if selection.count is not None else selection.names,
        seed=options.seed,
        statements=options.statements,
        failing=options.failing,
        latency_ms=options.latency_ms,
        source=_simulated_source(options.source),
        interval_minutes=options.interval_minutes,
        flush_seconds=options.flush_seconds,
        version=options.version,
    )


def _simulated_source(source: CounterSource) -> SimulatedSource:
    """A simulated instance has both, so `auto` finds Query Store."""
    return SimulatedSource.PLAN_CACHE if source is CounterSource.PLAN_CACHE else SimulatedSource.QUERY_STORE
