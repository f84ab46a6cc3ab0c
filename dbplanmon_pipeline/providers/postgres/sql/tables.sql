-- Purpose: size and age of statistics of the tables that some plans read.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */ DISTINCT
    w.schema_name,
    w.table_name,
    c.reltuples::float8 AS estimated_rows,
    greatest(
        pg_catalog.pg_stat_get_last_analyze_time(c.oid), pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid)
    ) AS last_analyze,
    pg_catalog.pg_stat_get_mod_since_analyze(c.oid) AS changes_since_analyze,
    pg_catalog.pg_stat_get_live_tuples(c.oid)::float8 AS live_rows,
    coalesce(
        pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) > pg_catalog.pg_stat_get_last_analyze_time(c.oid),
        pg_catalog.pg_stat_get_last_autoanalyze_time(c.oid) IS NOT NULL
    ) AS analyzed_by_autovacuum
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema_name, table_name)
INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema_name
INNER JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
WHERE c.relkind IN ('r', 'p', 'm', 'f')
