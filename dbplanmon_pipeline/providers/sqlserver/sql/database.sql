/* dbplanmon */
-- Purpose: what the server says of the current database; found by name, since Azure counts databases in two ways.
-- Minimum version: 2016. Permission: none.
SELECT
    CONVERT(int, d.compatibility_level) AS compatibility_level,
    d.collation_name AS collation_name,
    d.is_read_only AS is_read_only,
    d.is_query_store_on AS is_query_store_on,
    d.is_read_committed_snapshot_on AS read_committed_snapshot,
    d.is_parameterization_forced AS parameterization_forced,
    d.is_auto_create_stats_on AS auto_create_statistics,
    d.is_auto_update_stats_on AS auto_update_statistics,
    d.is_auto_update_stats_async_on AS auto_update_statistics_async,
    DATEDIFF_BIG(SECOND, CAST('1970-01-01T00:00:00' AS datetime2), d.create_date) AS created_local_s,
    CONVERT(nvarchar(36), d.group_database_id) AS group_database_id
FROM sys.databases AS d
WHERE d.name = DB_NAME()
OPTION (MAXDOP 1)
