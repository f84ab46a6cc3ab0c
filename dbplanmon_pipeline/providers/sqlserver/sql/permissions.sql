/* dbplanmon */
-- Purpose: which of the rights that matter the login has; NULL where the server does not know the right.
-- Minimum version: 2016. Permission: none.
-- The current database is meant where none is named; a name would be read in parts, and one with a dot never be found.
SELECT
    HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') AS view_server_state,
    HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE') AS view_server_performance_state,
    HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'VIEW DATABASE STATE') AS view_database_state,
    HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'VIEW DATABASE PERFORMANCE STATE') AS view_database_performance_state,
    HAS_PERMS_BY_NAME(NULL, 'DATABASE', 'VIEW DEFINITION') AS view_definition
