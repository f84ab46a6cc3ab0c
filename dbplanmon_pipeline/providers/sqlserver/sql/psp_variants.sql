/* dbplanmon */
-- Purpose: statements that run with several plans, chosen by the value of a parameter.
-- Minimum version: 2022. Permission: VIEW DATABASE PERFORMANCE STATE.
SELECT TOP (200)
    q.query_hash AS query_hash,
    p.query_plan_hash AS dispatcher_plan_hash,
    COUNT(*) AS variant_count
FROM sys.query_store_query_variant AS v
INNER JOIN sys.query_store_query AS q ON q.query_id = v.parent_query_id
INNER JOIN sys.query_store_plan AS p ON p.plan_id = v.dispatcher_plan_id
GROUP BY q.query_hash, p.query_plan_hash
ORDER BY q.query_hash, p.query_plan_hash
OPTION (MAXDOP 1)
