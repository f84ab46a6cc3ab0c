/* dbplanmon */
-- Purpose: intervals of Query Store that ended after a moment or still run; a small table.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
-- Parameters: moment datetime2.
SELECT
    i.runtime_stats_interval_id AS interval_id,
    i.start_time AS interval_start,
    i.end_time AS interval_end
FROM sys.query_store_runtime_stats_interval AS i
WHERE i.end_time > ?
ORDER BY i.start_time
OPTION (MAXDOP 1)
