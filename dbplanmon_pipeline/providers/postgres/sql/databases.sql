-- Purpose: databases this role may connect to.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */ d.datname AS database_name
FROM pg_catalog.pg_database AS d
WHERE d.datallowconn
    AND NOT d.datistemplate
    AND pg_catalog.has_database_privilege(d.oid, 'CONNECT')
ORDER BY d.datname
