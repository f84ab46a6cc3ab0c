"""Adapters to monitored servers, one folder per engine."""
