"""The settings as one frozen value, and what they mean for one database."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline.settings import environment as variables_of
from dbplanmon_pipeline.settings.alerts import AlertSettings
from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.checks import fleet_problems, refuse
from dbplanmon_pipeline.settings.instances import DatabaseEntry, InstanceSettings
from dbplanmon_pipeline.settings.kpis import KpiLimitSettings, KpiSettings
from dbplanmon_pipeline.settings.sections import (
    AnalysisSettings,
    BaselineSettings,
    CollectionSettings,
    DefaultSettings,
    Environment,
    HotspotSettings,
    LoggingSettings,
    PrivacySettings,
    RegressionSettings,
    RemediationSettings,
    ResilienceSettings,
    RetentionSettings,
    ScheduleSettings,
    StoreSettings,
    SummarySettings,
)
from dbplanmon_pipeline.settings.suggest import did_you_mean
from dbplanmon_pipeline.settings.telemetry import TelemetrySettings
from dbplanmon_pipeline.settings.web import WebSettings

_SectionT = TypeVar("_SectionT", bound=Section)


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """What holds for one database, every override resolved."""

    instance: str
    database: str
    collection: CollectionSettings
    regression: RegressionSettings
    analysis: AnalysisSettings


class Settings(Section):
    """Everything the operator can set; `load_settings` builds it."""

    environment: Environment = Field(
        default=Environment.PRODUCTION, description="Kind of surroundings; production refuses plain secrets."
    )
    store: StoreSettings = Field(default=StoreSettings(), description="Where our own data lies.")
    collection: CollectionSettings = Field(default=CollectionSettings(), description="How databases are read.")
    analysis: AnalysisSettings = Field(default=AnalysisSettings(), description="How intervals are judged.")
    baselines: BaselineSettings = Field(default=BaselineSettings(), description="How normal is learnt.")
    summary: SummarySettings = Field(default=SummarySettings(), description="The daily summary.")
    hotspots: HotspotSettings = Field(default=HotspotSettings(), description="The dearest statements.")
    resilience: ResilienceSettings = Field(default=ResilienceSettings(), description="What happens after failures.")
    defaults: DefaultSettings = Field(default=DefaultSettings(), description="What every database inherits.")
    instances: tuple[InstanceSettings, ...] = Field(default=(), max_length=10_000, description="Monitored servers.")
    alerts: AlertSettings = Field(default=AlertSettings(), description="How people are told.")
    remediation: RemediationSettings = Field(default=RemediationSettings(), description="Ways back.")
    kpis: tuple[KpiSettings, ...] = Field(default=(), max_length=10_000, description="Figures of your own.")
    kpi_limits: KpiLimitSettings = Field(default=KpiLimitSettings(), description="How KPIs are read and told of.")
    retention: RetentionSettings = Field(default=RetentionSettings(), description="How long data is kept.")
    privacy: PrivacySettings = Field(default=PrivacySettings(), description="What may be stored.")
    schedules: ScheduleSettings = Field(default=ScheduleSettings(), description="What runs by itself.")
    logging: LoggingSettings = Field(default=LoggingSettings(), description="What is logged, and in which form.")
    web: WebSettings = Field(default=WebSettings(), description="Status page, health and metrics.")
    telemetry: TelemetrySettings = Field(default=TelemetrySettings(), description="OpenTelemetry.")
    state_dir: Path = Field(
        default=Path(".dbplanmon"),
        description="State folder; not set: $DAGSTER_HOME/.dbplanmon, else .dbplanmon beside the settings file.",
    )

    _sources: dict[str, str] = PrivateAttr(default_factory=dict)
    _instances: dict[str, InstanceSettings] = PrivateAttr(default_factory=dict)
    _entries: dict[str, dict[str, DatabaseEntry]] = PrivateAttr(default_factory=dict)
    _inherited: dict[str, DatabaseSettings] = PrivateAttr(default_factory=dict)
    _resolved: dict[tuple[str, str], DatabaseSettings] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _is_consistent(cls, data: Any, info: ValidationInfo) -> Any:
        refuse(fleet_problems(data), info)
        return data

    def model_post_init(self, context: Any, /) -> None:
        """Index instances and databases by name; take over where the loader found each value."""
        self._sources.update((context or {}).get("sources", {}))
        self._instances.update((instance.name, instance) for instance in self.instances)
        for instance in self.instances:
            self._entries[instance.name] = {entry.name: entry for entry in instance.databases.entries}

    def instance(self, name: str) -> InstanceSettings:
        """One instance by name.

        Raises:
            SettingsError: no instance has this name.
        """
        try:
            return self._instances[name]
        except KeyError:
            hint = did_you_mean(name, self._instances)
            raise SettingsError(f"instance {name!r} is not in the settings{hint}") from None

    def for_database(self, instance_name: str, database: str) -> DatabaseSettings:
        """What holds for one database: defaults, then its instance, then its own entry; remembered.

        A database the settings do not name (a discovered one) has what its instance has.

        Raises:
            SettingsError: no instance has this name.
        """
        key = (instance_name, database)
        if key not in self._resolved:
            self._resolved[key] = self._resolve(instance_name, database)
        return self._resolved[key]

    def _resolve(self, instance_name: str, database: str) -> DatabaseSettings:
        if instance_name not in self._inherited:
            self._inherited[instance_name] = self._of_instance(self.instance(instance_name))
        inherited = self._inherited[instance_name]
        entry = self._entries[instance_name].get(database)
        if entry is None:
            return replace(inherited, database=database)
        return DatabaseSettings(
            instance_name,
            database,
            _overridden(inherited.collection, entry.collection),
            _overridden(inherited.regression, entry.regression),
            _overridden(inherited.analysis, entry.analysis),
        )

    def _of_instance(self, instance: InstanceSettings) -> DatabaseSettings:
        defaults = self.defaults
        return DatabaseSettings(
            instance.name,
            "",
            _overridden(self.collection, defaults.collection, instance.collection),
            _overridden(defaults.regression, instance.regression),
            _overridden(self.analysis, defaults.analysis, instance.analysis),
        )

    def store_url(self, environ: Mapping[str, str] | None = None) -> str:
        """URL of the store, read now: `store.url`, else DBPLANMON_STORE_URL, else SQLite in the state folder.

        Raises:
            SettingsError: the secret behind `store.url` is not there.
        """
        if self.store.url is not None:
            return self.store.url.resolve(environ)
        given = variables_of.variables(environ).get(variables_of.STORE_URL)
        return given or f"sqlite:///{self.state_dir / 'store.db'}"

    def effective(self) -> dict[str, Any]:
        """All settings as JSON-able values, secrets masked; `sources` says where those set by hand came from."""
        return {**self.model_dump(mode="json"), "sources": dict(self._sources)}


def _overridden(section: _SectionT, *overrides: Section) -> _SectionT:
    """`section` with what the overrides set, the last one winning; the very same object where they set nothing."""
    update = {
        name: value
        for override in overrides
        for name in override.model_fields_set
        if (value := getattr(override, name)) is not None
    }
    return section.model_copy(update=update) if update else section
