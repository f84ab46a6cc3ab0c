-- Purpose: make the session read only and bound its statements, lock waits and idle transactions.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */
    set_config('default_transaction_read_only', 'on', false) AS read_only,
    set_config('statement_timeout', %(statement_timeout_ms)s, false) AS statement_timeout,
    set_config('lock_timeout', %(lock_timeout_ms)s, false) AS lock_timeout,
    set_config('idle_in_transaction_session_timeout', '10000', false) AS idle_timeout,
    set_config('plan_cache_mode', 'force_generic_plan', false) AS plan_cache_mode
