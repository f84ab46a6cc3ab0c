/* dbplanmon */
-- Purpose: which of some statements are ours, told by the mark in their text.
-- Minimum version: 2016. Permission: VIEW DATABASE STATE.
-- Parameters: pattern nvarchar, hashes binary(8).
SELECT DISTINCT q.query_hash AS query_hash
FROM sys.query_store_query AS q
INNER JOIN sys.query_store_query_text AS t ON t.query_text_id = q.query_text_id
WHERE
    t.query_sql_text LIKE ?
    AND q.query_hash IN ({ids})
OPTION (MAXDOP 1)
