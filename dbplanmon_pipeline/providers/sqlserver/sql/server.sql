/* dbplanmon */
-- Purpose: version, edition and login, in one row.
-- Minimum version: 2016. Permission: none.
SELECT
    CONVERT(nvarchar(128), SERVERPROPERTY('ProductVersion')) AS product_version,
    CONVERT(nvarchar(128), SERVERPROPERTY('Edition')) AS edition,
    CONVERT(int, SERVERPROPERTY('EngineEdition')) AS engine_edition,
    CONVERT(int, DB_ID('rdsadmin')) AS rds_database_id,
    CONVERT(nvarchar(128), SUSER_SNAME()) AS login_name,
    CONVERT(nvarchar(128), DB_NAME()) AS database_name,
    CONVERT(nvarchar(128), DATABASEPROPERTYEX(DB_NAME(), 'Updateability')) AS updateability,
    SYSUTCDATETIME() AS server_now
