/* dbplanmon */
-- Purpose: state, size and intervals of Query Store in the current database.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
SELECT
    o.desired_state_desc AS desired_state,
    o.actual_state_desc AS actual_state,
    o.readonly_reason AS readonly_reason,
    o.current_storage_size_mb AS current_size_mb,
    o.max_storage_size_mb AS max_size_mb,
    o.flush_interval_seconds AS flush_interval_seconds,
    o.interval_length_minutes AS interval_length_minutes,
    o.stale_query_threshold_days AS stale_threshold_days,
    o.max_plans_per_query AS max_plans_per_query,
    o.query_capture_mode_desc AS capture_mode,
    o.size_based_cleanup_mode_desc AS cleanup_mode
FROM sys.database_query_store_options AS o
OPTION (MAXDOP 1)
