/* dbplanmon */
-- Purpose: hashes of some plans and their statements, which mean the same in every database.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
-- Parameters: plan_ids bigint.
SELECT
    p.plan_id AS plan_id,
    q.query_hash AS query_hash,
    p.query_plan_hash AS plan_hash
FROM sys.query_store_plan AS p
INNER JOIN sys.query_store_query AS q ON q.query_id = p.query_id
WHERE p.plan_id IN ({ids})
OPTION (MAXDOP 1)
