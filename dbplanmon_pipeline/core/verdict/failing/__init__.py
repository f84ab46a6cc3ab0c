"""Executions that fail since a statement got another plan."""
