/* dbplanmon */
-- Purpose: texts of some plans in Query Store; NULL where the module is encrypted or the text is restricted.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
-- Parameters: most characters int, plan ids bigint.
SELECT
    p.plan_id AS plan_id,
    CASE
        WHEN t.is_part_of_encrypted_module = 1 OR t.has_restricted_text = 1 THEN NULL
        ELSE SUBSTRING(t.query_sql_text, 1, ?)
    END AS statement_text
FROM sys.query_store_plan AS p
INNER JOIN sys.query_store_query AS q ON q.query_id = p.query_id
INNER JOIN sys.query_store_query_text AS t ON t.query_text_id = q.query_text_id
WHERE p.plan_id IN ({ids})
OPTION (MAXDOP 1)
