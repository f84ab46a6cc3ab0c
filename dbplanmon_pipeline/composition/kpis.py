"""KPIs as the settings ask for them, and the logins they are read under."""

from collections.abc import Callable, Mapping

from dbplanmon_pipeline.composition.alert_rules import alert_routes
from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.cron import Cron
from dbplanmon_pipeline.core.kpis.rules import KpiLimits, KpiPolicy, KpiSpec
from dbplanmon_pipeline.core.kpis.statement import KpiStatement
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import Provider
from dbplanmon_pipeline.services.run_kpis import KpiRunPolicy
from dbplanmon_pipeline.settings import InstanceSettings, Settings
from dbplanmon_pipeline.settings.instances import LoginSettings
from dbplanmon_pipeline.settings.kpis import KpiLogin, KpiSettings

MakeProvider = Callable[[InstanceSettings, Settings], Provider]


def kpi_specs(settings: Settings) -> list[KpiSpec]:
    """Enabled KPIs of enabled instances, in the order of the settings."""
    watched = {instance.name for instance in settings.instances if instance.enabled}
    return [_spec(kpi) for kpi in settings.kpis if kpi.enabled and kpi.instance in watched]


def kpi_run_policy(settings: Settings) -> KpiRunPolicy:
    """How they are read and told of."""
    limits, alerts, resilience = settings.kpi_limits, settings.alerts, settings.resilience
    after = alerts.escalation[0].after if alerts.escalation else alerts.escalate_after
    return KpiRunPolicy(
        max_parallel=limits.max_parallel,
        telling=KpiPolicy(limits.calm_readings, limits.tolerated_errors, after),
        channels=alert_routes(settings).channels,
        breaker=BreakerPolicy(resilience.max_consecutive_failures, resilience.backoff, resilience.max_backoff),
    )


class KpiProviders:
    """The provider of each KPI: that of its instance, or one under a login of its own.

    Args:
        settings: as loaded.
        shared: of the instances, by name.
        make_provider: makes those with a login of their own; nothing is connected by that.
    """

    def __init__(self, settings: Settings, shared: Mapping[str, Provider], make_provider: MakeProvider) -> None:
        self._of: dict[str, Provider] = {}
        self._own: dict[tuple[str, KpiLogin], Provider] = {}
        for kpi in settings.kpis:
            if kpi.login is None or kpi.instance not in shared:
                continue
            key = (kpi.instance, kpi.login)
            if key not in self._own:
                self._own[key] = make_provider(_under(settings.instance(kpi.instance), kpi.login), settings)
            self._of[kpi.name] = self._own[key]
        self._shared = shared

    def of(self, spec: KpiSpec) -> Provider:
        """Whom to ask."""
        return self._of.get(spec.name) or self._shared[spec.ref.instance]

    def close(self) -> None:
        """Give back those that only KPIs use."""
        for provider in self._own.values():
            provider.close()


def _under(instance: InstanceSettings, login: KpiLogin) -> InstanceSettings:
    return instance.model_copy(update={"login": LoginSettings(user=login.user, password=login.password)})


def _spec(kpi: KpiSettings) -> KpiSpec:
    return KpiSpec(
        name=kpi.name,
        ref=DatabaseRef(kpi.instance, kpi.database),
        statement=KpiStatement(kpi.sql, kpi.procedure, kpi.login is not None and kpi.login.least_privilege),
        limits=KpiLimits(kpi.expected, kpi.minimum, kpi.maximum, kpi.deviation_percent, kpi.minimum_samples),
        column=kpi.value or "",
        interval=kpi.interval,
        cron=Cron.parse(kpi.cron) if kpi.cron else None,
        timeout_seconds=kpi.timeout.total_seconds(),
        severity=kpi.severity,
    )
