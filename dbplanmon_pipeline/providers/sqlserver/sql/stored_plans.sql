/* dbplanmon */
-- Purpose: some plans of Query Store as showplan XML.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
-- Parameters: plan ids bigint.
SELECT
    p.plan_id AS plan_id,
    p.query_plan AS plan_xml
FROM sys.query_store_plan AS p
WHERE p.plan_id IN ({ids})
OPTION (MAXDOP 1)
