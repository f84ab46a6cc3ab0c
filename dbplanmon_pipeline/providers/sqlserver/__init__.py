"""SQL Server and Azure SQL as a monitored engine."""

from dbplanmon_pipeline.providers.sqlserver.provider import SqlServerProvider
from dbplanmon_pipeline.providers.sqlserver.reader import SqlServerReader

__all__ = ["SqlServerProvider", "SqlServerReader"]
