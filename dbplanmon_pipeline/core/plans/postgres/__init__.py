"""PostgreSQL plans: EXPLAIN in all its forms as operators, masked, and hashed by shape."""
