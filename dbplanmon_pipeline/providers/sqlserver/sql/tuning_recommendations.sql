/* dbplanmon */
-- Purpose: what the server itself would force, and why; it forgets this when it restarts.
-- Minimum version: 2017. Permission: VIEW DATABASE STATE.
SELECT TOP (200)
    r.score AS score,
    r.state AS state_json,
    r.details AS details_json
FROM sys.dm_db_tuning_recommendations AS r
WHERE r.type = 'FORCE_LAST_GOOD_PLAN'
ORDER BY r.score DESC, r.name
OPTION (MAXDOP 1)
