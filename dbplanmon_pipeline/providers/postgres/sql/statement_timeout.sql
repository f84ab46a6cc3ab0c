-- Purpose: bound the statements that follow.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */ set_config('statement_timeout', %(statement_timeout_ms)s, false) AS statement_timeout
