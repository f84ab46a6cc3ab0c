"""The sections that steer the whole fleet: one class per top-level key."""

from datetime import UTC, time, timedelta
from enum import StrEnum

from pydantic import Field

from dbplanmon_pipeline.settings.base import Override, Section
from dbplanmon_pipeline.settings.secret import SecretUrl
from dbplanmon_pipeline.settings.values import ClockTime, Count, Duration, Line, Quantity

_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


class Environment(StrEnum):
    """Kinds of surroundings; production is the strictest."""

    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"


class StoreSettings(Section):
    """Where our own data lies."""

    url: SecretUrl | None = Field(
        default=None,
        description="SQLAlchemy URL of the store; not set: DBPLANMON_STORE_URL, else SQLite in the state folder.",
    )
    archive: Line | None = Field(
        default=None, description="Folder or fsspec URL for sealed days; not set: `archive` in the state folder."
    )


class SpoolSettings(Section):
    """Readings kept in the state folder while the store cannot be reached; recorded when it is back."""

    max_mb: Count = Field(
        default=512, ge=0, le=1_000_000, description="Most disk space [MB]; the oldest readings go first. 0: no spool."
    )
    max_age: Duration = Field(default=_DAY, ge=_MINUTE, le=30 * _DAY, description="Older readings are let go of.")


class CollectionSettings(Section):
    """How counters and plans are read from the monitored databases."""

    interval: Duration = Field(
        default=5 * _MINUTE, ge=_SECOND, le=_DAY, description="Time from one collection to the next."
    )
    startup_delay: Duration = Field(
        default=10 * _SECOND, ge=timedelta(), le=_HOUR, description="Wait after the start of the daemon."
    )
    top_n: Count = Field(
        default=50, ge=1, le=10_000, description="Statements per database whose texts and plans are fetched."
    )
    min_executions: Count = Field(
        default=2, ge=1, le=1_000_000, description="Executions a statement needs before its plan is fetched."
    )
    shards: Count = Field(default=1, ge=1, le=1_000, description="Runs that share the instances of one collection.")
    max_workers: Count = Field(default=16, ge=1, le=256, description="Databases read at the same time by one run.")
    budget_per_database: Duration = Field(
        default=10 * _SECOND, ge=_SECOND / 10, le=_HOUR, description="Longest time one database may take."
    )
    max_plans: Count = Field(default=30, ge=0, le=10_000, description="Plans fetched per database and collection.")
    failure_threshold: Quantity = Field(
        default=1.0, ge=0.01, le=1.0, description="Share of failed databases at which the run fails."
    )
    spool: SpoolSettings = Field(default=SpoolSettings(), description="Where readings wait while the store is away.")


class CollectionOverride(Override):
    """The keys of `collection` that an instance or a database may set for itself; not set: inherited."""

    top_n: Count | None = Field(default=None, ge=1, le=10_000, description="As in `collection`.")
    min_executions: Count | None = Field(default=None, ge=1, le=1_000_000, description="As in `collection`.")
    budget_per_database: Duration | None = Field(
        default=None, ge=_SECOND / 10, le=_HOUR, description="As in `collection`."
    )
    max_plans: Count | None = Field(default=None, ge=0, le=10_000, description="As in `collection`.")


class DetectorName(StrEnum):
    """Rules that tell a slow statement from a normal one."""

    STATISTICAL = "statistical"
    THRESHOLD = "threshold"


class AnalysisSettings(Section):
    """How recorded intervals are judged."""

    delay: Duration = Field(
        default=30 * _SECOND,
        ge=timedelta(),
        le=_HOUR,
        description="Wait between the end of a collection and its analysis.",
    )
    window: Duration = Field(default=_HOUR, ge=_MINUTE, le=_DAY, description="Newest stretch that is judged.")
    lookback: Duration = Field(
        default=_DAY, ge=_MINUTE, le=30 * _DAY, description="Recorded intervals read for one analysis."
    )
    detector: DetectorName = Field(
        default=DetectorName.STATISTICAL, description="The rule; `threshold` uses the percentages of `regression`."
    )
    min_extra_seconds_per_hour: Quantity = Field(
        default=1.0,
        ge=0.0,
        le=3_600_000.0,
        description="Cost beyond normal, in seconds per hour, below which nobody is told.",
    )
    common_mode_ratio: Quantity = Field(
        default=1.3,
        ge=1.01,
        le=100.0,
        description="Common slowness of one instance at which it gets an incident of its own.",
    )


