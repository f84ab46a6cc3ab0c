"""Use cases, one per file; they take ports and return values."""
