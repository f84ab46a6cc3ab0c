/* dbplanmon */
-- Purpose: which of the columns are there that not every version has.
-- Minimum version: 2016. Permission: none.
SELECT
    o.name AS view_name,
    c.name AS column_name
FROM sys.all_objects AS o
INNER JOIN sys.all_columns AS c ON c.object_id = o.object_id
WHERE
    o.schema_id = 4
    AND o.name IN (
        'query_store_plan', 'query_store_runtime_stats', 'query_store_wait_stats', 'query_store_query_hints',
        'query_store_query_variant', 'query_store_replicas', 'database_query_store_options', 'dm_exec_query_stats',
        'dm_db_tuning_recommendations', 'database_automatic_tuning_options'
    )
    AND c.name IN (
        'plan_forcing_type_desc', 'plan_type_desc', 'avg_tempdb_space_used', 'avg_num_physical_io_reads',
        'replica_group_id', 'role_type', 'wait_stats_capture_mode', 'total_query_wait_time_ms', 'query_hint_text',
        'dispatcher_plan_id', 'total_spills', 'score', 'actual_state_desc'
    )
OPTION (MAXDOP 1)
