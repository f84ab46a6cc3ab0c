/* dbplanmon */
-- Purpose: where our mark stands in the texts of some plans; 0 or NULL: the statement is not ours.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
-- Parameters: plan_ids bigint.
SELECT
    p.plan_id AS plan_id,
    CHARINDEX('/* dbplanmon */', t.query_sql_text) AS mark_position
FROM sys.query_store_plan AS p
INNER JOIN sys.query_store_query AS q ON q.query_id = p.query_id
INNER JOIN sys.query_store_query_text AS t ON t.query_text_id = q.query_text_id
WHERE p.plan_id IN ({ids})
OPTION (MAXDOP 1)
