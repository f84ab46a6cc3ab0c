"""The role loses the right to see statements of others, and gets it back: nothing is lost or counted twice."""

import pytest

from dbplanmon_pipeline.core.readings.deltas import difference
from dbplanmon_pipeline.errors import PermissionMissing
from dbplanmon_pipeline_tests.providers.postgres.monitored import query_hash_of, read_counters, run

COUNTED = "SELECT count(*) FROM orders"


@pytest.fixture
def blinded(monitored_server):
    """Yields what takes the right away; it is given back at the end."""
    yield lambda: run(monitored_server, "postgres", "REVOKE pg_monitor FROM mon")
    run(monitored_server, "postgres", "GRANT pg_monitor TO mon")


def test_what_ran_while_the_right_was_missing_is_counted_once(monitored_server, database, blinded):
    run(monitored_server, database, COUNTED)
    wanted = query_hash_of(monitored_server, database, "SELECT count(*) FROM orders%")
    before = read_counters(monitored_server, database)
    blinded()
    run(monitored_server, database, COUNTED, times=5)
    with pytest.raises(PermissionMissing, match="GRANT pg_monitor TO mon"):
        read_counters(monitored_server, database)
    run(monitored_server, "postgres", "GRANT pg_monitor TO mon")
    run(monitored_server, database, COUNTED, times=3)
    rows = difference(before, read_counters(monitored_server, database)).rows
    assert rows.values[rows.query_hash == wanted, 0].tolist() == [8]
