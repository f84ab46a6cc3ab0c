"""Columns of the system views and functions of SQL Server that the monitor may read: type, first version, NULLs.

Taken from the public documentation, in the order of the views. What the documentation leaves unclear is left out, and a
column whose first version is not certain is given the later one. `V2017` means its third cumulative update or newer:
that is when it got what 2016 has since its second service pack. `AZURE` is Azure SQL Database, whose version number
says nothing (it is 12 for ever); Managed Instance has the columns of 2022, and newer ones as they come.
"""

from collections.abc import Mapping

from dbplanmon_pipeline_tests.support.sqlserver_columns import (
    AZURE,
    V2016,
    V2016_SP2,
    V2017,
    V2022,
    Column,
    Columns,
    columns,
    life_metric,
    merged,
)
from dbplanmon_pipeline_tests.support.sqlserver_query_store_catalog import QUERY_STORE

_SQL_TEXT = "dbid smallint null, objectid int null, number smallint null, encrypted bit"

_CATALOG: dict[str, Columns] = {
    "sys.databases": columns(
        V2016,
        "name nvarchar(128), database_id int, source_database_id int null, owner_sid varbinary(85) null, "
        "create_date datetime, compatibility_level tinyint, collation_name nvarchar(128) null, "
        "user_access tinyint null, user_access_desc nvarchar(60) null, is_read_only bit null, is_auto_close_on bit, "
        "is_auto_shrink_on bit null, state tinyint null, state_desc nvarchar(60) null, is_in_standby bit null, "
        "snapshot_isolation_state tinyint null, snapshot_isolation_state_desc nvarchar(60) null, "
        "is_read_committed_snapshot_on bit null, recovery_model tinyint null, recovery_model_desc nvarchar(60) null, "
        "is_auto_create_stats_on bit null, is_auto_update_stats_on bit null, "
        "is_auto_update_stats_async_on bit null, is_parameterization_forced bit null, "
        "is_query_store_on bit null, is_distributor bit, "
        "service_broker_guid uniqueidentifier, replica_id uniqueidentifier null, "
        "group_database_id uniqueidentifier null",
    ),
    "sys.database_recovery_status": columns(
        V2016,
        "database_id int null, database_guid uniqueidentifier null, family_guid uniqueidentifier null, "
        "last_log_backup_lsn numeric(25,0) null, recovery_fork_guid uniqueidentifier null, "
        "first_recovery_fork_guid uniqueidentifier null, fork_point_lsn numeric(25,0) null",
    ),
    "sys.configurations": columns(
        V2016,
        "configuration_id int, name nvarchar(35), value sql_variant null, minimum sql_variant null, "
        "maximum sql_variant null, value_in_use sql_variant null, description nvarchar(255), is_dynamic bit, "
        "is_advanced bit",
    ),
    "sys.database_scoped_configurations": merged(
        columns(
            V2016,
            "configuration_id int null, name nvarchar(60) null, value sql_variant null, "
            "value_for_secondary sql_variant null",
        ),
        columns(V2017, "is_value_default bit null"),
    ),
    "sys.database_automatic_tuning_options": columns(
        V2017,
        "name nvarchar(128) null, desired_state smallint null, desired_state_desc nvarchar(60) null, "
        "actual_state smallint null, actual_state_desc nvarchar(60) null, reason smallint null, "
        "reason_desc nvarchar(60) null",
    ),
    "sys.database_permissions": columns(
        V2016,
        "class tinyint, class_desc nvarchar(60) null, major_id int, minor_id int, grantee_principal_id int, "
        "grantor_principal_id int, type char(4), permission_name nvarchar(128) null, state char(1), "
        "state_desc nvarchar(60) null",
    ),
    "sys.all_objects": columns(
        V2016,
        "name nvarchar(128), object_id int, principal_id int null, schema_id int, parent_object_id int, type char(2), "
        "type_desc nvarchar(60) null, create_date datetime, modify_date datetime, is_ms_shipped bit",
    ),
    "sys.all_columns": columns(
        V2016,
        "object_id int, name nvarchar(128) null, column_id int, system_type_id tinyint, user_type_id int, "
        "max_length smallint, precision tinyint, scale tinyint, collation_name nvarchar(128) null, "
        "is_nullable bit null",
    ),
    "sys.schemas": columns(V2016, "name nvarchar(128), schema_id int, principal_id int null"),
    "sys.objects": columns(
        V2016,
        "name nvarchar(128), object_id int, principal_id int null, schema_id int, parent_object_id int, type char(2), "
        "type_desc nvarchar(60) null, create_date datetime, modify_date datetime, is_ms_shipped bit",
    ),
    "sys.columns": columns(
        V2016,
        "object_id int, name nvarchar(128) null, column_id int, system_type_id tinyint, user_type_id int, "
        "max_length smallint, precision tinyint, scale tinyint, collation_name nvarchar(128) null, "
        "is_nullable bit null",
    ),
    "sys.indexes": columns(
        V2016,
        "object_id int, name nvarchar(128) null, index_id int, type tinyint, type_desc nvarchar(60) null, "
        "is_unique bit null, data_space_id int null, ignore_dup_key bit null, is_primary_key bit null, "
        "is_unique_constraint bit null, fill_factor tinyint, is_padded bit null, is_disabled bit null, "
        "is_hypothetical bit null, allow_row_locks bit null, allow_page_locks bit null, has_filter bit null, "
        "filter_definition nvarchar(max) null",
    ),
    "sys.index_columns": columns(
        V2016,
        "object_id int, index_id int, index_column_id int, column_id int, key_ordinal tinyint, "
        "partition_ordinal tinyint, is_descending_key bit null, is_included_column bit null",
    ),
    "sys.partitions": columns(
        V2016,
        "partition_id bigint, object_id int, index_id int, partition_number int, hobt_id bigint, rows bigint null, "
        "filestream_filegroup_id smallint, data_compression tinyint, data_compression_desc nvarchar(60) null",
    ),
    "sys.stats": columns(
        V2016,
        "object_id int, name nvarchar(128) null, stats_id int, auto_created bit null, user_created bit null, "
        "no_recompute bit null, has_filter bit null, filter_definition nvarchar(max) null",
    ),
    "sys.dm_db_stats_properties": columns(
        V2016,
        "object_id int, stats_id int, last_updated datetime2 null, rows bigint null, rows_sampled bigint null, "
        "steps int null, unfiltered_rows bigint null, modification_counter bigint null, "
        "persisted_sample_percent float null",
    ),
    "sys.fn_my_permissions": columns(
        V2016,
        "entity_name nvarchar(128) null, subentity_name nvarchar(128) null, permission_name nvarchar(60) null",
    ),
}

