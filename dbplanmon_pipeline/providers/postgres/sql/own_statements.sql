-- Purpose: which statements of our own role are ours, told by their marker.
-- Minimum version: pg_stat_statements 1.9. Permission: none, they are our own.
SELECT /* dbplanmon */ DISTINCT s.queryid AS query_hash
FROM {schema}.pg_stat_statements(true) AS s
WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    AND s.userid = %(role_oid)s
    AND s.queryid IS NOT NULL
    AND strpos(s.query, %(marker)s) > 0
