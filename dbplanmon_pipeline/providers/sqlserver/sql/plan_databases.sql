/* dbplanmon */
-- Purpose: for which database each plan was made that was compiled since a moment; one costly question per plan.
-- Minimum version: 2016. Not on: Azure SQL Database. Permission: VIEW SERVER STATE.
-- Parameters: created_local_ms bigint.
SELECT
    h.plan_handle AS plan_handle,
    CONVERT(int, a.value) AS database_id
FROM (
    SELECT DISTINCT s.plan_handle AS plan_handle
    FROM sys.dm_exec_query_stats AS s
    WHERE DATEDIFF_BIG(MILLISECOND, CAST('1970-01-01T00:00:00' AS datetime2), s.creation_time) >= ?
) AS h
CROSS APPLY sys.dm_exec_plan_attributes(h.plan_handle) AS a
WHERE a.attribute = 'dbid'
OPTION (MAXDOP 1)
