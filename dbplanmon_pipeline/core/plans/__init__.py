"""Execution plans of every engine as one operator tree."""
