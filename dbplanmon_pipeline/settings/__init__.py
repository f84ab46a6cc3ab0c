"""Settings: one YAML file, its overlay and environment variables, as one frozen value."""

from dbplanmon_pipeline.settings.channels import (
    AlertSettings,
    ChannelSettings,
    LogChannel,
    WebhookChannel,
)
from dbplanmon_pipeline.settings.example import example_yaml
from dbplanmon_pipeline.settings.instances import (
    ApplicationIntent,
    DatabaseEntry,
    DatabaseSelection,
    Encryption,
    InstanceOptions,
    InstanceSettings,
    LoginSettings,
    SslMode,
)
from dbplanmon_pipeline.settings.kpis import KpiSettings
from dbplanmon_pipeline.settings.loading import load_settings
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
    "DatabaseEntry",
    "DatabaseSelection",
    "DatabaseSettings",
    "DefaultSettings",
    "DetectorName",
    "Encryption",
    "Environment",
    "HotspotSettings",
    "InstanceOptions",
    "InstanceSettings",
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
]
