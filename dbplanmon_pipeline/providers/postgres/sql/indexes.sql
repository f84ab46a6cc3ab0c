-- Purpose: definitions of all indexes of the tables that some plans read; an index missing here is truly gone.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */ DISTINCT
    w.schema_name,
    w.table_name,
    i.relname AS index_name,
    pg_catalog.pg_get_indexdef(i.oid) AS definition
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS w (schema_name, table_name)
INNER JOIN pg_catalog.pg_namespace AS n ON n.nspname = w.schema_name
INNER JOIN pg_catalog.pg_class AS t ON t.relnamespace = n.oid AND t.relname = w.table_name
INNER JOIN pg_catalog.pg_index AS x ON x.indrelid = t.oid AND x.indisvalid
INNER JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
