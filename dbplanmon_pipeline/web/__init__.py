"""Status page, health and metrics: what `dbplanmon serve` shows."""
