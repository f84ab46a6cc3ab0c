-- The server makes the database of our store by itself; Dagster gets one of its own beside it.
CREATE DATABASE dagster;
