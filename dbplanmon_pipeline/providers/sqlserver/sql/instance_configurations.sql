/* dbplanmon */
-- Purpose: settings of the server that shape plans.
-- Minimum version: 2016. Permission: none.
SELECT
    c.name AS setting_name,
    CONVERT(nvarchar(128), c.value_in_use) AS setting_value
FROM sys.configurations AS c
WHERE
    c.name IN (
        'max degree of parallelism', 'cost threshold for parallelism', 'max server memory (MB)',
        'min memory per query (KB)', 'query governor cost limit', 'priority boost', 'affinity mask', 'affinity64 mask'
    )
ORDER BY c.name
OPTION (MAXDOP 1)
