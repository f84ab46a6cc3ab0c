-- Purpose: columns of the tables that some plans read, each with its type and what its statistics aim at.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */
    w.schema_name,
    w.table_name,
    json_object_agg(
        a.attname,
        pg_catalog.format_type(a.atttypid, a.atttypmod)
        || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
        || CASE WHEN a.attstattarget >= 0 THEN ' statistics ' || a.attstattarget ELSE '' END
    ) AS columns
FROM (SELECT DISTINCT u.s, u.t FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS u (s, t)) AS w (schema_name, table_name)
INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema_name
INNER JOIN pg_catalog.pg_class AS t ON t.relnamespace = n.oid AND t.relname = w.table_name
INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY w.schema_name, w.table_name
