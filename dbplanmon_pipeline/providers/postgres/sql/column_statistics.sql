-- Purpose: numbers the planner keeps of the columns of some tables, at most 50 of each, indexed ones first; no values.
-- Minimum version: 15. Permission: to read the column; the view leaves out others, and tables with row security.
SELECT /* dbplanmon */
    w.schema_name,
    w.table_name,
    k.attname AS column_name,
    k.n_distinct::float8 AS n_distinct,
    k.null_frac::float8 AS null_share,
    k.top_share::float8 AS top_share,
    k.correlation::float8 AS correlation
FROM (
    SELECT
        u.s AS schema_name,
        u.t AS table_name,
        c.relkind = 'p' AS is_partitioned,
        ARRAY(
            SELECT a.attname
            FROM pg_catalog.pg_index AS i
            INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
            WHERE i.indrelid = c.oid
        ) AS indexed
    FROM unnest(%(schemas)s::name[], %(names)s::name[]) AS u (s, t)
    INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = u.s
    INNER JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = u.t
) AS w
-- Table by table: joined otherwise, the view is made for all tables of the database first.
CROSS JOIN LATERAL (
    SELECT
        s.attname,
        s.n_distinct,
        s.null_frac,
        (s.most_common_freqs)[1] AS top_share,
        s.correlation
    FROM pg_catalog.pg_stats AS s
    WHERE s.schemaname = w.schema_name AND s.tablename = w.table_name AND s.inherited = w.is_partitioned
    ORDER BY s.attname = ANY (w.indexed) DESC, s.attname
    LIMIT 50
) AS k
