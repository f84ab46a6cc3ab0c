"""Fixtures of all tests: one real PostgreSQL server for the session, a fresh database for each test that asks.

And stores with all tables and no rows, to be copied: making one costs 0.05 s on SQLite and 0.3 s on PostgreSQL.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline_tests.support.postgres import any_binaries, create_database, fresh_database

POSTGRES_FIXTURES = frozenset({"postgres_server", "postgres_database", "monitored_server", "spare_server"})
"""A test that uses one of these, however indirectly, gets the marker `postgres`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if POSTGRES_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.postgres)
    # Files with slow tests begin first, then those with a browser: left for last, one of them holds up the end while
    # other workers are idle.
    slow, browser = ({item.path for item in items if item.get_closest_marker(name)} for name in ("slow", "browser"))
    items.sort(key=lambda item: (item.path not in slow, item.path not in browser))


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A running server, pg_stat_statements preloaded, any local user let in; shared by the whole session."""
    with PostgresServer(any_binaries(), tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def postgres_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Name of an empty database on `postgres_server`, dropped after the test."""
    with fresh_database(postgres_server) as name:
        yield name


@pytest.fixture(scope="session")
def migrated_file() -> Path:
    """A SQLite store without rows; copy it."""
    # Imported here: tests of the core need no store, and it takes a second.
    from dbplanmon_pipeline_tests.support.migrated import migrated_file

    return migrated_file()


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> str:
    """Name of a PostgreSQL store without rows; use it as a template."""
    from dbplanmon_pipeline.store import open_store

    name = create_database(postgres_server, stem="migrated")
    store = open_store(postgres_server.url(name))
    store.upgrade()
    store.close()
    return name
