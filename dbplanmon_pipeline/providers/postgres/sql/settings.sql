-- Purpose: planner settings that differ from the built-in value, and the few that always matter, as new sessions get them.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */
    s.name AS setting_name,
    current_setting(s.name) AS setting_value
FROM pg_catalog.pg_settings AS s
WHERE s.name <> 'plan_cache_mode'
    AND (
        (starts_with(s.category, 'Query Tuning') AND s.setting IS DISTINCT FROM s.boot_val)
        OR s.name IN (
            'work_mem', 'hash_mem_multiplier', 'effective_cache_size', 'random_page_cost', 'default_statistics_target',
            'max_parallel_workers_per_gather', 'jit'
        )
    )
ORDER BY s.name
