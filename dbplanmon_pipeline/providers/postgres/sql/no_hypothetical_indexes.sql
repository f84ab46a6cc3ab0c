-- Purpose: forget the indexes that only the planner of this session saw.
-- Minimum version: hypopg 1.1. Permission: as hypothetical_index.sql.
SELECT /* dbplanmon */ {schema}.hypopg_reset() AS done
