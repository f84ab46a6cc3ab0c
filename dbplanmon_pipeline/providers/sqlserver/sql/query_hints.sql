/* dbplanmon */
-- Purpose: hints that Query Store adds to statements.
-- Minimum version: 2022. Permission: VIEW DATABASE PERFORMANCE STATE.
SELECT TOP (200)
    q.query_hash AS query_hash,
    h.query_hint_text AS hint_text,
    h.query_hint_failure_count AS failure_count
FROM sys.query_store_query_hints AS h
INNER JOIN sys.query_store_query AS q ON q.query_id = h.query_id
ORDER BY h.query_hint_id
OPTION (MAXDOP 1)
