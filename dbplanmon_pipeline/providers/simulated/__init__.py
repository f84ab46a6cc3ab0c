"""Fleets that exist only in memory, with a known truth."""
