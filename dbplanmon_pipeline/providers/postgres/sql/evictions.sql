-- Purpose: how often pg_stat_statements had to throw statements away, and since when it counts.
-- Minimum version: pg_stat_statements 1.9. Permission: none.
SELECT /* dbplanmon */
    i.dealloc AS evictions,
    i.stats_reset AS counting_since
FROM {schema}.pg_stat_statements_info AS i
