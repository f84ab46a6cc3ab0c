"""A session on a real server, to ask it what it makes of the SQL that core writes."""

import pytest

from dbplanmon_pipeline_tests.support.postgres import connect


@pytest.fixture
def postgres_session(postgres_server, postgres_database):
    """An autocommit connection to an empty database."""
    with connect(postgres_server, postgres_database) as session:
        yield session
