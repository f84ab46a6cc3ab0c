-- Purpose: what is true of server and database now and may explain a slower statement later, one fact per row.
-- Minimum version: 15. Permission: none; what a role may not see is left out.
SELECT /* dbplanmon */
    f.fact_name,
    f.fact_value
FROM (
    SELECT
        'server started' AS fact_name,
        to_char(pg_catalog.pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS fact_value
    UNION ALL
    -- After a crash of a process the server begins anew by itself: its start stays, the checkpointer is a new one. At an
    -- orderly start 25 ms lay between the two.
    SELECT
        'crash recovery',
        CASE
            WHEN a.backend_start > pg_catalog.pg_postmaster_start_time() + interval '1 second'
                THEN to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            WHEN a.backend_start IS NOT NULL THEN 'none since the start'
        END
    FROM pg_catalog.pg_stat_activity AS a
    WHERE a.backend_type = 'checkpointer'
    UNION ALL
    SELECT 'PostgreSQL version', split_part(current_setting('server_version'), ' ', 1)
    UNION ALL
    SELECT 'replica role', CASE WHEN pg_catalog.pg_is_in_recovery() THEN 'replica' ELSE 'primary' END
    UNION ALL
    SELECT 'timeline', c.timeline_id::text
    FROM pg_catalog.pg_control_checkpoint() AS c
    UNION ALL
    SELECT 'database identity', d.oid::text
    FROM pg_catalog.pg_database AS d
    WHERE d.datname = current_database()
    UNION ALL
    SELECT 'setting ' || s.name, current_setting(s.name)
    FROM pg_catalog.pg_settings AS s
    WHERE (starts_with(s.category, 'Query Tuning') AND s.name <> 'plan_cache_mode')
        OR s.name IN (
            'work_mem', 'hash_mem_multiplier', 'shared_buffers', 'temp_buffers', 'maintenance_work_mem', 'huge_pages',
            'max_connections', 'max_worker_processes', 'max_parallel_workers', 'max_parallel_workers_per_gather',
            'effective_io_concurrency', 'io_method', 'io_workers', 'synchronous_commit', 'fsync', 'full_page_writes',
            'wal_compression', 'wal_level', 'checkpoint_timeout', 'max_wal_size', 'autovacuum',
            'autovacuum_analyze_scale_factor', 'autovacuum_analyze_threshold', 'autovacuum_max_workers',
            'track_io_timing', 'jit'
        )
    UNION ALL
    SELECT
        'role settings',
        coalesce(json_object_agg(p.entry_name, p.entry_value ORDER BY p.entry_name)::text, '{}')
    FROM (
        SELECT
            g.name || ' of role ' || r.rolname AS entry_name,
            substr(max(c.entry), strpos(max(c.entry), '=') + 1) AS entry_value
        FROM pg_catalog.pg_db_role_setting AS s
        INNER JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
        CROSS JOIN LATERAL unnest(s.setconfig) AS c (entry)
        INNER JOIN pg_catalog.pg_settings AS g ON g.name = split_part(c.entry, '=', 1)
        WHERE s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()))
            AND (starts_with(g.category, 'Query Tuning') OR g.name IN ('work_mem', 'hash_mem_multiplier'))
        GROUP BY g.name, r.rolname
        ORDER BY g.name, r.rolname
        LIMIT 200
    ) AS p
) AS f
WHERE f.fact_value IS NOT NULL
ORDER BY f.fact_name
