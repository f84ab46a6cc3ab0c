/* dbplanmon */
-- Purpose: waits of regular executions per plan and interval, summed over their categories.
-- Minimum version: 2022, and WAIT_STATS_CAPTURE_MODE = ON. Permission: VIEW DATABASE STATE.
-- Parameters: first interval_id bigint, last interval_id bigint.
SELECT
    w.plan_id AS plan_id,
    w.replica_group_id AS replica_group_id,
    w.runtime_stats_interval_id AS interval_id,
    SUM(w.total_query_wait_time_ms) AS wait_time_ms
FROM sys.query_store_wait_stats AS w
WHERE
    w.execution_type = 0
    AND w.runtime_stats_interval_id >= ?
    AND w.runtime_stats_interval_id <= ?
GROUP BY w.plan_id, w.replica_group_id, w.runtime_stats_interval_id
OPTION (MAXDOP 1)