_DYNAMIC: dict[str, Columns] = {
    "sys.dm_exec_query_stats": merged(
        columns(
            V2016,
            "sql_handle varbinary(64), statement_start_offset int, statement_end_offset int, "
            "plan_generation_num bigint, plan_handle varbinary(64), creation_time datetime null, "
            "last_execution_time datetime null, execution_count bigint",
        ),
        *(
            life_metric(name, V2016)
            for name in (
                *("worker_time", "physical_reads", "logical_writes", "logical_reads", "clr_time", "elapsed_time"),
            )
        ),
        columns(V2016, "query_hash binary(8) null, query_plan_hash binary(8) null"),
        life_metric("rows", V2016),
        columns(V2016, "statement_sql_handle varbinary(64) null, statement_context_id bigint null"),
        life_metric("dop", V2016),
        *(life_metric(name, V2016, "_kb") for name in ("grant", "used_grant", "ideal_grant")),
        *(life_metric(name, V2016) for name in ("reserved_threads", "used_threads")),
        *(
            life_metric(name, V2016_SP2)
            for name in ("columnstore_segment_reads", "columnstore_segment_skips", "spills")
        ),
        life_metric("page_server_reads", V2022),
    ),
    "sys.dm_exec_sql_text": columns(V2016, f"{_SQL_TEXT}, text nvarchar(max) null"),
    "sys.dm_exec_query_plan": columns(V2016, f"{_SQL_TEXT}, query_plan xml null"),
    "sys.dm_exec_text_query_plan": columns(V2016, f"{_SQL_TEXT}, query_plan nvarchar(max) null"),
    "sys.dm_exec_plan_attributes": columns(V2016, "attribute varchar(128), value sql_variant null, is_cache_key bit"),
    "sys.dm_exec_sessions": columns(
        V2016,
        "session_id smallint, login_time datetime, host_name nvarchar(128) null, program_name nvarchar(128) null, "
        "host_process_id int null, login_name nvarchar(128), status nvarchar(30), cpu_time int, memory_usage int, "
        "last_request_start_time datetime, last_request_end_time datetime null, reads bigint, writes bigint, "
        "logical_reads bigint, is_user_process bit, database_id smallint, open_transaction_count int",
    ),
    "sys.dm_exec_requests": columns(
        V2016,
        "session_id smallint, request_id int, start_time datetime, status nvarchar(30), command nvarchar(32), "
        "sql_handle varbinary(64) null, statement_start_offset int null, statement_end_offset int null, "
        "plan_handle varbinary(64) null, database_id smallint, blocking_session_id smallint null, "
        "wait_type nvarchar(60) null, wait_time int, cpu_time int, total_elapsed_time int, reads bigint, "
        "writes bigint, logical_reads bigint, query_hash binary(8) null, query_plan_hash binary(8) null",
    ),
    "sys.dm_os_sys_info": columns(
        V2016,
        "cpu_ticks bigint, ms_ticks bigint, cpu_count int, hyperthread_ratio int, physical_memory_kb bigint, "
        "virtual_memory_kb bigint, committed_kb bigint, committed_target_kb bigint, max_workers_count int, "
        "scheduler_count int, sqlserver_start_time_ms_ticks bigint, sqlserver_start_time datetime",
    ),
    "sys.dm_hadr_database_replica_states": columns(
        V2016,
        "database_id int, group_id uniqueidentifier, replica_id uniqueidentifier, group_database_id uniqueidentifier, "
        "is_local bit, is_primary_replica bit, synchronization_state tinyint null, "
        "synchronization_state_desc nvarchar(60) null, synchronization_health tinyint null, "
        "synchronization_health_desc nvarchar(60) null, database_state tinyint null, "
        "database_state_desc nvarchar(60) null, is_suspended bit null",
    ),
    "sys.dm_db_tuning_recommendations": columns(
        V2017,
        "name nvarchar(4000) null, type nvarchar(4000) null, reason nvarchar(4000) null, valid_since datetime2 null, "
        "last_refresh datetime2 null, state nvarchar(4000) null, is_executable_action bit null, "
        "is_revertable_action bit null, execute_action_start_time datetime2 null, execute_action_duration time null, "
        "execute_action_initiated_by nvarchar(4000) null, execute_action_initiated_time datetime2 null, "
        "revert_action_start_time datetime2 null, revert_action_duration time null, "
        "revert_action_initiated_by nvarchar(4000) null, revert_action_initiated_time datetime2 null, score int null, "
        "details nvarchar(max) null",
    ),
}

