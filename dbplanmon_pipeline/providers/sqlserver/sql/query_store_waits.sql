/* dbplanmon */
-- Purpose: whether Query Store keeps waits.
-- Minimum version: 2017. Permission: VIEW DATABASE STATE.
SELECT o.wait_stats_capture_mode_desc AS wait_capture_mode
FROM sys.database_query_store_options AS o
OPTION (MAXDOP 1)
