/* dbplanmon */
-- Purpose: what the server does on its own about slower plans and missing indexes.
-- Minimum version: 2017. Permission: VIEW DATABASE STATE.
SELECT
    t.name AS option_name,
    t.actual_state_desc AS actual_state
FROM sys.database_automatic_tuning_options AS t
ORDER BY t.name
OPTION (MAXDOP 1)
