"""Watches query plans of SQL Server and PostgreSQL and says when, why and by how much they got worse."""

__version__ = "0.1.0"
