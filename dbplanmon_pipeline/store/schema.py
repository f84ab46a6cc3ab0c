"""Tables of the store, as the migrations leave them.

Hashes are signed 64-bit integers; the views of `views.py` show them as hexadecimal text. Interval metrics live in one
table per UTC day (`days.py`), so they are not part of this metadata.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from dbplanmon_pipeline.core.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.core.verdict.model import BASELINE_COLUMNS
from dbplanmon_pipeline.store.types import Figure, JsonText, UtcDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_LogId = BigInteger().with_variant(Integer, "sqlite")


def _required(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _key(name: str, kind: Any) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


# ---------------------------------------------------------------- targets, statements, plans

monitored_database = Table(
    "monitored_database",
    metadata,
    Column("database_id", Integer, primary_key=True),
    _required("instance", String(255)),
    _required("database", String(255)),
    _required("engine", String(32)),
    _required("first_seen", UtcDateTime),
    Column("recorded_from_us", BigInteger),
    UniqueConstraint("instance", "database"),
)

query_text = Table(
    "query_text",
    metadata,
    _key("text_sha256", String(64)),
    _required("text", Text),
    _required("kind", String(64)),
)

query = Table(
    "query",
    metadata,
    _key("database_id", Integer),
    _key("query_hash", BigInteger),
    _required("current_plan_hash", BigInteger),
    Column("plan_checked_at", UtcDateTime),
    _required("plan_origin", String(32)),
    _required("plan_reason", Text),
    Column("text_sha256", String(64)),
    _required("first_seen", UtcDateTime),
    _required("last_seen", UtcDateTime),
    Index(None, "text_sha256"),
    Index(None, "current_plan_hash"),
)

plan = Table(
    "plan",
    metadata,
    _key("plan_hash", BigInteger),
    _required("query_hash", BigInteger),
    _required("format", String(32)),
    _required("origin", String(32)),
    _required("body_zstd", LargeBinary),
    _required("reason", Text),
    _required("context", JsonText),
    _required("first_seen", UtcDateTime),
)

plan_observation = Table(
    "plan_observation",
    metadata,
    _key("database_id", Integer),
    _key("query_hash", BigInteger),
    _key("plan_hash", BigInteger),
    _required("first_seen", UtcDateTime),
    _required("last_seen", UtcDateTime),
    Index(None, "plan_hash"),
)

# ---------------------------------------------------------------- collection

counter_state = Table(
    "counter_state",
    metadata,
    _key("database_id", Integer),
    Column("read_at", UtcDateTime),
    Column("newest_end_us", BigInteger),
    _required("counters", Integer),
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
    _key("database_id", Integer),
    _key("started_at", UtcDateTime),
    _required("status", String(32)),
    _required("error_class", String(32)),
    _required("message", Text),
    _required("rows", Integer),
    _required("statements_read", Integer),
    _required("new_statements", Integer),
    _required("new_plans", Integer),
    _required("plan_changes", Integer),
    _required("resets", Integer),
    Column("gap_seconds", Float),
    Column("lag_seconds", Float),
    _required("duration_ms", Float),
    Column("cost_ms", Float),
    Index(None, "started_at"),
)

history_import = Table(
    "history_import",
    metadata,
    _key("database_id", Integer),
    _key("day", Date),
    _required("attempted_at", UtcDateTime),
    _required("status", String(32)),
    _required("rows", Integer),
    _required("message", Text),
)

job_state = Table(
    "job_state",
    metadata,
    _key("name", String(255)),
    _required("consecutive_failures", Integer),
    Column("last_failure_at", UtcDateTime),
    Column("last_success_at", UtcDateTime),
    Column("next_attempt_at", UtcDateTime),
    _required("detail", Text),
)

# ---------------------------------------------------------------- days of metrics

interval_day = Table(
    "interval_day",
    metadata,
    _key("day", Date),
    _required("created_at", UtcDateTime),
    _required("longest_us", BigInteger),
    _required("late_writes", Integer),
)

archive_segment = Table(
    "archive_segment",
    metadata,
    _key("day", Date),
    _required("location", Text),
    _required("rows", BigInteger),
    _required("bytes", BigInteger),
    _required("sha256", String(64)),
    _required("sealed_at", UtcDateTime),
)

hourly_rollup = Table(
    "hourly_rollup",
    metadata,
    _key("database_id", Integer),
    _key("hour_start_us", BigInteger),
    _key("query_hash", BigInteger),
    _key("plan_hash", BigInteger),
    _required("intervals", Integer),
    *(Column(name, Float) for name in (*COUNTERS, *EXTREMA)),
    Index(None, "hour_start_us"),
)

# ---------------------------------------------------------------- verdicts

baseline = Table(
    "baseline",
    metadata,
    _key("layout", String(64)),
    _key("database_id", Integer),
    _key("query_hash", BigInteger),
    _key("as_of", UtcDateTime),
    _required("active_intervals", BigInteger),
    *(Column(name, Float) for name in BASELINE_COLUMNS[3:]),
    _required("parameters", LargeBinary),
)

incident = Table(
    "incident",
    metadata,
    _key("incident_id", String(64)),
    _required("scope", String(32)),
    _required("instance", String(255)),
    _required("database", String(255)),
    _required("query_hash", BigInteger),
    _required("state", String(32)),
    _required("label", String(32)),
    _required("severity", String(32)),
    _required("metric", String(64)),
    _required("plan_hash", BigInteger),
    _required("previous_plan_hash", BigInteger),
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
    _required("began_at", UtcDateTime),
    _required("opened_at", UtcDateTime),
    _required("updated_at", UtcDateTime),
    _required("last_bad_at", UtcDateTime),
    Column("calm_since", UtcDateTime),
    _required("calm_intervals", Integer),
    Column("closed_at", UtcDateTime),
    _required("reopened_count", Integer),
    _required("evidence", JsonText),
    _required("note", Text),
    Index(None, "state", "updated_at"),
    Index(None, "closed_at"),
)

incident_event = Table(
    "incident_event",
    metadata,
    Column("incident_id", String(64), ForeignKey("incident.incident_id"), primary_key=True),
    _key("at", UtcDateTime),
    _key("event", String(32)),
    _required("actor", String(255)),
    _required("note", Text),
    _required("severity", String(32)),
    _required("state", String(32)),
    Column("extra_seconds_per_hour", Figure),
)

database_fact = Table(
    "database_fact",
    metadata,
    _key("database_id", Integer),
    _key("name", String(255)),
    _key("seen_at", UtcDateTime),
    _required("value", Text),
)

plan_change = Table(
    "plan_change",
    metadata,
    _key("database_id", Integer),
    _key("query_hash", BigInteger),
    _key("changed_at", UtcDateTime),
    _key("plan_hash", BigInteger),
    _required("previous_plan_hash", BigInteger),
    _required("summary", Text),
    Index(None, "changed_at"),
)

hotspot = Table(
    "hotspot",
    metadata,
    _key("window_end", UtcDateTime),
    _key("window_start", UtcDateTime),
    _key("rank_by", String(64)),
    _key("rank", Integer),
    _required("database_id", Integer),
    _required("query_hash", BigInteger),
    Column("execution_count", Figure),
    Column("elapsed_time_us", Figure),
    Column("worker_time_us", Figure),
    Column("logical_reads_pages", Figure),
    Column("share", Figure),
)

# ---------------------------------------------------------------- figures of users

kpi_state = Table(
    "kpi_state",
    metadata,
    _key("name", String(64)),
    Column("started_at", UtcDateTime),
    Column("leased_until", UtcDateTime),
    _required("trouble", String(32)),
    Column("began_at", UtcDateTime),
    _required("calm", Integer),
    _required("errors", Integer),
    _required("escalated", Boolean),
)

kpi_result = Table(
    "kpi_result",
    metadata,
    _key("name", String(64)),
    _key("started_at", UtcDateTime),
    _required("duration_ms", Float),
    _required("state", String(32)),
    Column("value", Figure),
    Column("normal", Figure),
    _required("message", Text),
    Index(None, "started_at"),
)

# ---------------------------------------------------------------- people

alert = Table(
    "alert",
    metadata,
    _key("alert_id", String(128)),
    _required("incident_id", String(64)),
    _required("event", String(32)),
    _required("channel", String(255)),
    _required("severity", String(32)),
    _required("created_at", UtcDateTime),
    _required("subject", Text),
    _required("body", Text),
    _required("facts", JsonText),
    _required("state", String(32)),
    _required("attempts", Integer),
    _required("queued_at", UtcDateTime),
    Column("next_attempt_at", UtcDateTime),
    Column("claimed_by", String(64)),
    Column("claimed_until", UtcDateTime),
    Column("ended_at", UtcDateTime),
    _required("instance", String(255)),
    Column("decided_at", UtcDateTime),
    _required("rule", String(32)),
    _required("reason", Text),
    Column("grouped_into", String(128)),
    Index(None, "state", "next_attempt_at"),
    Index(None, "state", "channel", "created_at"),
    Index(None, "created_at"),
    Index(None, "incident_id", "channel"),
    Index(None, "channel", "decided_at"),
    Index(None, "grouped_into"),
)

mute_rule = Table(
    "mute_rule",
    metadata,
    _key("mute_id", String(64)),
    _required("instance", String(255)),
    _required("database", String(255)),
    _required("query_hash", BigInteger),
    _required("label", String(32)),
    _required("text", Text),
    _required("created_at", UtcDateTime),
    _required("created_by", String(255)),
    _required("reason", Text),
    Column("expires_at", UtcDateTime),
    Column("removed_at", UtcDateTime),
)

maintenance_window = Table(
    "maintenance_window",
    metadata,
    _key("window_id", String(64)),
    _required("instance", String(255)),
    _required("database", String(255)),
    _required("weekdays", String(32)),
    _required("starts", String(5)),
    _required("ends", String(5)),
    _required("time_zone", String(64)),
    _required("created_at", UtcDateTime),
    _required("created_by", String(255)),
    _required("reason", Text),
    Column("removed_at", UtcDateTime),
)

alert_delivery = Table(
    "alert_delivery",
    metadata,
    Column("alert_id", String(128), ForeignKey("alert.alert_id"), primary_key=True),
    _key("attempted_at", UtcDateTime),
    _required("succeeded", Boolean),
    _required("error", Text),
    Column("next_attempt_at", UtcDateTime),
)

suggestion = Table(
    "suggestion",
    metadata,
    _key("suggestion_id", String(128)),
    _required("incident_id", String(64)),
    _required("kind", String(64)),
    _required("risk", String(32)),
    _required("rationale", Text),
    _required("script", Text),
    _required("undo_script", Text),
    _required("created_at", UtcDateTime),
    Index(None, "incident_id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", _LogId, primary_key=True),
    _required("at", UtcDateTime),
    _required("actor", String(255)),
    _required("action", String(64)),
    _required("subject", String(255)),
    _required("detail", JsonText),
    Index(None, "at"),
    Index(None, "action", "subject"),
)

# ---------------------------------------------------------------- retention

expiry_mark = Table(
    "expiry_mark",
    metadata,
    _key("subject", String(64)),
    _key("before", UtcDateTime),
    _required("marked_at", UtcDateTime),
    _required("rows", BigInteger),
)
