"""One provider per configured instance."""

from collections.abc import Callable

from dbplanmon_pipeline.core.model import Engine
from dbplanmon_pipeline.core.plans.redact import mask_literals
from dbplanmon_pipeline.core.ports import Provider
from dbplanmon_pipeline.providers.missing import MissingProvider
from dbplanmon_pipeline.providers.postgres import PostgresProvider
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline.services.resolve_targets import InstanceSpec
from dbplanmon_pipeline.settings import InstanceSettings, Settings

POSTGRES_PORT = 5432


def build_provider(instance: InstanceSettings, settings: Settings) -> Provider:
    """The adapter of one instance; connects to nothing yet.

    An engine without one fails when it is read, so that the other instances go on.
    """
    if instance.engine is Engine.POSTGRES:
        return _postgres(instance, settings)
    if instance.engine is Engine.SIMULATED:
        return _simulated(instance)
    return MissingProvider(instance.name, instance.engine, "This version reads postgres and simulated instances.")


def instance_spec(instance: InstanceSettings, settings: Settings, provider: Provider) -> InstanceSpec:
    """What the target resolution needs to know of an instance."""
    names: tuple[str, ...] | None = instance.databases.names
    if instance.engine is Engine.SIMULATED:
        names = tuple(provider.databases())
    elif instance.databases.discover:
        names = None

    def limits(database: str) -> tuple[CaptureLimits, float]:
        collection = settings.for_database(instance.name, database).collection
        return (
            CaptureLimits(
                top_n=collection.top_n,
                min_executions=collection.min_executions,
                max_plans=collection.max_plans,
                recheck_after=collection.interval,
            ),
            collection.budget_per_database.total_seconds(),
        )

    return InstanceSpec(instance.name, instance.engine, names, limits)


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
        redact=mask_literals if settings.privacy.redact else None,
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
    )
