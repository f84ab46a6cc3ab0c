/* dbplanmon */
-- Purpose: indexes of some tables named as [schema].[table], one row for each column of an index.
-- Minimum version: 2016. Permission: VIEW DEFINITION, or any right on the table; without it the table does not show.
-- Parameters: tables nvarchar(400).
SELECT
    t.schema_name AS schema_name,
    t.table_name AS table_name,
    t.table_rows AS table_rows,
    SYSUTCDATETIME() AS read_at,
    i.name AS index_name,
    CONVERT(int, i.type) AS index_type,
    i.is_unique AS is_unique,
    i.is_primary_key AS is_primary_key,
    i.is_unique_constraint AS is_unique_constraint,
    i.is_disabled AS is_disabled,
    CONVERT(nvarchar(2000), i.filter_definition) AS filter_definition,
    c.name AS column_name,
    CONVERT(int, ic.key_ordinal) AS key_ordinal,
    ic.is_descending_key AS is_descending_key,
    ic.is_included_column AS is_included_column
FROM (
    SELECT
        o.object_id AS object_id,
        s.name AS schema_name,
        o.name AS table_name,
        SUM(p.rows) AS table_rows
    FROM sys.objects AS o
    INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
    LEFT JOIN sys.partitions AS p ON p.object_id = o.object_id AND p.index_id IN (0, 1)
    WHERE
        o.type IN ('U', 'V')
        AND N'[' + s.name + N'].[' + o.name + N']' IN ({ids})
    GROUP BY o.object_id, s.name, o.name
) AS t
LEFT JOIN sys.indexes AS i ON i.object_id = t.object_id AND i.index_id > 0 AND i.is_hypothetical = 0
LEFT JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
LEFT JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
ORDER BY t.object_id, i.index_id, ic.key_ordinal, ic.index_column_id
OPTION (MAXDOP 1)
