-- Purpose: definitions of the indexes that some plans use.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */ DISTINCT
    w.schema_name,
    w.index_name,
    pg_catalog.pg_get_indexdef(c.oid) AS definition
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema_name, index_name)
INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema_name
INNER JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.index_name AND c.relkind IN ('i', 'I')
