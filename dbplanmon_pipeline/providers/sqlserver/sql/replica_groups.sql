/* dbplanmon */
-- Purpose: replicas whose work Query Store keeps apart.
-- Minimum version: 2022. Permission: VIEW DATABASE PERFORMANCE STATE.
SELECT
    r.replica_group_id AS replica_group_id,
    r.replica_name AS replica_name
FROM sys.query_store_replicas AS r
ORDER BY r.replica_group_id, r.replica_name
OPTION (MAXDOP 1)
