"""SQL Server and Azure SQL as a monitored engine."""
