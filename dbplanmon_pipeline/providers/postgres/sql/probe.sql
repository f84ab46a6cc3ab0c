-- Purpose: version, role, rights and the state of pg_stat_statements, in one row.
-- Minimum version: 9.6. Permission: none; settings that a role may not see are NULL.
SELECT /* dbplanmon */
    current_setting('server_version_num')::int AS version_number,
    current_setting('server_version') AS version,
    pg_catalog.pg_is_in_recovery() AS in_recovery,
    r.oid::bigint AS role_oid,
    r.rolname AS role_name,
    x.extversion AS extension_version,
    n.nspname AS extension_schema,
    pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS uses_schema,
    (SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'pg_stat_statements.max') AS max_statements,
    (SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'pg_stat_statements.track') AS track,
    (SELECT s.reset_val FROM pg_catalog.pg_settings AS s WHERE s.name = 'track_io_timing') AS track_io_timing,
    (SELECT s.setting FROM pg_catalog.pg_settings AS s WHERE s.name = 'compute_query_id') AS compute_query_id,
    (
        SELECT pg_catalog.pg_has_role(p.oid, 'USAGE') FROM pg_catalog.pg_roles AS p WHERE p.rolname = 'pg_read_all_stats'
    ) AS reads_all_stats,
    (
        SELECT pg_catalog.pg_has_role(p.oid, 'USAGE') FROM pg_catalog.pg_roles AS p WHERE p.rolname = 'pg_read_all_data'
    ) AS reads_all_data,
    (
        SELECT s.nspname
        FROM pg_catalog.pg_extension AS h
        JOIN pg_catalog.pg_namespace AS s ON s.oid = h.extnamespace
        WHERE h.extname = 'hypopg' AND pg_catalog.has_schema_privilege(s.oid, 'USAGE')
    ) AS what_if_schema
FROM pg_catalog.pg_roles AS r
LEFT JOIN pg_catalog.pg_extension AS x ON x.extname = 'pg_stat_statements'
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = x.extnamespace
WHERE r.rolname = current_user
