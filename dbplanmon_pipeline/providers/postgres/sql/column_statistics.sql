-- Purpose: numbers the planner keeps of the columns of some tables, at most 50 of each, indexed ones first; no values.
-- Minimum version: 15. Permission: to read the column; the view leaves out others, and tables with row security.
SELECT /* dbplanmon */
    k.schema_name,
    k.table_name,
    k.column_name,
    s.n_distinct::float8 AS n_distinct,
    s.null_frac::float8 AS null_share,
    (s.most_common_freqs)[1]::float8 AS top_share,
    s.correlation::float8 AS correlation
FROM (
    SELECT
        w.schema_name,
        w.table_name,
        c.relkind,
        a.attname AS column_name,
        row_number() OVER (
            PARTITION BY c.oid
            ORDER BY
                EXISTS (
                    SELECT 1
                    FROM pg_catalog.pg_index AS i
                    WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey)
                ) DESC,
                a.attnum
        ) AS place
    FROM unnest(%(schemas)s::name[], %(names)s::name[]) AS w (schema_name, table_name)
    INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema_name
    INNER JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
    INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
) AS k
INNER JOIN pg_catalog.pg_stats AS s
    ON s.schemaname = k.schema_name
    AND s.tablename = k.table_name
    AND s.attname = k.column_name
    AND s.inherited = (k.relkind = 'p')
-- The view is not flattened, so what it shall look up has to be told without the join.
WHERE k.place <= 50
    AND s.schemaname = ANY (%(schemas)s::name[])
    AND s.tablename = ANY (%(names)s::name[])
