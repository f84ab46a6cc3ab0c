/* dbplanmon */
-- Purpose: how long the server runs, and the moment it started on its own wall clock, which knows no time zone.
-- Minimum version: 2016. Permission: VIEW SERVER STATE; VIEW DATABASE STATE on Azure SQL Database.
SELECT
    i.ms_ticks - i.sqlserver_start_time_ms_ticks AS uptime_ms,
    DATEDIFF_BIG(MILLISECOND, CAST('1970-01-01T00:00:00' AS datetime2), i.sqlserver_start_time) AS started_local_ms
FROM sys.dm_os_sys_info AS i
OPTION (MAXDOP 1)
