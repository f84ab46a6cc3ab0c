"""What statements of an instance or a database have in common, and when those are slow as a whole."""
