"""The views of Query Store, for `sqlserver_catalog.py`."""

from dbplanmon_pipeline_tests.support.sqlserver_columns import (
    V2016,
    V2017,
    V2019,
    V2022,
    V2025,
    Columns,
    columns,
    merged,
    runtime_metric,
)

_REPLICA_GROUP = "replica_group_id bigint"

QUERY_STORE: dict[str, Columns] = {
    "sys.query_store_query_text": columns(
        V2016,
        "query_text_id bigint, query_sql_text nvarchar(max) null, statement_sql_handle varbinary(64) null, "
        "is_part_of_encrypted_module bit, has_restricted_text bit",
    ),
    "sys.query_store_query": columns(
        V2016,
        "query_id bigint, query_text_id bigint, context_settings_id bigint, object_id bigint null, "
        "batch_sql_handle varbinary(64) null, query_hash binary(8), is_internal_query bit, "
        "query_parameterization_type tinyint, query_parameterization_type_desc nvarchar(60) null, "
        "initial_compile_start_time datetimeoffset, last_compile_start_time datetimeoffset null, "
        "last_execution_time datetimeoffset null, last_compile_batch_sql_handle varbinary(64) null, "
        "last_compile_batch_offset_start bigint null, last_compile_batch_offset_end bigint null, "
        "count_compiles bigint null, avg_compile_duration float null, last_compile_duration bigint null, "
        "avg_bind_duration float null, last_bind_duration bigint null, avg_bind_cpu_time float null, "
        "last_bind_cpu_time bigint null, avg_optimize_duration float null, last_optimize_duration bigint null, "
        "avg_optimize_cpu_time float null, last_optimize_cpu_time bigint null, avg_compile_memory_kb float null, "
        "last_compile_memory_kb bigint null, max_compile_memory_kb bigint null, is_clouddb_internal_query bit null",
    ),
    "sys.query_store_plan": merged(
        columns(
            V2016,
            "plan_id bigint, query_id bigint, plan_group_id bigint null, engine_version nvarchar(32) null, "
            "compatibility_level smallint, query_plan_hash binary(8), query_plan nvarchar(max) null, "
            "is_online_index_plan bit, is_trivial_plan bit, is_parallel_plan bit, is_forced_plan bit, "
            "is_natively_compiled bit, force_failure_count bigint, last_force_failure_reason int, "
            "last_force_failure_reason_desc nvarchar(128) null, count_compiles bigint null, "
            "initial_compile_start_time datetimeoffset, last_compile_start_time datetimeoffset null, "
            "last_execution_time datetimeoffset null, avg_compile_duration float null, "
            "last_compile_duration bigint null",
        ),
        columns(V2017, "plan_forcing_type int, plan_forcing_type_desc nvarchar(60) null"),
        columns(
            V2022,
            "has_compile_replay_script bit, is_optimized_plan_forcing_disabled bit, plan_type int, "
            "plan_type_desc nvarchar(60) null",
        ),
    ),
    "sys.query_store_runtime_stats_interval": columns(
        V2016,
        "runtime_stats_interval_id bigint, start_time datetimeoffset, end_time datetimeoffset, "
        "comment nvarchar(max) null",
    ),
    "sys.query_store_runtime_stats": merged(
        columns(
            V2016,
            "runtime_stats_id bigint, plan_id bigint, runtime_stats_interval_id bigint, execution_type tinyint, "
            "execution_type_desc nvarchar(60) null, first_execution_time datetimeoffset, "
            "last_execution_time datetimeoffset, count_executions bigint",
        ),
        *(
            runtime_metric(name, V2016, since_null=False)
            for name in (
                *("duration", "cpu_time", "logical_io_reads", "logical_io_writes", "physical_io_reads", "clr_time"),
                *("dop", "query_max_used_memory", "rowcount"),
            )
        ),
        *(
            runtime_metric(name, V2017, since_null=True)
            for name in ("num_physical_io_reads", "log_bytes_used", "tempdb_space_used")
        ),
        runtime_metric("page_server_io_reads", V2022, since_null=True),
        columns(V2022, _REPLICA_GROUP),
    ),
    "sys.query_store_wait_stats": merged(
        columns(
            V2017,
            "wait_stats_id bigint, plan_id bigint, runtime_stats_interval_id bigint, wait_category smallint, "
            "wait_category_desc nvarchar(60) null, execution_type tinyint, execution_type_desc nvarchar(60) null, "
            "total_query_wait_time_ms bigint, avg_query_wait_time_ms float null, last_query_wait_time_ms bigint, "
            "min_query_wait_time_ms bigint, max_query_wait_time_ms bigint, stdev_query_wait_time_ms float null",
        ),
        columns(V2022, _REPLICA_GROUP),
    ),
    "sys.query_store_query_hints": merged(
        columns(
            V2022,
            "query_hint_id bigint, query_id bigint, query_hint_text nvarchar(max) null, "
            "last_query_hint_failure_reason int, last_query_hint_failure_reason_desc nvarchar(128) null, "
            "query_hint_failure_count bigint, source int null, source_desc nvarchar(128) null, "
            "comment nvarchar(max) null",
        ),
        columns(V2025, _REPLICA_GROUP),
    ),
    "sys.query_store_query_variant": columns(
        V2022, "query_variant_query_id bigint, parent_query_id bigint, dispatcher_plan_id bigint"
    ),
    "sys.query_store_plan_feedback": merged(
        columns(
            V2022,
            "plan_feedback_id bigint, plan_id bigint, feature_id tinyint, feature_desc nvarchar(60) null, "
            "feedback_data nvarchar(max) null, state int null, state_desc nvarchar(60) null, "
            "create_time datetimeoffset, last_updated_time datetimeoffset null",
        ),
        columns(V2025, _REPLICA_GROUP),
    ),
    "sys.query_store_replicas": merged(
        columns(V2022, "replica_group_id bigint, replica_name nvarchar(644) null"),
        columns(V2025, "role_type smallint"),
    ),
    "sys.query_store_plan_forcing_locations": columns(
        V2025,
        "plan_forcing_location_id bigint, query_id bigint, plan_id bigint, replica_group_id bigint, "
        "timestamp datetime, plan_forcing_type int, plan_forcing_type_desc nvarchar(60) null",
    ),
    "sys.database_query_store_options": merged(
        columns(
            V2016,
            "desired_state smallint, desired_state_desc nvarchar(60) null, actual_state smallint, "
            "actual_state_desc nvarchar(60) null, readonly_reason int null, current_storage_size_mb bigint null, "
            "flush_interval_seconds bigint null, interval_length_minutes bigint null, max_storage_size_mb bigint null, "
            "stale_query_threshold_days bigint null, max_plans_per_query bigint null, query_capture_mode smallint, "
            "query_capture_mode_desc nvarchar(60) null, size_based_cleanup_mode smallint, "
            "size_based_cleanup_mode_desc nvarchar(60) null, actual_state_additional_info nvarchar(4000) null",
        ),
        columns(V2017, "wait_stats_capture_mode smallint, wait_stats_capture_mode_desc nvarchar(60) null"),
        columns(
            V2019,
            "capture_policy_execution_count int null, capture_policy_total_compile_cpu_time_ms bigint null, "
            "capture_policy_total_execution_cpu_time_ms bigint null, capture_policy_stale_threshold_hours int null",
        ),
    ),
}
