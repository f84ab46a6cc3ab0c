/* dbplanmon */
-- Purpose: plan of one statement in the cache as showplan XML, NULL where it is too large; as text, since the type xml
-- refuses deeply nested plans.
-- Minimum version: 2016. Permission: VIEW SERVER STATE; VIEW DATABASE STATE on Azure SQL Database.
-- Parameters: most bytes bigint, plan_handle varbinary(64), start_offset int, end_offset int.
SELECT
    DATALENGTH(p.query_plan) AS plan_bytes,
    CASE WHEN DATALENGTH(p.query_plan) <= ? THEN p.query_plan END AS plan_xml
FROM sys.dm_exec_text_query_plan(?, ?, ?) AS p
OPTION (MAXDOP 1)
