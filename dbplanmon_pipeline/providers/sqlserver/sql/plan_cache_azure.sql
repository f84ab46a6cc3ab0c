/* dbplanmon */
-- Purpose: statements of all cached plans of the database, the only ones that show there.
-- Minimum version: Azure SQL Database. Permission: VIEW DATABASE STATE.
-- Times are microseconds; moments are milliseconds since 1970 on the wall clock of the server.
SELECT
    s.plan_handle AS plan_handle,
    s.statement_start_offset AS start_offset,
    s.statement_end_offset AS end_offset,
    DATEDIFF_BIG(MILLISECOND, CAST('1970-01-01T00:00:00' AS datetime2), s.creation_time) AS created_local_ms,
    s.query_hash AS query_hash,
    s.query_plan_hash AS plan_hash,
    s.execution_count AS execution_count,
    s.total_elapsed_time AS elapsed_time_us,
    s.total_worker_time AS worker_time_us,
    s.total_logical_reads AS logical_reads_pages,
    s.total_logical_writes AS logical_writes_pages,
    s.total_physical_reads AS physical_reads_pages,
    s.total_rows AS row_count,
    s.total_spills AS spill_pages,
    s.min_elapsed_time AS elapsed_time_us_min,
    s.max_elapsed_time AS elapsed_time_us_max,
    s.min_worker_time AS worker_time_us_min,
    s.max_worker_time AS worker_time_us_max,
    s.max_grant_kb AS memory_grant_kb_max,
    s.max_dop AS dop_max
FROM sys.dm_exec_query_stats AS s
OPTION (MAXDOP 1)
