/* dbplanmon */
-- Purpose: text of one statement of a cached plan, and where our mark stands in its batch (0: it is not ours).
-- Minimum version: 2016. Permission: VIEW SERVER STATE; VIEW DATABASE STATE on Azure SQL Database.
-- Parameters: first character int, most characters int, plan_handle varbinary(64).
SELECT
    SUBSTRING(t.text, ?, ?) AS statement_text,
    CHARINDEX('/* dbplanmon */', t.text) AS mark_position
FROM sys.dm_exec_sql_text(?) AS t
OPTION (MAXDOP 1)
