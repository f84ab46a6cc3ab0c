"""How much one reading may hold."""

MOST_ROWS = 200_000
"""Rows of Query Store in one reading or slice of history, and statements in the plan cache of one server."""
