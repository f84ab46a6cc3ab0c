/* dbplanmon */
-- Purpose: when the statistics of some tables named as [schema].[table] were updated, and from how many rows.
-- Minimum version: 2016. Permission: VIEW DEFINITION for the moments; SELECT on their columns for the rows, too.
-- Parameters: tables nvarchar(400).
SELECT
    s.name AS schema_name,
    o.name AS table_name,
    st.name AS statistics_name,
    DATEDIFF_BIG(
        SECOND,
        CAST('1970-01-01T00:00:00' AS datetime2),
        COALESCE(sp.last_updated, STATS_DATE(st.object_id, st.stats_id))
    ) AS updated_local_s,
    sp.rows AS statistics_rows,
    sp.rows_sampled AS sampled_rows
FROM sys.objects AS o
INNER JOIN sys.schemas AS s ON s.schema_id = o.schema_id
INNER JOIN sys.stats AS st ON st.object_id = o.object_id
OUTER APPLY sys.dm_db_stats_properties(st.object_id, st.stats_id) AS sp
WHERE
    o.type IN ('U', 'V')
    AND N'[' + s.name + N'].[' + o.name + N']' IN ({ids})
ORDER BY o.object_id, st.stats_id
OPTION (MAXDOP 1)
