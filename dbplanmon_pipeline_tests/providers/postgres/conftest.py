"""Real servers of two versions, with the roles a monitor may have."""

from collections.abc import Iterator

import pytest

from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline_tests.providers.postgres.monitored import PASSWORD
from dbplanmon_pipeline_tests.support.postgres import binaries_of, connect, fresh_database

ROLES = (
    f"CREATE ROLE mon LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor",
    f"CREATE ROLE mon_reader LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor, pg_read_all_data",
    f"CREATE ROLE mon_quiet LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_monitor, pg_read_all_data",
    "ALTER ROLE mon_quiet SET pg_stat_statements.track = 'none'",
    f"CREATE ROLE outsider LOGIN PASSWORD '{PASSWORD}'",
)


def _server(source: str, folder, settings: dict[str, str] | None = None) -> Iterator[PostgresServer]:
    server = PostgresServer(binaries_of(source), folder, auth="scram-sha-256", settings=settings)
    with server:
        with connect(server) as admin:
            for statement in ROLES:
                admin.execute(statement)
        yield server


@pytest.fixture(scope="session", params=["system", "wheel"])
def monitored_server(request, tmp_path_factory) -> Iterator[PostgresServer]:
    """A server that tests leave as it is."""
    yield from _server(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session", params=["system", "wheel"])
def spare_server(request, tmp_path_factory) -> Iterator[PostgresServer]:
    """A server that tests may stop and restart; it remembers 100 statements only."""
    settings = {"pg_stat_statements.max": "100", "track_io_timing": "off"}
    yield from _server(request.param, tmp_path_factory.mktemp(f"spare-{request.param}"), settings)


@pytest.fixture
def database(monitored_server) -> Iterator[str]:
    """A database with pg_stat_statements, the table `orders` of 1,000 rows, and its index."""
    with fresh_database(monitored_server, *SCHEMA) as name:
        yield name


@pytest.fixture(scope="session")
def steady_database(monitored_server) -> Iterator[str]:
    """The same for all tests that only connect and look; making a database costs 0.2 s."""
    with fresh_database(monitored_server, *SCHEMA) as name:
        yield name


@pytest.fixture
def spare_database(spare_server) -> Iterator[str]:
    """The same on the spare server."""
    with fresh_database(spare_server, *SCHEMA) as name:
        yield name


SCHEMA = (
    "CREATE EXTENSION pg_stat_statements",
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, placed timestamptz, status text, total numeric)",
    "INSERT INTO orders SELECT g, g % 100, now() - g * interval '1 minute', 'new', g FROM generate_series(1, 1000) g",
    "CREATE INDEX orders_customer ON orders (customer_id)",
    "ANALYZE orders",
)
