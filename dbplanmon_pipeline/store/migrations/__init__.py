"""Alembic's folder: environment and versions."""
