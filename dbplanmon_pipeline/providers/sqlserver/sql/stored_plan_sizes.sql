/* dbplanmon */
-- Purpose: how large some plans in Query Store are, before any of them is sent.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
-- Parameters: plan ids bigint.
SELECT
    p.plan_id AS plan_id,
    DATALENGTH(p.query_plan) AS plan_bytes,
    p.query_plan_hash AS plan_hash,
    CONVERT(int, p.compatibility_level) AS compatibility_level
FROM sys.query_store_plan AS p
WHERE p.plan_id IN ({ids})
OPTION (MAXDOP 1)
