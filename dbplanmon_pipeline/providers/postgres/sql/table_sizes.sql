-- Purpose: rows of the tables that some plans read as the planner reckons them: rows per page when counted, times pages.
-- Minimum version: 15. Permission: none; waits for an exclusive lock on one of the tables as long as the session allows.
SELECT /* dbplanmon */
    w.schema_name,
    w.table_name,
    c.reltuples::float8 / c.relpages
        * (pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::float8) AS reckoned_rows
FROM (SELECT DISTINCT u.s, u.t FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS u (s, t)) AS w (schema_name, table_name)
INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema_name
INNER JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
WHERE c.relkind IN ('r', 'm') AND c.relpages > 0 AND c.reltuples >= 0
