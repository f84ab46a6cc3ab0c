"""Recorded intervals for a replay, from files and from a store."""
