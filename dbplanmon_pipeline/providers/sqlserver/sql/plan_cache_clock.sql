/* dbplanmon */
-- Purpose: number of the current database, and now on the wall clock of the server in milliseconds since 1970.
-- Minimum version: 2016. Permission: none.
SELECT
    CONVERT(int, DB_ID()) AS database_id,
    DATEDIFF_BIG(MILLISECOND, CAST('1970-01-01T00:00:00' AS datetime2), GETDATE()) AS now_local_ms