class AnalysisOverride(Override):
    """The keys of `analysis` that an instance or a database may set for itself; not set: inherited."""

    min_extra_seconds_per_hour: Quantity | None = Field(
        default=None, ge=0.0, le=3_600_000.0, description="As in `analysis`."
    )


class RegressionSettings(Section):
    """Limits of the plain threshold rule, per execution against the baseline."""

    cpu_percent: Quantity = Field(
        default=50.0, ge=1.0, le=100_000.0, description="Rise of the P95 of CPU time, in percent."
    )
    duration_percent: Quantity = Field(
        default=50.0, ge=1.0, le=100_000.0, description="Rise of the P95 duration, in percent."
    )
    reads_percent: Quantity = Field(
        default=100.0, ge=1.0, le=100_000.0, description="Rise of the mean logical reads, in percent."
    )
    min_executions: Count = Field(
        default=5, ge=1, le=1_000_000, description="Executions in the window below which it is mute."
    )
    min_baseline_samples: Count = Field(
        default=10, ge=1, le=1_000_000, description="Intervals in the baseline below which it is mute."
    )


class RegressionOverride(Override):
    """The keys of `regression` that an instance or a database may set for itself; not set: inherited."""

    cpu_percent: Quantity | None = Field(default=None, ge=1.0, le=100_000.0, description="As in `defaults.regression`.")
    duration_percent: Quantity | None = Field(
        default=None, ge=1.0, le=100_000.0, description="As in `defaults.regression`."
    )
    reads_percent: Quantity | None = Field(
        default=None, ge=1.0, le=100_000.0, description="As in `defaults.regression`."
    )
    min_executions: Count | None = Field(default=None, ge=1, le=1_000_000, description="As in `defaults.regression`.")
    min_baseline_samples: Count | None = Field(
        default=None, ge=1, le=1_000_000, description="As in `defaults.regression`."
    )


class BaselineSettings(Section):
    """How normal is learnt."""

    time: ClockTime = Field(default=time(2, tzinfo=UTC), description="When baselines are rebuilt, daily.")
    days: Count = Field(default=7, ge=1, le=90, description="Days of history a baseline is learnt from.")
    min_intervals: Count = Field(
        default=30, ge=1, le=100_000, description="Intervals with executions below which a statement gets no baseline."
    )


class SummarySettings(Section):
    """The daily summary."""

    time: ClockTime = Field(default=time(8, tzinfo=UTC), description="When the summary is made, daily.")
    weekly: bool = Field(default=False, description="Make one of seven days too, on Mondays.")
    keep: Duration = Field(
        default=90 * _DAY, ge=_DAY, le=10 * 365 * _DAY, description="How long the pages in the state folder stay."
    )


class HotspotSettings(Section):
    """The dearest statements of each window."""

    top_n: Count = Field(default=20, ge=1, le=1_000, description="Statements kept per ranking and window.")
    window: Duration = Field(default=_HOUR, ge=_MINUTE, le=7 * _DAY, description="Stretch that is ranked.")


class ResilienceSettings(Section):
    """What happens after failures."""

    max_consecutive_failures: Count = Field(
        default=5,
        ge=1,
        le=1_000,
        description="Failures in a row after which an instance is left alone for a while, and people hear of a job.",
    )
    backoff: Duration = Field(
        default=30 * _SECOND, ge=_SECOND, le=_DAY, description="Wait before the first retry; doubles."
    )
    max_backoff: Duration = Field(
        default=10 * _MINUTE, ge=_SECOND, le=_DAY, description="Longest wait between retries."
    )


class RemediationMode(StrEnum):
    """How far the program may go on its own."""

    READ_ONLY = "read_only"
    SUGGEST_REMEDIATION = "suggest_remediation"
    AUTO_APPLY_LOW_RISK = "auto_apply_low_risk"


class RemediationSettings(Section):
    """Ways back from a regression; nothing changes on a server unless all of these allow it."""

    mode: RemediationMode = Field(
        default=RemediationMode.READ_ONLY, description="How far the program may go on its own."
    )
    enabled: bool = Field(default=False, description="Kill switch: false stops every change on a monitored server.")
    dry_run: bool = Field(default=True, description="Record what would be done instead of doing it.")
    max_per_hour: Count = Field(default=5, ge=0, le=100, description="Changes per hour over the whole fleet.")


