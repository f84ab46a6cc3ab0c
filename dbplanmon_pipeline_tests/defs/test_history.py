"""History of before the first reading: the asset by day, and the sensor that asks for it once."""

from datetime import timedelta

import dagster as dg
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline_tests.defs.locations import INLINE, metadata_of
from dbplanmon_pipeline_tests.services.fleets import START, STEP

TODAY = START.date()
YESTERDAY = (TODAY - timedelta(days=1)).isoformat()
NOTHING_TO_DO = "no database waits for its history"
DATABASES = [f"fleet/sim000{number}" for number in (1, 2, 3)]


@pytest.fixture
def watched(make_location):
    """Read once; Query Store knows the time before."""
    location = make_location(source="query_store", kept=True, baselines={"days": 3, "min_intervals": 5})
    location.collect()
    return location


def run_as_asked(location, request):
    """What the daemon does with a request."""
    return location.run(
        request.job_name, run_config=request.run_config, tags=request.tags, partition_key=request.partition_key
    )


def test_one_day_of_all_databases(watched):
    facts = metadata_of(watched.run("history_job", partition_key=YESTERDAY))["query_store_history"]
    assert (facts["databases"], facts["failed"]) == (3, 0)
    assert facts["dagster/row_count"] > 100
    assert facts["not_imported"] == "every day of every database was imported"
    again = metadata_of(watched.run("history_job", partition_key=YESTERDAY))["query_store_history"]
    assert again["dagster/row_count"] == facts["dagster/row_count"]


def test_chosen_databases_only(watched):
    config = {"ops": {"query_store_history": {"config": {"databases": ["fleet/sim0002"]}}}}
    watched.run("history_job", partition_key=YESTERDAY, run_config=config)
    with watched.monitor.session() as session:
        assert set(session.store.history_attempts()) == {DatabaseRef("fleet", "sim0002")}


def test_database_without_history_is_a_row_and_no_failure(make_location):
    location = make_location()
    location.collect()
    result = location.run("history_job", partition_key=YESTERDAY)
    assert result.success
    facts = metadata_of(result)["query_store_history"]
    assert facts["dagster/row_count"] == 0
    assert "| fleet/sim0001 | 2026-11-01 | unavailable |" in facts["not_imported"]


class TestSensor:
    def test_it_asks_for_every_day_of_the_baselines_in_one_run(self, watched):
        (request,) = watched.sense("history_sensor").run_requests
        assert request.job_name == "history_job"
        assert request.run_config["ops"]["query_store_history"]["config"]["databases"] == DATABASES
        result = run_as_asked(watched, request)
        assert result.success
        days = [
            e.step_materialization_data.materialization.partition for e in result.get_asset_materialization_events()
        ]
        assert sorted(days) == [(TODAY - timedelta(days=back)).isoformat() for back in (3, 2, 1, 0)]
        assert len(metadata_of(result)["query_store_history"]["days"]) <= INLINE

    def test_then_for_baselines_of_today_and_then_for_nothing(self, watched):
        (request,) = watched.sense("history_sensor").run_requests
        run_as_asked(watched, request)
        asked = watched.sense("history_sensor")
        (request,) = asked.run_requests
        assert (request.job_name, request.partition_key) == ("baselines_job", TODAY.isoformat())
        assert metadata_of(run_as_asked(watched, request))["baselines"]["statements"] > 15
        assert watched.sense("history_sensor", cursor=asked.cursor).skip_message == NOTHING_TO_DO

    def test_it_waits_for_an_import_under_way(self, watched):
        run = watched.pretend("history_job", dg.DagsterRunStatus.STARTED)
        assert watched.sense("history_sensor").skip_message == f"import {run.run_id[:8]} is still under way"

    def test_it_waits_for_baselines_under_way(self, watched):
        (request,) = watched.sense("history_sensor").run_requests
        run_as_asked(watched, request)
        run = watched.pretend("baselines_job", dg.DagsterRunStatus.QUEUED)
        tick = watched.sense("history_sensor")
        assert tick.skip_message == f"baselines are being learnt by run {run.run_id[:8]}"

    def test_database_without_history_is_asked_once(self, make_location):
        location = make_location(kept=True)
        location.collect()
        (request,) = location.sense("history_sensor").run_requests
        run_as_asked(location, request)
        assert location.sense("history_sensor").skip_message == NOTHING_TO_DO

    def test_the_same_databases_have_the_same_run_key(self, watched):
        (first,) = watched.sense("history_sensor").run_requests
        watched.clock.advance(STEP)
        (second,) = watched.sense("history_sensor").run_requests
        assert first.run_key == second.run_key

    def test_nothing_is_asked_before_a_reading_or_of_a_database_no_longer_read(self, make_location, watched):
        watched.clock.advance(timedelta(hours=1))
        assert watched.sense("history_sensor").skip_message == NOTHING_TO_DO

    def test_prefixed_location_configures_its_own_step(self, make_location):
        location = make_location(source="query_store", kept=True, key_prefix="dba", baselines={"days": 1})
        location.run("dba__collection_job", STEP)
        (request,) = location.sense("dba__history_sensor").run_requests
        assert run_as_asked(location, request).success
