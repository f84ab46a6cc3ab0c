import pytest

from dbplanmon_pipeline.providers.sqlserver.probe import read_server_facts
from dbplanmon_pipeline.providers.sqlserver.self_test import run_self_test
from dbplanmon_pipeline_tests.providers.sqlserver.pretended import NOW, Pretended, asked, azure, box_2019
from dbplanmon_pipeline_tests.providers.sqlserver.reaching import session_to
from dbplanmon_pipeline_tests.support.sqlserver_catalog import views_of
from dbplanmon_pipeline_tests.support.tds import ServerError, TdsServer


@pytest.mark.parametrize("pretended", [Pretended(), box_2019(), azure()], ids=["2022", "2019", "azure"])
def test_the_self_test_runs_what_fits_the_server(driver, pretended):
    def trials(session):
        return run_self_test(session, read_server_facts(session, lambda: NOW))

    found = asked(pretended, driver, trials)
    failed = [(trial.name, trial.message) for trial in found if not trial.ok and not trial.skipped_reason]
    skipped = {trial.name: trial.skipped_reason for trial in found if trial.skipped_reason}
    assert failed == []
    assert ("query_hints" in skipped) is ("sys.query_store_query_hints" not in views_of(pretended.level))
    assert ("recovery_fork" in skipped) is (pretended.engine_edition == 5)
    assert all(trial.duration_ms > 0 for trial in found if trial.ok)


def test_a_trial_leaves_no_plan_for_the_collection_to_use(microsoft):
    with TdsServer(Pretended().handler()) as server, session_to(server, microsoft, database="shop") as session:
        run_self_test(session, read_server_facts(session, lambda: NOW))
        tried = [sql for kind, sql, _ in server.log if kind != "sp_unprepare" and "sys.query_store_runtime" in sql]
    assert len(tried) > 1
    assert [sql for sql in tried if "SELECT /* dbplanmon */ /* trial */" not in sql] == []


def test_a_plan_handle_of_nobody_proves_that_the_statement_runs(microsoft):
    answers = Pretended().handler()

    def handler(request):
        return (
            ServerError(569, "The handle is invalid.") if "sys.dm_exec_sql_text(" in request.sql else answers(request)
        )

    with TdsServer(handler) as server, session_to(server, microsoft) as session:
        found = {trial.name: trial for trial in run_self_test(session, read_server_facts(session, lambda: NOW))}
    assert found["cached_text"].ok
    assert found["cached_text"].message == ""


def test_the_self_test_goes_on_after_a_refusal(microsoft):
    pretended = Pretended(denied={"sys.query_store_plan": 229})

    def trials(session):
        return {trial.name: trial for trial in run_self_test(session, read_server_facts(session, lambda: NOW))}

    found = asked(pretended, microsoft, trials)
    assert not found["forced_plans"].ok
    assert found["forced_plans"].message
    assert found["forced_plans"].remedy
    assert found["scoped_configurations"].ok