def _kept(days: int, what: str, *, least: timedelta = _DAY, most_years: int = 10) -> timedelta:
    """A setting: how long something is kept."""
    age: timedelta = Field(default=days * _DAY, ge=least, le=most_years * 365 * _DAY, description=what)
    return age


class RetentionSettings(Section):
    """How long our own data is kept; what an open incident or a baseline needs stays longer."""

    time: ClockTime = Field(default=time(3, tzinfo=UTC), description="When old data is removed, daily.")
    grace: Duration = Field(
        default=7 * _DAY,
        ge=timedelta(),
        le=365 * _DAY,
        description="Time between the marking of expired data and its removal; a mark can be taken back until then.",
    )
    batch_rows: Count = Field(default=5_000, ge=100, le=100_000, description="Most rows removed in one transaction.")
    pause: Duration = Field(
        default=timedelta(milliseconds=50),
        ge=timedelta(),
        le=_MINUTE,
        description="Wait between two such transactions.",
    )
    intervals: Duration = _kept(90, "Interval metrics, archive too.")
    rollups: Duration = _kept(400, "Hourly totals.", most_years=20)
    statements: Duration = _kept(400, "Statements and texts, after they were last seen.", most_years=20)
    plans: Duration = _kept(90, "Plans, after a statement last ran with them.")
    plan_changes: Duration = _kept(90, "Records of plan changes.")
    hotspots: Duration = _kept(90, "Rankings of the dearest statements.")
    baselines: Duration = _kept(90, "Baselines that a newer version has replaced.")
    facts: Duration = _kept(90, "Facts of databases, after another value has replaced them; marked deployments.")
    incidents: Duration = _kept(400, "Incidents, their steps and suggestions, after their end.", most_years=20)
    alerts: Duration = _kept(90, "Alerts, mute rules and maintenance windows that have ended.")
    memory: Duration = _kept(
        90, "What one run of a job leaves for the next, of an instance or a channel too, once unused.", least=31 * _DAY
    )
    kpis: Duration = _kept(90, "Readings of KPIs.")
    logs: Duration = _kept(30, "Log of collections, attempts to deliver.")
    audit: Duration = _kept(7 * 365, "Audit log.", least=366 * _DAY, most_years=100)
    runs: Duration = _kept(14, "Runs of Dagster with their logs, ticks.")
    daily_runs: Duration = _kept(
        90, "Runs of Dagster that made the assets of a day; without them the day looks undone."
    )


class PrivacySettings(Section):
    """What may be stored of the statements."""

    redact: bool = Field(
        default=True, description="Take literals out of statements and plans before anything is stored."
    )


class ScheduleSettings(Section):
    """Which schedules and sensors run by themselves."""

    collection: bool = Field(default=True, description="Collect every `collection.interval`.")
    analysis: bool = Field(default=True, description="Analyse after each collection.")
    baselines: bool = Field(default=True, description="Rebuild baselines daily.")
    summary: bool = Field(default=True, description="Make the daily summary.")
    retention: bool = Field(default=True, description="Remove old data daily.")
    job_failures: bool = Field(default=True, description="Tell of jobs that fail again and again.")
    maintenance: bool = Field(default=True, description="Care for the store itself, weekly.")
    retry: bool = Field(default=True, description="Retry failed collections with growing waits.")
    health: bool = Field(default=True, description="Run the health checks.")
    rollups: bool = Field(default=True, description="Seal and roll up finished days.")
    kpis: bool = Field(default=True, description="Read KPIs when they are due; looks every minute.")


class LogLevel(StrEnum):
    """The least level that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """The form of a line."""

    AUTO = "auto"
    JSON = "json"
    HUMAN = "human"


class LoggingSettings(Section):
    """What is logged on standard error, and in which form."""

    level: LogLevel | None = Field(
        default=None,
        description="Least level; not set: `info` for services, `warning` for commands. `-v` goes before it.",
    )
    format: LogFormat = Field(
        default=LogFormat.AUTO,
        description="Form of a line; `auto`: lines for people on a terminal and for commands, JSON for services.",
    )


class DefaultSettings(Section):
    """What every instance and database inherits unless it says otherwise."""

    collection: CollectionOverride = Field(default=CollectionOverride(), description="Over the keys of `collection`.")
    regression: RegressionSettings = Field(default=RegressionSettings(), description="Limits of the threshold rule.")
    analysis: AnalysisOverride = Field(default=AnalysisOverride(), description="Over the keys of `analysis`.")
