"""Channels that carry alerts to people."""
