-- Purpose: an index that is never built and only the planner of this session sees, to EXPLAIN with it.
-- Minimum version: hypopg 1.1. Permission: EXECUTE on the functions of the extension, which everybody has.
SELECT /* dbplanmon */ h.indexname AS index_name
FROM {schema}.hypopg_create_index(%(definition)s) AS h