VIEWS: dict[str, dict[str, Column]] = {**QUERY_STORE, **_CATALOG, **_DYNAMIC}
"""Columns by view or function, in the order the server shows them."""

ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "sys.dm_exec_sql_text": ("sql_handle",),
    "sys.dm_exec_query_plan": ("plan_handle",),
    "sys.dm_exec_text_query_plan": ("plan_handle", "statement_start_offset", "statement_end_offset"),
    "sys.dm_exec_plan_attributes": ("plan_handle",),
    "sys.dm_db_stats_properties": ("object_id", "stats_id"),
    "sys.fn_my_permissions": ("securable", "securable_class"),
}
"""What the functions among VIEWS take."""

NOT_IN_AZURE = frozenset({"sys.database_recovery_status"})
"""Views that Azure SQL Database does not have."""


def columns_of(view: str, version: int) -> list[tuple[str, str]]:
    """Names and types of the columns `view` has in `version`; empty where that version lacks the view.

    Raises:
        KeyError: the view is not in this catalog.
    """
    if version >= AZURE and view in NOT_IN_AZURE:
        return []
    return [(name, column.sql_type) for name, column in VIEWS[view].items() if column.since <= version]


def views_of(version: int) -> list[str]:
    """Views that `version` has."""
    return [view for view in VIEWS if columns_of(view, version)]
