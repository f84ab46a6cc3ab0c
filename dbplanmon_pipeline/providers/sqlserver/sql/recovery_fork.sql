/* dbplanmon */
-- Purpose: which branch of its history the database is on; a restore begins another one.
-- Minimum version: 2016. Not on: Azure SQL Database. Permission: VIEW ANY DATABASE, which everybody has by default.
SELECT CONVERT(nvarchar(36), r.recovery_fork_guid) AS recovery_fork
FROM sys.database_recovery_status AS r
WHERE r.database_id = DB_ID()
OPTION (MAXDOP 1)
