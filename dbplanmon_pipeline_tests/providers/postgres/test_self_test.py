"""`dbplanmon check --deep` on real servers of two versions."""

import pytest

from dbplanmon_pipeline_tests.providers.postgres.monitored import budget, provider_of
from dbplanmon_pipeline_tests.support.postgres import connect, fresh_database

pytestmark = pytest.mark.postgres

NOT_BY_ITSELF = {"session", "statement_timeout", "hypothetical_index", "no_hypothetical_indexes"}
"""What connecting runs, and what needs an extension that the database has not."""


def trials_of(server, database, user="mon_reader"):
    with provider_of(server, user).open(database, budget()) as reader:
        return {trial.name: trial for trial in reader.try_statements()}


def test_every_statement_that_fits_the_server_runs(monitored_server, steady_database):
    found = trials_of(monitored_server, steady_database)

    not_run = {name for name, trial in found.items() if trial.skipped_reason}
    assert {name: trial.message for name, trial in found.items() if not trial.ok and name not in not_run} == {}
    assert not_run - NOT_BY_ITSELF <= {"counters_1_9", "counters_1_10", "counters_1_11"}
    assert sum(found[name].ok for name in ("counters_1_9", "counters_1_10", "counters_1_11")) == 1
    assert all(found[name].rows > 0 for name in ("tables", "columns", "indexes", "column_statistics", "explain"))
    assert all(trial.duration_ms > 0 and trial.purpose for trial in found.values() if trial.ok)


def test_statement_that_fails_keeps_none_from_its_trial(monitored_server):
    with fresh_database(
        monitored_server, "CREATE EXTENSION pg_stat_statements", "REVOKE SELECT ON pg_stats FROM PUBLIC"
    ) as database:
        found = trials_of(monitored_server, database, "mon")

    failed = {name: trial for name, trial in found.items() if not trial.ok and not trial.skipped_reason}
    assert list(failed) == ["column_statistics"]
    assert failed["column_statistics"].message == "permission denied (42501)"
    assert failed["column_statistics"].remedy
    assert found["tables"].ok


def test_what_cannot_run_without_the_extension_is_not_run(monitored_server):
    with fresh_database(monitored_server) as without_extension:
        found = trials_of(monitored_server, without_extension)

    assert found["texts"].skipped_reason == "pg_stat_statements is not installed"
    assert [trial.message for trial in found.values() if trial.message] == []
    assert found["explain"].ok


def test_hypothetical_index_is_tried_where_hypopg_is_and_forgotten(monitored_server):
    with fresh_database(monitored_server, "CREATE EXTENSION pg_stat_statements") as database:
        with connect(monitored_server, database) as admin:
            has_it = admin.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'").fetchone()
            if has_it:
                admin.execute("CREATE EXTENSION hypopg")
        found = trials_of(monitored_server, database)

    of_hypopg = [found[name] for name in ("hypothetical_index", "no_hypothetical_indexes")]
    assert {one.message for one in of_hypopg} == {""}
    assert {one.skipped_reason for one in of_hypopg} == {"" if has_it else "needs hypopg"}
    assert found["hypothetical_index"].rows == (1 if has_it else 0)
