"""Settings: one YAML file, its overlay and environment variables, as one frozen value."""

from dbplanmon_pipeline.settings.alerts import AlertSettings, EscalationSettings
from dbplanmon_pipeline.settings.channels import ChannelSettings, LogChannel, WebhookChannel
from dbplanmon_pipeline.settings.engine_options import CounterSource, InstanceOptions
from dbplanmon_pipeline.settings.example import example_yaml
from dbplanmon_pipeline.settings.instances import (
    ApplicationIntent,
    DatabaseEntry,
    DatabaseSelection,
    Encryption,
    InstanceSettings,
    LoginSettings,
    SslMode,
)
from dbplanmon_pipeline.settings.kpis import KpiLimitSettings, KpiLogin, KpiSettings
from dbplanmon_pipeline.settings.loading import load_settings, settings_from
from dbplanmon_pipeline.settings.model import DatabaseSettings, Settings
from dbplanmon_pipeline.settings.secret import SecretKind, SecretReference
from dbplanmon_pipeline.settings.sections import (
    AnalysisOverride,
    AnalysisSettings,
    BaselineSettings,
    CollectionOverride,
    CollectionSettings,
    DefaultSettings,
    DetectorName,
    Environment,
    HotspotSettings,
    PrivacySettings,
    RegressionOverride,
    RegressionSettings,
    RemediationMode,
    RemediationSettings,
    ResilienceSettings,
    RetentionSettings,
    ScheduleSettings,
    StoreSettings,
    SummarySettings,
)
from dbplanmon_pipeline.settings.tables import reference_markdown

__all__ = [
    "AlertSettings",
    "AnalysisOverride",
    "AnalysisSettings",
    "ApplicationIntent",
    "BaselineSettings",
    "ChannelSettings",
    "CollectionOverride",
    "CollectionSettings",
    "CounterSource",
    "DatabaseEntry",
    "DatabaseSelection",
    "DatabaseSettings",
    "DefaultSettings",
    "DetectorName",
    "Encryption",
    "Environment",
    "EscalationSettings",
    "HotspotSettings",
    "InstanceOptions",
    "InstanceSettings",
    "KpiLimitSettings",
    "KpiLogin",
    "KpiSettings",
    "LogChannel",
    "LoginSettings",
    "PrivacySettings",
    "RegressionOverride",
    "RegressionSettings",
    "RemediationMode",
    "RemediationSettings",
    "ResilienceSettings",
    "RetentionSettings",
    "ScheduleSettings",
    "SecretKind",
    "SecretReference",
    "Settings",
    "SslMode",
    "StoreSettings",
    "SummarySettings",
    "WebhookChannel",
    "example_yaml",
    "load_settings",
    "reference_markdown",
    "settings_from",
]
