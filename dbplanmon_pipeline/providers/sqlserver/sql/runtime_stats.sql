/* dbplanmon */
-- Purpose: what plans did per interval, flushed rows and those still in memory; whose hashes are asked
-- apart by plan, since a join would make the server read all the plans it keeps.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
-- Parameters: first interval_id bigint, last interval_id bigint.
-- Times are microseconds per execution, memory and temporary space 8 KB pages. A deviation is NULL where the server's
-- rounding makes its square fall below zero.
SELECT
    rs.plan_id AS plan_id,
    CAST(1 AS bigint) AS replica_group_id,
    rs.execution_type AS execution_type,
    rs.runtime_stats_interval_id AS interval_id,
    rs.count_executions AS execution_count,
    rs.avg_duration AS avg_elapsed_time_us,
    rs.avg_cpu_time AS avg_worker_time_us,
    rs.avg_logical_io_reads AS avg_logical_reads_pages,
    rs.avg_logical_io_writes AS avg_logical_writes_pages,
    rs.avg_physical_io_reads AS avg_physical_reads_pages,
    rs.avg_rowcount AS avg_rows,
    CAST(NULL AS float) AS avg_spill_pages,
    COALESCE(rs.stdev_duration, 0) AS stdev_elapsed_time_us,
    COALESCE(rs.stdev_cpu_time, 0) AS stdev_worker_time_us,
    rs.min_duration AS min_elapsed_time_us,
    rs.min_cpu_time AS min_worker_time_us,
    rs.max_duration AS max_elapsed_time_us,
    rs.max_cpu_time AS max_worker_time_us,
    rs.max_query_max_used_memory AS max_memory_grant_pages,
    rs.max_dop AS max_dop
FROM sys.query_store_runtime_stats AS rs
WHERE
    rs.runtime_stats_interval_id >= ?
    AND rs.runtime_stats_interval_id <= ?
OPTION (MAXDOP 1)
