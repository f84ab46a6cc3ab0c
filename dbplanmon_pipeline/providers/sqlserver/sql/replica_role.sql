/* dbplanmon */
-- Purpose: whether this copy of a database in an availability group is the primary one; a row per group, none outside.
-- Minimum version: 2016. Not on: Azure SQL Database. Permission: VIEW SERVER STATE.
SELECT r.is_primary_replica AS is_primary_replica
FROM sys.dm_hadr_database_replica_states AS r
WHERE
    r.database_id = DB_ID()
    AND r.is_local = 1
OPTION (MAXDOP 1)
