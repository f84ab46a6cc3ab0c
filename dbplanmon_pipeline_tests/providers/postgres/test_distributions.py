"""What a real planner knows of the data in the columns of a table: numbers, seen with the rights of the monitor."""

from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from dbplanmon_pipeline.core.causes.distribution import ColumnStatistics, column_changes, distribution_value
from dbplanmon_pipeline.core.ports import StatementKey
from dbplanmon_pipeline.providers.postgres.distributions import (
    MOST_REMEMBERED,
    AnalyzedTable,
    KnownDistributions,
    read_distributions,
)
from dbplanmon_pipeline_tests.providers.postgres.monitored import budget, provider_of, query_hash_of, run
from dbplanmon_pipeline_tests.support.postgres import connect

NAME = "distribution of public.orders"
STATEMENT = "SELECT id FROM orders WHERE customer_id = 5"
LIKE = "SELECT id FROM orders WHERE customer_id%"
ASKED = "SELECT coalesce(sum(calls), 0) FROM public.pg_stat_statements WHERE query LIKE '%%most_common_freqs)%%'"
SECRET = "4111-1111"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

ONLY_SYSTEM = pytest.mark.parametrize("monitored_server", ["system"], indirect=True)


def told_by(provider, server, database):
    """The fact as one reading after a run of the statement tells it; None where it does not."""
    run(server, database, STATEMENT)
    key = StatementKey(query_hash_of(server, database, LIKE), 0, "")
    with provider.open(database, budget()) as reader:
        (plan,) = reader.read_plans([key])
        assert plan.body
        return reader.read_table_facts([]).get(NAME)


def columns_of(value):
    """Names of the columns a value tells of."""
    everything = dict.fromkeys(("id", "customer_id", "placed", "status", "total"), ColumnStatistics(9e9, 9e9, 1, 1, 1))
    other = distribution_value("", everything)
    return {one.column for one in column_changes("", value, other)}


def test_columns_are_told_in_numbers(monitored_server, steady_database):
    value = told_by(provider_of(monitored_server, "mon_reader"), monitored_server, steady_database)
    assert '"customer_id":[100.0,0.1,0.0,0.01,' in value
    assert '"id":[1000.0,1.0,0.0,0.001,1.0]' in value
    assert '"status":[1.0,0.001,0.0,1.0,1.0]' in value
    assert "new" not in value


@ONLY_SYSTEM
def test_columns_are_asked_for_again_once_statistics_were_taken_anew(monitored_server, database):
    provider = provider_of(monitored_server, "mon_reader")
    with connect(monitored_server, database) as session:
        before = session.execute(ASKED).fetchone()[0]
        first, again = (told_by(provider, monitored_server, database) for _ in range(2))
        assert session.execute(ASKED).fetchone()[0] == before + 1
        assert first == again
        session.execute(f"UPDATE orders SET customer_id = 3, status = '{SECRET}' || id % 3")
        assert told_by(provider, monitored_server, database) == first
        session.execute("ANALYZE orders")
        now = told_by(provider, monitored_server, database)
        assert session.execute(ASKED).fetchone()[0] == before + 2
    moved = {one.column: one.words for one in column_changes("public.orders", first, now)}
    assert moved["customer_id"].startswith("n_distinct of public.orders.customer_id went from 100 to 1, its most")
    assert "n_distinct of public.orders.status went from 1 to 3" in moved["status"]
    assert moved.keys() == {"customer_id", "status"}
    assert SECRET not in now


@ONLY_SYSTEM
def test_columns_that_the_role_may_not_read_are_left_out(monitored_server, database):
    run(monitored_server, database, "GRANT SELECT (id, customer_id) ON orders TO mon")
    seen = told_by(provider_of(monitored_server, "mon"), monitored_server, database)
    assert columns_of(seen) == {"id", "customer_id"}
    run(monitored_server, database, "ALTER TABLE orders ENABLE ROW LEVEL SECURITY")
    assert told_by(provider_of(monitored_server, "mon_reader"), monitored_server, database) is None


@ONLY_SYSTEM
def test_small_tables_and_a_server_that_does_not_answer_tell_nothing(monitored_server, steady_database):
    orders = AnalyzedTable(("public", "orders"), 1000.0, NOON)
    small, unknown = AnalyzedTable(("public", "orders"), 999.0, NOON), AnalyzedTable(("public", "orders"), None, NOON)
    late = budget(0.0)
    provider = provider_of(monitored_server, "mon_reader")
    with provider.open(steady_database, budget()) as reader:
        session, known = reader._session, KnownDistributions()
        assert read_distributions(session, [small, unknown], known) == {}
        session.budget = late
        assert read_distributions(session, [orders], known) == {}
        assert known.by_table == {}


def test_what_was_read_holds_until_statistics_are_newer_and_is_bounded():
    known, columns = KnownDistributions(), {"a": ColumnStatistics(1, 1, 0, 1)}
    table = AnalyzedTable(("public", "t"), 5_000.0, NOON)
    known.remember(table, columns)
    assert known.of(table) == columns
    assert known.of(AnalyzedTable(table.name, 5_000.0, NOON + timedelta(seconds=1))) is None
    forgotten = AnalyzedTable(table.name, 5_000.0, None)
    known.remember(forgotten, columns)
    assert known.of(forgotten) is None
    for number in range(MOST_REMEMBERED + 1):
        known.remember(AnalyzedTable(("public", f"t{number}"), 5_000.0, NOON), columns)
    assert len(known.by_table) == MOST_REMEMBERED
    assert ("public", "t0") not in known.by_table


def test_no_statement_of_ours_reads_values_out_of_statistics():
    folder = files("dbplanmon_pipeline.providers.postgres").joinpath("sql")
    texts = {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".sql")}
    assert "most_common_freqs" in texts["column_statistics.sql"]
    for words in ("most_common_vals", "histogram_bounds", "most_common_elems", "stavalues", "pg_statistic "):
        assert [name for name, text in texts.items() if words in text] == []
