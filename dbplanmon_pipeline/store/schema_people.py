"""Tables of what people configure, are told and do: KPIs, alerts, rules, suggestions, audit, access, what expired."""

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
    String,
    Table,
    Text,
    text,
)

from dbplanmon_pipeline.store.table_columns import LOG_ID, key, metadata, required
from dbplanmon_pipeline.store.types import Figure, JsonText, UtcDateTime

# ---------------------------------------------------------------- figures of users

kpi_state = Table(
    "kpi_state",
    metadata,
    key("name", String(64)),
    Column("started_at", UtcDateTime),
    Column("leased_until", UtcDateTime),
    required("trouble", String(32)),
    Column("began_at", UtcDateTime),
    required("calm", Integer),
    required("errors", Integer),
    required("escalated", Boolean),
)

kpi_result = Table(
    "kpi_result",
    metadata,
    key("name", String(64)),
    key("started_at", UtcDateTime),
    required("duration_ms", Float),
    required("state", String(32)),
    Column("value", Figure),
    Column("normal", Figure),
    required("message", Text),
    Index(None, "started_at"),
)

# ---------------------------------------------------------------- people

alert = Table(
    "alert",
    metadata,
    key("alert_id", String(128)),
    required("incident_id", String(64)),
    required("event", String(32)),
    required("channel", String(255)),
    required("severity", String(32)),
    required("created_at", UtcDateTime),
    required("subject", Text),
    required("body", Text),
    required("facts", JsonText),
    required("state", String(32)),
    required("attempts", Integer),
    required("queued_at", UtcDateTime),
    Column("next_attempt_at", UtcDateTime),
    Column("claimed_by", String(64)),
    Column("claimed_until", UtcDateTime),
    Column("ended_at", UtcDateTime),
    required("instance", String(255)),
    Column("decided_at", UtcDateTime),
    required("rule", String(32)),
    required("reason", Text),
    Column("grouped_into", String(128)),
    Column("tracked_as", String(64)),
    Index(None, "state", "next_attempt_at"),
    Index(None, "state", "channel", "created_at"),
    Index(None, "created_at"),
    Index(None, "incident_id", "channel"),
    Index(None, "channel", "decided_at"),
    Index(None, "grouped_into"),
    Index(
        None,
        "tracked_as",
        sqlite_where=text("tracked_as IS NOT NULL"),
        postgresql_where=text("tracked_as IS NOT NULL"),
    ),
)

mute_rule = Table(
    "mute_rule",
    metadata,
    key("mute_id", String(64)),
    required("instance", String(255)),
    required("database", String(255)),
    required("query_hash", BigInteger),
    required("label", String(32)),
    required("text", Text),
    required("created_at", UtcDateTime),
    required("created_by", String(255)),
    required("reason", Text),
    Column("expires_at", UtcDateTime),
    Column("removed_at", UtcDateTime),
)

maintenance_window = Table(
    "maintenance_window",
    metadata,
    key("window_id", String(64)),
    required("instance", String(255)),
    required("database", String(255)),
    required("weekdays", String(32)),
    required("starts", String(5)),
    required("ends", String(5)),
    required("time_zone", String(64)),
    required("created_at", UtcDateTime),
    required("created_by", String(255)),
    required("reason", Text),
    Column("removed_at", UtcDateTime),
)

alert_delivery = Table(
    "alert_delivery",
    metadata,
    Column("alert_id", String(128), ForeignKey("alert.alert_id"), primary_key=True),
    key("attempted_at", UtcDateTime),
    required("succeeded", Boolean),
    required("error", Text),
    Column("next_attempt_at", UtcDateTime),
    Index(None, "attempted_at"),
)

suggestion = Table(
    "suggestion",
    metadata,
    key("suggestion_id", String(128)),
    required("incident_id", String(64)),
    required("kind", String(64)),
    required("risk", String(32)),
    required("rationale", Text),
    required("script", Text),
    required("undo_script", Text),
    required("created_at", UtcDateTime),
    Index(None, "incident_id"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("audit_id", LOG_ID, primary_key=True),
    required("at", UtcDateTime),
    required("actor", String(255)),
    required("action", String(64)),
    required("subject", String(255)),
    required("detail", JsonText),
    Index(None, "at"),
    Index(None, "action", "subject"),
)

deployment = Table(
    "deployment",
    metadata,
    key("deployment_id", String(64)),
    required("name", String(255)),
    required("instance", String(255)),
    required("database", String(255)),
    required("deployed_at", UtcDateTime),
    required("note", Text),
    required("created_at", UtcDateTime),
    required("created_by", String(255)),
    Index(None, "deployed_at"),
)

# ---------------------------------------------------------------- access

access_token = Table(
    "access_token",
    metadata,
    key("token_id", String(16)),
    required("name", String(64)),
    required("role", String(32)),
    required("digest", LargeBinary),
    required("created_at", UtcDateTime),
    required("created_by", String(255)),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_on", Date),
    Index(
        "uq_access_token_name",
        "name",
        unique=True,
        sqlite_where=text("revoked_at IS NULL"),
        postgresql_where=text("revoked_at IS NULL"),
    ),
)

access_login = Table(
    "access_login",
    metadata,
    key("login_id", String(16)),
    required("digest", LargeBinary),
    Column("token_id", String(16), ForeignKey("access_token.token_id"), nullable=False),
    required("expires_at", UtcDateTime),
    Index(None, "token_id"),
)

# ---------------------------------------------------------------- retention

expiry_mark = Table(
    "expiry_mark",
    metadata,
    key("subject", String(64)),
    key("before", UtcDateTime),
    required("marked_at", UtcDateTime),
    required("rows", BigInteger),
)
