"""PostgreSQL as a monitored engine."""

from dbplanmon_pipeline.providers.postgres.provider import PostgresProvider, PostgresReader

__all__ = ["PostgresProvider", "PostgresReader"]
