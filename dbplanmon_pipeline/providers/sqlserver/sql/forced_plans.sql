/* dbplanmon */
-- Purpose: plans that Query Store forces, and how often that failed; it reads all plans there are, so ask it seldom.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
SELECT TOP (200)
    q.query_hash AS query_hash,
    p.query_plan_hash AS plan_hash,
    p.force_failure_count AS force_failure_count,
    p.last_force_failure_reason_desc AS failure_reason
FROM sys.query_store_plan AS p
INNER JOIN sys.query_store_query AS q ON q.query_id = p.query_id
WHERE p.is_forced_plan = 1
ORDER BY p.plan_id
OPTION (MAXDOP 1)
