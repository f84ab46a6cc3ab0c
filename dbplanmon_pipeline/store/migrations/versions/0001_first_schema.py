"""First schema: targets, statements, plans, metrics, verdicts, alerts and the audit."""

import sqlalchemy as sa
from alembic import op

from dbplanmon_pipeline.store.intervals.days import column_ddl

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

UTC_TIME = sa.DateTime(timezone=True)


def _create_monitored_database() -> None:
    op.create_table(
        "monitored_database",
        sa.Column("database_id", sa.Integer(), nullable=False),
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("database", sa.String(length=255), nullable=False),
        sa.Column("engine", sa.String(length=32), nullable=False),
        sa.Column("first_seen", UTC_TIME, nullable=False),
        sa.Column("recorded_from_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("database_id", name=op.f("pk_monitored_database")),
        sa.UniqueConstraint("instance", "database", name=op.f("uq_monitored_database_instance")),
    )


def _create_query_text() -> None:
    op.create_table(
        "query_text",
        sa.Column("text_sha256", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("text_sha256", name=op.f("pk_query_text")),
    )


def _create_query() -> None:
    op.create_table(
        "query",
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("query_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("current_plan_hash", sa.BigInteger(), nullable=False),
        sa.Column("plan_checked_at", UTC_TIME, nullable=True),
        sa.Column("plan_origin", sa.String(length=32), nullable=False),
        sa.Column("plan_reason", sa.Text(), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=True),
        sa.Column("first_seen", UTC_TIME, nullable=False),
        sa.Column("last_seen", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("database_id", "query_hash", name=op.f("pk_query")),
    )
    op.create_index(op.f("ix_query_current_plan_hash"), "query", ["current_plan_hash"], unique=False)
    op.create_index(op.f("ix_query_text_sha256"), "query", ["text_sha256"], unique=False)


def _create_plan() -> None:
    op.create_table(
        "plan",
        sa.Column("plan_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("query_hash", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("origin", sa.String(length=32), nullable=False),
        sa.Column("body_zstd", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("first_seen", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("plan_hash", name=op.f("pk_plan")),
    )


def _create_plan_observation() -> None:
    op.create_table(
        "plan_observation",
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("query_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("plan_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_seen", UTC_TIME, nullable=False),
        sa.Column("last_seen", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("database_id", "query_hash", "plan_hash", name=op.f("pk_plan_observation")),
    )
    op.create_index(op.f("ix_plan_observation_plan_hash"), "plan_observation", ["plan_hash"], unique=False)


def _create_counter_state() -> None:
    op.create_table(
        "counter_state",
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("read_at", UTC_TIME, nullable=True),
        sa.Column("newest_end_us", sa.BigInteger(), nullable=True),
        sa.Column("counters", sa.Integer(), nullable=False),
        sa.Column("covers_from_us", sa.BigInteger(), nullable=True),
        sa.Column("next_from_us", sa.BigInteger(), nullable=True),
        sa.Column("body_zstd", sa.LargeBinary(), nullable=True),
        sa.Column("body_digest", sa.LargeBinary(), nullable=True),
        sa.Column("sightings", sa.LargeBinary(), nullable=True),
        sa.Column("facts_digest", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("database_id", name=op.f("pk_counter_state")),
    )


def _create_collection_log() -> None:
    op.create_table(
        "collection_log",
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("started_at", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("error_class", sa.String(length=32), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("statements_read", sa.Integer(), nullable=False),
        sa.Column("new_statements", sa.Integer(), nullable=False),
        sa.Column("new_plans", sa.Integer(), nullable=False),
        sa.Column("plan_changes", sa.Integer(), nullable=False),
        sa.Column("resets", sa.Integer(), nullable=False),
        sa.Column("gap_seconds", sa.Float(), nullable=True),
        sa.Column("lag_seconds", sa.Float(), nullable=True),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.Column("cost_ms", sa.Float(), nullable=True),
        sa.Column("recorded_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("database_id", "started_at", name=op.f("pk_collection_log")),
    )
    op.create_index(op.f("ix_collection_log_started_at"), "collection_log", ["started_at"], unique=False)
    op.create_index(op.f("ix_collection_log_recorded_at"), "collection_log", ["recorded_at"], unique=False)


def _create_history_import() -> None:
    op.create_table(
        "history_import",
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), autoincrement=False, nullable=False),
        sa.Column("attempted_at", UTC_TIME, nullable=False),
        sa.Column("status", sa.String(length=32), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("database_id", "day", name=op.f("pk_history_import")),
    )


def _create_job_state() -> None:
    op.create_table(
        "job_state",
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=False),
        sa.Column("consecutive_failures", sa.Integer(), nullable=False),
        sa.Column("last_failure_at", UTC_TIME, nullable=True),
        sa.Column("last_success_at", UTC_TIME, nullable=True),
        sa.Column("next_attempt_at", UTC_TIME, nullable=True),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_state")),
    )


def _create_interval_day() -> None:
    op.create_table(
        "interval_day",
        sa.Column("day", sa.Date(), autoincrement=False, nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("longest_us", sa.BigInteger(), nullable=False),
        sa.Column("late_writes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_interval_day")),
    )


def _create_archive_segment() -> None:
    op.create_table(
        "archive_segment",
        sa.Column("day", sa.Date(), autoincrement=False, nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("sealed_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_archive_segment")),
    )


def _create_hourly_rollup() -> None:
    op.create_table(
        "hourly_rollup",
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hour_start_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("query_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("plan_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("intervals", sa.Integer(), nullable=False),
        sa.Column("execution_count", sa.Float(), nullable=True),
        sa.Column("elapsed_time_us", sa.Float(), nullable=True),
        sa.Column("elapsed_time_us_sumsq", sa.Float(), nullable=True),
        sa.Column("worker_time_us", sa.Float(), nullable=True),
        sa.Column("worker_time_us_sumsq", sa.Float(), nullable=True),
        sa.Column("logical_reads_pages", sa.Float(), nullable=True),
        sa.Column("logical_writes_pages", sa.Float(), nullable=True),
        sa.Column("physical_reads_pages", sa.Float(), nullable=True),
        sa.Column("rows", sa.Float(), nullable=True),
        sa.Column("spill_pages", sa.Float(), nullable=True),
        sa.Column("io_time_us", sa.Float(), nullable=True),
        sa.Column("wait_time_us", sa.Float(), nullable=True),
        sa.Column("aborted_count", sa.Float(), nullable=True),
        sa.Column("exception_count", sa.Float(), nullable=True),
        sa.Column("elapsed_time_us_min", sa.Float(), nullable=True),
        sa.Column("elapsed_time_us_max", sa.Float(), nullable=True),
        sa.Column("worker_time_us_min", sa.Float(), nullable=True),
        sa.Column("worker_time_us_max", sa.Float(), nullable=True),
        sa.Column("memory_grant_kb_max", sa.Float(), nullable=True),
        sa.Column("dop_max", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint(
            "database_id", "hour_start_us", "query_hash", "plan_hash", name=op.f("pk_hourly_rollup")
        ),
    )
    op.create_index(op.f("ix_hourly_rollup_hour_start_us"), "hourly_rollup", ["hour_start_us"], unique=False)


def _create_database_hour() -> None:
    op.create_table(
        "database_hour",
        sa.Column("hour_start_us", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("execution_count", sa.Float(), nullable=True),
        sa.Column("elapsed_time_us", sa.Float(), nullable=True),
        sa.Column("worker_time_us", sa.Float(), nullable=True),
        sa.Column("logical_reads_pages", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("hour_start_us", "database_id", name=op.f("pk_database_hour")),
    )
    op.create_index(
        op.f("ix_database_hour_database_id_hour_start_us"),
        "database_hour",
        ["database_id", "hour_start_us"],
        unique=False,
    )


def _create_baseline() -> None:
    op.create_table(
        "baseline",
        sa.Column("layout", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("query_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("as_of", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("active_intervals", sa.BigInteger(), nullable=False),
        sa.Column("executions_per_hour", sa.Float(), nullable=True),
        sa.Column("elapsed_median_us", sa.Float(), nullable=True),
        sa.Column("elapsed_p95_us", sa.Float(), nullable=True),
        sa.Column("worker_median_us", sa.Float(), nullable=True),
        sa.Column("worker_p95_us", sa.Float(), nullable=True),
        sa.Column("reads_mean_pages", sa.Float(), nullable=True),
        sa.Column("parameters", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("layout", "database_id", "query_hash", "as_of", name=op.f("pk_baseline")),
    )


def _create_incident() -> None:
    op.create_table(
        "incident",
        sa.Column("incident_id", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("scope", sa.String(length=32), nullable=False),
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("database", sa.String(length=255), nullable=False),
        sa.Column("query_hash", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("label", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.String(length=32), nullable=False),
        sa.Column("metric", sa.String(length=64), nullable=False),
        sa.Column("plan_hash", sa.BigInteger(), nullable=False),
        sa.Column("previous_plan_hash", sa.BigInteger(), nullable=False),
        sa.Column("effect_ratio", sa.Float(), nullable=True),
        sa.Column("extra_seconds_per_hour", sa.Float(), nullable=True),
        sa.Column("extra_seconds_low", sa.Float(), nullable=True),
        sa.Column("extra_seconds_high", sa.Float(), nullable=True),
        sa.Column("baseline_us", sa.Float(), nullable=True),
        sa.Column("observed_us", sa.Float(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("began_at", UTC_TIME, nullable=False),
        sa.Column("opened_at", UTC_TIME, nullable=False),
        sa.Column("updated_at", UTC_TIME, nullable=False),
        sa.Column("last_bad_at", UTC_TIME, nullable=False),
        sa.Column("calm_since", UTC_TIME, nullable=True),
        sa.Column("calm_intervals", sa.Integer(), nullable=False),
        sa.Column("closed_at", UTC_TIME, nullable=True),
        sa.Column("reopened_count", sa.Integer(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incident")),
    )
    op.create_index(op.f("ix_incident_closed_at"), "incident", ["closed_at"], unique=False)
    op.create_index(
        op.f("ix_incident_query_hash_instance_database"),
        "incident",
        ["query_hash", "instance", "database"],
        unique=False,
    )
    op.create_index(op.f("ix_incident_state_updated_at"), "incident", ["state", "updated_at"], unique=False)


def _create_incident_event() -> None:
    op.create_table(
        "incident_event",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("at", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("event", sa.String(length=32), autoincrement=False, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("extra_seconds_per_hour", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incident.incident_id"], name=op.f("fk_incident_event_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", "at", "event", name=op.f("pk_incident_event")),
    )


def _create_database_fact() -> None:
    op.create_table(
        "database_fact",
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), autoincrement=False, nullable=False),
        sa.Column("seen_at", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("database_id", "name", "seen_at", name=op.f("pk_database_fact")),
    )


def _create_plan_change() -> None:
    op.create_table(
        "plan_change",
        sa.Column("database_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("query_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("changed_at", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("plan_hash", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("previous_plan_hash", sa.BigInteger(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("database_id", "query_hash", "changed_at", "plan_hash", name=op.f("pk_plan_change")),
    )
    op.create_index(op.f("ix_plan_change_changed_at"), "plan_change", ["changed_at"], unique=False)


def _create_hotspot() -> None:
    op.create_table(
        "hotspot",
        sa.Column("window_end", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("window_start", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("rank_by", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("database_id", sa.Integer(), nullable=False),
        sa.Column("query_hash", sa.BigInteger(), nullable=False),
        sa.Column("execution_count", sa.Float(), nullable=True),
        sa.Column("elapsed_time_us", sa.Float(), nullable=True),
        sa.Column("worker_time_us", sa.Float(), nullable=True),
        sa.Column("logical_reads_pages", sa.Float(), nullable=True),
        sa.Column("share", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("window_end", "window_start", "rank_by", "rank", name=op.f("pk_hotspot")),
    )


def _create_alert() -> None:
    op.create_table(
        "alert",
        sa.Column("alert_id", sa.String(length=128), autoincrement=False, nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("severity", sa.String(length=32), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_at", UTC_TIME, nullable=False),
        sa.Column("next_attempt_at", UTC_TIME, nullable=True),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", UTC_TIME, nullable=True),
        sa.Column("ended_at", UTC_TIME, nullable=True),
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("decided_at", UTC_TIME, nullable=True),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("grouped_into", sa.String(length=128), nullable=True),
        sa.Column("tracked_as", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_alert")),
    )
    op.create_index(op.f("ix_alert_channel_decided_at"), "alert", ["channel", "decided_at"], unique=False)
    op.create_index(op.f("ix_alert_created_at"), "alert", ["created_at"], unique=False)
    op.create_index(op.f("ix_alert_grouped_into"), "alert", ["grouped_into"], unique=False)
    op.create_index(op.f("ix_alert_incident_id_channel"), "alert", ["incident_id", "channel"], unique=False)
    op.create_index(
        op.f("ix_alert_state_channel_created_at"), "alert", ["state", "channel", "created_at"], unique=False
    )
    op.create_index(op.f("ix_alert_state_next_attempt_at"), "alert", ["state", "next_attempt_at"], unique=False)
    is_tracked = sa.text("tracked_as IS NOT NULL")
    op.create_index(
        op.f("ix_alert_tracked_as"),
        "alert",
        ["tracked_as"],
        unique=False,
        sqlite_where=is_tracked,
        postgresql_where=is_tracked,
    )


def _create_mute_rule() -> None:
    op.create_table(
        "mute_rule",
        sa.Column("mute_id", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("database", sa.String(length=255), nullable=False),
        sa.Column("query_hash", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.String(length=32), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires_at", UTC_TIME, nullable=True),
        sa.Column("removed_at", UTC_TIME, nullable=True),
        sa.PrimaryKeyConstraint("mute_id", name=op.f("pk_mute_rule")),
    )


def _create_maintenance_window() -> None:
    op.create_table(
        "maintenance_window",
        sa.Column("window_id", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("instance", sa.String(length=255), nullable=False),
        sa.Column("database", sa.String(length=255), nullable=False),
        sa.Column("weekdays", sa.String(length=32), nullable=False),
        sa.Column("starts", sa.String(length=5), nullable=False),
        sa.Column("ends", sa.String(length=5), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("removed_at", UTC_TIME, nullable=True),
        sa.PrimaryKeyConstraint("window_id", name=op.f("pk_maintenance_window")),
    )


def _create_alert_delivery() -> None:
    op.create_table(
        "alert_delivery",
        sa.Column("alert_id", sa.String(length=128), nullable=False),
        sa.Column("attempted_at", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("succeeded", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("next_attempt_at", UTC_TIME, nullable=True),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.alert_id"], name=op.f("fk_alert_delivery_alert_id")),
        sa.PrimaryKeyConstraint("alert_id", "attempted_at", name=op.f("pk_alert_delivery")),
    )
    op.create_index(op.f("ix_alert_delivery_attempted_at"), "alert_delivery", ["attempted_at"], unique=False)


def _create_suggestion() -> None:
    op.create_table(
        "suggestion",
        sa.Column("suggestion_id", sa.String(length=128), autoincrement=False, nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("risk", sa.String(length=32), nullable=False),
        sa.Column("rationale", sa.Text(), nullable=False),
        sa.Column("script", sa.Text(), nullable=False),
        sa.Column("undo_script", sa.Text(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.PrimaryKeyConstraint("suggestion_id", name=op.f("pk_suggestion")),
    )
    op.create_index(op.f("ix_suggestion_incident_id"), "suggestion", ["incident_id"], unique=False)


def _create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("audit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", UTC_TIME, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"], unique=False)
    op.create_index(op.f("ix_audit_log_action_subject"), "audit_log", ["action", "subject"], unique=False)


def _create_access_token() -> None:
    op.create_table(
        "access_token",
        sa.Column("token_id", sa.String(length=16), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UTC_TIME, nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("expires_at", UTC_TIME, nullable=True),
        sa.Column("revoked_at", UTC_TIME, nullable=True),
        sa.Column("last_used_on", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name=op.f("pk_access_token")),
    )
    in_force = sa.text("revoked_at IS NULL")
    op.create_index(
        op.f("uq_access_token_name"),
        "access_token",
        ["name"],
        unique=True,
        sqlite_where=in_force,
        postgresql_where=in_force,
    )


def _create_access_login() -> None:
    op.create_table(
        "access_login",
        sa.Column("login_id", sa.String(length=16), autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("token_id", sa.String(length=16), nullable=False),
        sa.Column("expires_at", UTC_TIME, nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["access_token.token_id"], name=op.f("fk_access_login_token_id")),
        sa.PrimaryKeyConstraint("login_id", name=op.f("pk_access_login")),
    )
    op.create_index(op.f("ix_access_login_token_id"), "access_login", ["token_id"], unique=False)


def _create_expiry_mark() -> None:
    op.create_table(
        "expiry_mark",
        sa.Column("subject", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("before", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("marked_at", UTC_TIME, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "before", name=op.f("pk_expiry_mark")),
    )


def _create_kpi_state() -> None:
    op.create_table(
        "kpi_state",
        sa.Column("name", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("started_at", UTC_TIME, nullable=True),
        sa.Column("leased_until", UTC_TIME, nullable=True),
        sa.Column("trouble", sa.String(length=32), nullable=False),
        sa.Column("began_at", UTC_TIME, nullable=True),
        sa.Column("calm", sa.Integer(), nullable=False),
        sa.Column("errors", sa.Integer(), nullable=False),
        sa.Column("escalated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_kpi_state")),
    )


def _create_kpi_result() -> None:
    op.create_table(
        "kpi_result",
        sa.Column("name", sa.String(length=64), autoincrement=False, nullable=False),
        sa.Column("started_at", UTC_TIME, autoincrement=False, nullable=False),
        sa.Column("duration_ms", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("normal", sa.Float(), nullable=True),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "started_at", name=op.f("pk_kpi_result")),
    )
    op.create_index(op.f("ix_kpi_result_started_at"), "kpi_result", ["started_at"], unique=False)


_TABLES = (
    "monitored_database",
    "query_text",
    "query",
    "plan",
    "plan_observation",
    "counter_state",
    "collection_log",
    "history_import",
    "job_state",
    "interval_day",
    "archive_segment",
    "hourly_rollup",
    "database_hour",
    "baseline",
    "incident",
    "incident_event",
    "database_fact",
    "plan_change",
    "hotspot",
    "kpi_state",
    "kpi_result",
    "alert",
    "alert_delivery",
    "mute_rule",
    "maintenance_window",
    "suggestion",
    "audit_log",
    "access_token",
    "access_login",
    "expiry_mark",
)
_AUDIT_DAYS = 365
_REFUSE = "audit_log is append-only"
# An entry may go once it is a year old and a later entry, `audit_purge` with the limit as its subject, says so.
_NO_UPDATE = f"""
CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, '{_REFUSE}'); END
"""
_NO_DELETE = f"""
CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log
WHEN OLD.at >= datetime('now', '-{_AUDIT_DAYS} days')
  OR NOT EXISTS (SELECT 1 FROM audit_log p WHERE p.action = 'audit_purge' AND p.subject > OLD.at)
BEGIN SELECT RAISE(ABORT, '{_REFUSE}'); END
"""  # noqa: S608 - our own words
_REFUSE_CHANGE = f"""
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '{_REFUSE}'; END $$
"""
_REFUSE_REMOVAL = f"""
CREATE FUNCTION refuse_audit_removal() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN
  IF OLD.at >= now() - interval '{_AUDIT_DAYS} days' OR NOT EXISTS (
    SELECT 1 FROM audit_log p
    WHERE p.action = 'audit_purge' AND p.subject > to_char(OLD.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
  ) THEN RAISE EXCEPTION '{_REFUSE}'; END IF;
  RETURN OLD;
END $$
"""  # noqa: S608 - our own words
_GUARD_CHANGE = """
CREATE TRIGGER audit_log_guard BEFORE UPDATE OR TRUNCATE ON audit_log
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
"""
_GUARD_REMOVAL = """
CREATE TRIGGER audit_log_removal_guard BEFORE DELETE ON audit_log
FOR EACH ROW EXECUTE FUNCTION refuse_audit_removal()
"""
_SQLITE_GUARDS = (_NO_UPDATE, _NO_DELETE)
_POSTGRES_GUARDS = (_REFUSE_CHANGE, _REFUSE_REMOVAL, _GUARD_CHANGE, _GUARD_REMOVAL)


def upgrade() -> None:
    """Create every table, the partitioned metrics on PostgreSQL, and the guard of the audit."""
    for create in (
        _create_monitored_database,
        _create_query_text,
        _create_query,
        _create_plan,
        _create_plan_observation,
        _create_counter_state,
        _create_collection_log,
        _create_history_import,
        _create_job_state,
        _create_interval_day,
        _create_archive_segment,
        _create_hourly_rollup,
        _create_database_hour,
        _create_baseline,
        _create_incident,
        _create_incident_event,
        _create_database_fact,
        _create_plan_change,
        _create_hotspot,
        _create_kpi_state,
        _create_kpi_result,
        _create_alert,
        _create_alert_delivery,
        _create_mute_rule,
        _create_maintenance_window,
        _create_suggestion,
        _create_audit_log,
        _create_access_token,
        _create_access_login,
        _create_expiry_mark,
    ):
        create()
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute(
            f"CREATE TABLE interval_metric ({column_ddl(connection.dialect)}) PARTITION BY RANGE (interval_end_us)"
        )
    for guard in _POSTGRES_GUARDS if connection.dialect.name == "postgresql" else _SQLITE_GUARDS:
        connection.exec_driver_sql(guard)


def downgrade() -> None:
    """Remove every table, hot days included."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute("DROP TABLE interval_metric")
    else:
        for (day,) in connection.execute(sa.text("SELECT day FROM interval_day")).all():
            op.execute(f"DROP TABLE interval_metric_{day.replace('-', '')}")
    for name in reversed(_TABLES):
        op.drop_table(name)
    if connection.dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_audit_change()")
        op.execute("DROP FUNCTION refuse_audit_removal()")
