"""The Dagster edge: assets, checks, jobs, schedules, sensors and resources."""
