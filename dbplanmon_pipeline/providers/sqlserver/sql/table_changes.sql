/* dbplanmon */
-- Purpose: rows of some tables named as [schema].[table], and when they or their indexes were last altered.
-- Minimum version: 2016. Permission: VIEW DEFINITION, or any right on the table; without it the table does not show.
-- Parameters: tables nvarchar(400).
SELECT
    t.schema_name AS schema_name,
    t.table_name AS table_name,
    t.table_rows AS table_rows,
    DATEDIFF_BIG(SECOND, CAST('1970-01-01T00:00:00' AS datetime2), t.modify_date) AS altered_local_s
FROM (
    SELECT
        o.object_id AS object_id,
        s.name AS schema_name,
        o.name AS table_name,
        o.modify_date AS modify_date,
        SUM(p.rows) AS table_rows
    FROM sys.objects AS o
    INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
    LEFT JOIN sys.partitions AS p ON p.object_id = o.object_id AND p.index_id IN (0, 1)
    WHERE
        o.type IN ('U', 'V')
        AND N'[' + s.name + N'].[' + o.name + N']' IN ({ids})
    GROUP BY o.object_id, s.name, o.name, o.modify_date
) AS t
ORDER BY t.object_id
OPTION (MAXDOP 1)
