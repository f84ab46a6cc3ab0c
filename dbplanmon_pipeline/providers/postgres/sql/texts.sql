-- Purpose: texts of some statements, cut at a length, and the role that runs each most often; the server reads its whole text file for it.
-- Minimum version: pg_stat_statements 1.9. Permission: pg_read_all_stats for statements of other roles.
SELECT /* dbplanmon */
    s.queryid AS query_hash,
    min(left(s.query, %(max_characters)s)) AS statement_text,
    (array_agg(s.userid::bigint ORDER BY s.calls DESC))[1] AS role_oid
FROM {schema}.pg_stat_statements(true) AS s
WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    AND s.queryid = ANY (%(query_hashes)s::bigint[])
GROUP BY s.queryid
