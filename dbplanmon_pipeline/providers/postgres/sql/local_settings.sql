-- Purpose: settings for the running transaction alone.
-- Minimum version: 15. Permission: none.
SELECT /* dbplanmon */ set_config(w.setting_name, w.setting_value, true) AS setting_value
FROM unnest(%(names)s::text[], %(values)s::text[]) AS w (setting_name, setting_value)
