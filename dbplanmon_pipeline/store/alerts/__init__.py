"""The queue of alerts: decisions, deliveries, what was told, what is muted."""
