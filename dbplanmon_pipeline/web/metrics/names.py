"""Every figure by its name: what it is, and which labels it has. docs/health.md tells the same."""

from dataclasses import dataclass

PREFIX = "db_exec_monitor_"


@dataclass(frozen=True, slots=True)
class Metric:
    """Attributes: name without our prefix, kind as Prometheus has it, meaning with unit, labels in order."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()

    @property
    def full_name(self) -> str:
        """As it is exposed."""
        return PREFIX + self.name


_DATABASE = ("instance", "database")

DURATION = Metric(
    "plan_collection_duration_seconds", "histogram", "Time one reading of one database took.", ("instance",)
)
HEALTH_DURATION = Metric("health_check_duration_seconds", "histogram", "Time one check of the health took.", ("check",))
SAMPLES = Metric("samples_collected_total", "counter", "Interval rows recorded.", ("instance",))
READINGS = Metric("readings_total", "counter", "Readings of databases, by how they ended.", ("instance", "status"))
CONNECTIONS = Metric(
    "connections_opened_total", "counter", "Connections that readings of databases opened.", ("instance",)
)
REGRESSIONS = Metric(
    "regressions_detected_total", "counter", "Incidents that were opened or reopened.", ("instance", "severity")
)
ALERTS = Metric("alerts_sent_total", "counter", "Messages that a channel took.", ("channel",))
ALERTS_FAILED = Metric("alerts_failed_total", "counter", "Attempts that a channel refused.", ("channel",))
REMEDIATIONS = Metric(
    "remediations_executed_total", "counter", "Changes made to monitored databases; this version makes none."
)
KPI_READINGS = Metric("kpi_readings_total", "counter", "Readings of KPIs, by what they said.", ("state",))

STORE_UP = Metric("store_up", "gauge", "1 where the store could be read just now, else 0.")
STORE_SIZE = Metric("store_size_bytes", "gauge", "Size of the database of the store.")
ARCHIVE_SIZE = Metric("archive_size_bytes", "gauge", "Size of the sealed days.")
DATABASES = Metric("databases", "gauge", "Watched databases, by how their newest reading ended.", ("status",))
LAST_SUCCESS = Metric(
    "collection_last_success_age_seconds", "gauge", "Time since the last reading; of others the longest.", _DATABASE
)
LAG = Metric(
    "collection_lag_seconds", "gauge", "Age of a reading when it was stored; of others the longest.", _DATABASE
)
COST = Metric(
    "collector_cost_seconds", "gauge", "Time the server spent on our last reading; of others the sum.", _DATABASE
)
INCIDENTS = Metric("open_incidents", "gauge", "Incidents that are new or acknowledged.", ("severity",))
ALERTS_UNSENT = Metric(
    "alerts_unsent", "gauge", "Messages that wait (`pending`, `held`) or were given up.", ("channel", "state")
)
ALERTS_OVERDUE = Metric(
    "alerts_overdue_seconds", "gauge", "How long the oldest message waits that should have been sent.", ("channel",)
)
BREAKER = Metric("breaker_open", "gauge", "1 where an instance or a channel is left alone.", ("kind", "name"))
JOB_FAILURES = Metric("job_consecutive_failures", "gauge", "Failures of a job since its last success.", ("job",))
JOB_SUCCESS = Metric("job_last_success_age_seconds", "gauge", "Time since the last success of a job.", ("job",))
KPI_STATE = Metric("kpi_state", "gauge", "1 for the state a KPI is in.", ("kpi", "state"))
KPI_VALUE = Metric("kpi_value", "gauge", "Newest value of a KPI, in its own unit.", ("kpi",))
AGE = Metric("figures_age_seconds", "gauge", "How old the figures are that were read from the store.")
BUILD = Metric("build_info", "gauge", "Always 1; the version is a label.", ("version",))

METRICS = (
    DURATION,
    HEALTH_DURATION,
    SAMPLES,
    READINGS,
    CONNECTIONS,
    REGRESSIONS,
    ALERTS,
    ALERTS_FAILED,
    REMEDIATIONS,
    KPI_READINGS,
    STORE_UP,
    STORE_SIZE,
    ARCHIVE_SIZE,
    DATABASES,
    LAST_SUCCESS,
    LAG,
    COST,
    INCIDENTS,
    ALERTS_UNSENT,
    ALERTS_OVERDUE,
    BREAKER,
    JOB_FAILURES,
    JOB_SUCCESS,
    KPI_STATE,
    KPI_VALUE,
    AGE,
    BUILD,
)
