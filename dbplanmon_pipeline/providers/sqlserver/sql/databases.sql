/* dbplanmon */
-- Purpose: databases of users that are online and open to this login; snapshots and the server's own are left out.
-- Minimum version: 2016. Not on: Azure SQL Database. Permission: VIEW ANY DATABASE, which everybody has by default.
SELECT d.name AS database_name
FROM sys.databases AS d
WHERE
    d.state = 0
    AND d.source_database_id IS NULL
    AND d.is_distributor = 0
    AND d.name NOT IN ('master', 'model', 'msdb', 'tempdb', 'rdsadmin')
    AND HAS_DBACCESS(d.name) = 1
ORDER BY d.name
OPTION (MAXDOP 1)
