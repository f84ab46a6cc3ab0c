"""Interval rows: hot tables by day, sealed days in the archive, and both as one table."""
