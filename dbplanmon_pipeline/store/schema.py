"""Tables of the store, as the migrations leave them; those of people and their rules are in `schema_people.py`.

Hashes are signed 64-bit integers; the views of `views.py` show them as hexadecimal text. Interval metrics live in one
table per UTC day (`days.py`), so they are not part of this metadata.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.core.verdict.model import BASELINE_COLUMNS
from dbplanmon_pipeline.store.schema_people import (
    access_login,
    access_token,
    alert,
    alert_delivery,
    audit_log,
    deployment,
    expiry_mark,
    kpi_result,
    kpi_state,
    maintenance_window,
    mute_rule,
    suggestion,
)
from dbplanmon_pipeline.store.table_columns import key, metadata, required
from dbplanmon_pipeline.store.types import Figure, JsonText, UtcDateTime

__all__ = [
    "access_login",
    "access_token",
    "alert",
    "alert_delivery",
    "archive_segment",
    "audit_log",
    "baseline",
    "collection_log",
    "counter_state",
    "database_fact",
    "database_hour",
    "deployment",
    "expiry_mark",
    "history_import",
    "hotspot",
    "hourly_rollup",
    "incident",
    "incident_event",
    "interval_day",
    "job_state",
    "kpi_result",
    "kpi_state",
    "maintenance_window",
    "metadata",
    "monitored_database",
    "mute_rule",
    "plan",
    "plan_change",
    "plan_observation",
    "query",
    "query_text",
    "suggestion",
]

# ---------------------------------------------------------------- targets, statements, plans

monitored_database = Table(
    "monitored_database",
    metadata,
    Column("database_id", Integer, primary_key=True),
    required("instance", String(255)),
    required("database", String(255)),
    required("engine", String(32)),
    required("first_seen", UtcDateTime),
    Column("recorded_from_us", BigInteger),
    UniqueConstraint("instance", "database"),
)

query_text = Table(
    "query_text",
    metadata,
    key("text_sha256", String(64)),
    required("text", Text),
    required("kind", String(64)),
)

query = Table(
    "query",
    metadata,
    key("database_id", Integer),
    key("query_hash", BigInteger),
    required("current_plan_hash", BigInteger),
    Column("plan_checked_at", UtcDateTime),
    required("plan_origin", String(32)),
    required("plan_reason", Text),
    Column("text_sha256", String(64)),
    required("first_seen", UtcDateTime),
    required("last_seen", UtcDateTime),
    Index(None, "text_sha256"),
    Index(None, "current_plan_hash"),
)

plan = Table(
    "plan",
    metadata,
    key("plan_hash", BigInteger),
    required("query_hash", BigInteger),
    required("format", String(32)),
    required("origin", String(32)),
    required("body_zstd", LargeBinary),
    required("reason", Text),
    required("context", JsonText),
    required("first_seen", UtcDateTime),
)

plan_observation = Table(
    "plan_observation",
    metadata,
    key("database_id", Integer),
    key("query_hash", BigInteger),
    key("plan_hash", BigInteger),
    required("first_seen", UtcDateTime),
    required("last_seen", UtcDateTime),
    Index(None, "plan_hash"),
)

# ---------------------------------------------------------------- collection

counter_state = Table(
    "counter_state",
    metadata,
    key("database_id", Integer),
    Column("read_at", UtcDateTime),
    Column("newest_end_us", BigInteger),
    required("counters", Integer),
    Column("covers_from_us", BigInteger),
    Column("next_from_us", BigInteger),
    Column("body_zstd", LargeBinary),
    Column("body_digest", LargeBinary),
    Column("sightings", LargeBinary),
    Column("facts_digest", LargeBinary),
)

collection_log = Table(
    "collection_log",
    metadata,
    key("database_id", Integer),
    key("started_at", UtcDateTime),
    required("status", String(32)),
    required("error_class", String(32)),
    required("message", Text),
    required("rows", Integer),
    required("statements_read", Integer),
    required("new_statements", Integer),
    required("new_plans", Integer),
    required("plan_changes", Integer),
    required("resets", Integer),
    Column("gap_seconds", Float),
    Column("lag_seconds", Float),
    required("duration_ms", Float),
    Column("cost_ms", Float),
    required("recorded_at", UtcDateTime),
    Index(None, "started_at"),
    Index(None, "recorded_at"),
)

history_import = Table(
    "history_import",
    metadata,
    key("database_id", Integer),
    key("day", Date),
    required("attempted_at", UtcDateTime),
    required("status", String(32)),
    required("rows", Integer),
    required("message", Text),
)

job_state = Table(
    "job_state",
    metadata,
    key("name", String(255)),
    required("consecutive_failures", Integer),
    Column("last_failure_at", UtcDateTime),
    Column("last_success_at", UtcDateTime),
    Column("next_attempt_at", UtcDateTime),
    required("detail", Text),
)

# ---------------------------------------------------------------- days of metrics

interval_day = Table(
    "interval_day",
    metadata,
    key("day", Date),
    required("created_at", UtcDateTime),
    required("longest_us", BigInteger),
    required("late_writes", Integer),
)

archive_segment = Table(
    "archive_segment",
    metadata,
    key("day", Date),
    required("location", Text),
    required("rows", BigInteger),
    required("bytes", BigInteger),
    required("sha256", String(64)),
    required("sealed_at", UtcDateTime),
)

hourly_rollup = Table(
    "hourly_rollup",
    metadata,
    key("database_id", Integer),
    key("hour_start_us", BigInteger),
    key("query_hash", BigInteger),
    key("plan_hash", BigInteger),
    required("intervals", Integer),
    *(Column(name, Float) for name in (*COUNTERS, *EXTREMA)),
    Index(None, "hour_start_us"),
)

database_hour = Table(
    "database_hour",
    metadata,
    key("hour_start_us", BigInteger),
    key("database_id", Integer),
    *(Column(name, Float) for name in ("execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages")),
    *(Column(name, Float) for name in ("aborted_count", "exception_count")),
    Index(None, "database_id", "hour_start_us"),
)

# ---------------------------------------------------------------- verdicts

baseline = Table(
    "baseline",
    metadata,
    key("layout", String(64)),
    key("database_id", Integer),
    key("query_hash", BigInteger),
    key("as_of", UtcDateTime),
    required("active_intervals", BigInteger),
    *(Column(name, Float) for name in BASELINE_COLUMNS[3:]),
    required("parameters", LargeBinary),
)

incident = Table(
    "incident",
    metadata,
    key("incident_id", String(64)),
    required("scope", String(32)),
    required("instance", String(255)),
    required("database", String(255)),
    required("query_hash", BigInteger),
    required("state", String(32)),
    required("label", String(32)),
    required("severity", String(32)),
    required("metric", String(64)),
    required("plan_hash", BigInteger),
    required("previous_plan_hash", BigInteger),
    *(
        Column(name, Figure)
        for name in (
            "effect_ratio",
            "extra_seconds_per_hour",
            "extra_seconds_low",
            "extra_seconds_high",
            "baseline_us",
            "observed_us",
            "score",
        )
    ),
    required("began_at", UtcDateTime),
    required("opened_at", UtcDateTime),
    required("updated_at", UtcDateTime),
    required("last_bad_at", UtcDateTime),
    Column("calm_since", UtcDateTime),
    required("calm_intervals", Integer),
    Column("closed_at", UtcDateTime),
    required("reopened_count", Integer),
    required("evidence", JsonText),
    required("note", Text),
    Column("failures", JsonText),
    Index(None, "state", "updated_at"),
    Index(None, "closed_at"),
    Index(None, "query_hash", "instance", "database"),
)

incident_event = Table(
    "incident_event",
    metadata,
    Column("incident_id", String(64), ForeignKey("incident.incident_id"), primary_key=True),
    key("at", UtcDateTime),
    key("event", String(32)),
    required("actor", String(255)),
    required("note", Text),
    required("severity", String(32)),
    required("state", String(32)),
    Column("extra_seconds_per_hour", Figure),
)

database_fact = Table(
    "database_fact",
    metadata,
    key("database_id", Integer),
    key("name", String(255)),
    key("seen_at", UtcDateTime),
    required("value", Text),
)

plan_change = Table(
    "plan_change",
    metadata,
    key("database_id", Integer),
    key("query_hash", BigInteger),
    key("changed_at", UtcDateTime),
    key("plan_hash", BigInteger),
    required("previous_plan_hash", BigInteger),
    required("summary", Text),
    Index(None, "changed_at"),
)

hotspot = Table(
    "hotspot",
    metadata,
    key("window_end", UtcDateTime),
    key("window_start", UtcDateTime),
    key("rank_by", String(64)),
    key("rank", Integer),
    required("database_id", Integer),
    required("query_hash", BigInteger),
    Column("execution_count", Figure),
    Column("elapsed_time_us", Figure),
    Column("worker_time_us", Figure),
    Column("logical_reads_pages", Figure),
    Column("share", Figure),
)
