"""A real PostgreSQL that lives and is broken in twelve ways: what is found, what is missed, what is false."""
