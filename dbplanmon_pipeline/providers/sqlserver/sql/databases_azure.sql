/* dbplanmon */
-- Purpose: databases of a logical server, asked in its master; who may open one shows only when it is opened.
-- Minimum version: Azure SQL Database. Permission: none.
SELECT d.name AS database_name
FROM sys.databases AS d
WHERE
    d.state = 0
    AND d.name <> 'master'
ORDER BY d.name
OPTION (MAXDOP 1)
