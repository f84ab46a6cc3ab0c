-- Purpose: what the roles that run some statements have set for themselves: search path and planner settings.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */
    w.role_oid,
    r.rolname AS role_name,
    (SELECT p.reset_val FROM pg_catalog.pg_settings AS p WHERE p.name = 'search_path') AS default_search_path,
    g.name AS setting_name,
    substr(c.entry, strpos(c.entry, '=') + 1) AS setting_value
FROM unnest(%(role_oids)s::bigint[]) AS w (role_oid)
INNER JOIN pg_catalog.pg_roles AS r ON r.oid = w.role_oid
LEFT JOIN pg_catalog.pg_db_role_setting AS s
    ON s.setrole IN (0, r.oid)
    AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()))
LEFT JOIN LATERAL unnest(s.setconfig) AS c (entry) ON true
LEFT JOIN pg_catalog.pg_settings AS g
    ON g.name = split_part(c.entry, '=', 1)
    AND g.context = 'user'
    AND (
        g.name IN ('search_path', 'work_mem', 'hash_mem_multiplier')
        OR (starts_with(g.category, 'Query Tuning') AND g.name <> 'plan_cache_mode')
    )
ORDER BY w.role_oid, s.setrole <> 0, s.setdatabase <> 0
