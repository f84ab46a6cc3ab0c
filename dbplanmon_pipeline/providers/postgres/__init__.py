"""PostgreSQL 15 to 18 through pg_stat_statements and EXPLAIN."""
