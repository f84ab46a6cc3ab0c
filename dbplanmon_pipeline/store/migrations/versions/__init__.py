"""One file per schema version, in order of their numbers."""
