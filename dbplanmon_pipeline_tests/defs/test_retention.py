"""The daily removal and the weekly care, on a real Dagster instance."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
    TickData,
    TickStatus,
)

from dbplanmon_pipeline.defs.naming import JOB_TAG
from dbplanmon_pipeline_tests.defs.locations import _origin as origin_of

DAY = timedelta(days=1)
FAST = {"pause": "0s"}


@pytest.fixture
def location(make_location):
    """Its clock stands where Dagster's own clock does, so that ages of runs can be told."""
    found = make_location(kept=True, retention=FAST)
    found.clock.moment = datetime.now(UTC)
    return found


def outputs(result: dg.ExecuteInProcessResult) -> dict[str, dict]:
    return {
        event.step_key: {name: value.value for name, value in event.event_specific_data.metadata.items()}
        for event in result.all_events
        if event.event_type_value == "STEP_OUTPUT"
    }


def test_old_data_is_marked_and_goes_a_week_later(location):
    location.collect()
    location.collect()
    first = outputs(location.run("retention_job", 100 * DAY))["remove_expired_data"]
    assert (first["removed"], first["marked"] > 0) == (0, True)
    assert "| interval_day |" in first["table"]
    last = outputs(location.run("retention_job", 7 * DAY))["remove_expired_data"]
    assert last["removed"] > 0
    with location.monitor.session() as session:
        assert session.store.hot_days() == []


def test_runs_older_than_the_setting_go_with_their_events_and_logs(location):
    old = location.collect()
    logs = Path(location.instance.compute_log_manager.get_captured_local_path([old.run_id, "step"], "err")).parent
    assert list(logs.rglob("*"))
    result = location.run("retention_job", 15 * DAY)
    assert outputs(result)["remove_old_runs"]["removed"] == 1
    assert location.instance.get_run_by_id(old.run_id) is None
    assert location.instance.all_logs(old.run_id) == []
    assert not logs.exists()
    assert location.instance.get_run_by_id(result.run_id) is not None


def test_young_runs_and_runs_in_progress_stay(location):
    young = location.collect()
    working = location.pretend("collection_job", dg.DagsterRunStatus.STARTED)
    location.run("retention_job", 13 * DAY)
    assert location.instance.get_run_by_id(young.run_id) is not None
    location.run("retention_job", 400 * DAY)
    assert location.instance.get_run_by_id(young.run_id) is None
    assert location.instance.get_run_by_id(working.run_id) is not None


def test_a_day_looks_done_for_as_long_as_its_data_is_kept(location):
    key = (datetime.now(UTC) - 2 * DAY).date().isoformat()
    day = location.run("rollups_job", partition_key=key)
    assert day.success
    location.run("retention_job", 80 * DAY)
    done = location.instance.get_materialized_partitions(dg.AssetKey("hourly_rollups"))
    assert done == {key}
    location.run("retention_job", 11 * DAY)
    assert location.instance.get_run_by_id(day.run_id) is None


def test_runs_of_others_stay(location):
    @dg.job(tags={JOB_TAG: "somebody_else"})
    def theirs():
        pass

    other = theirs.execute_in_process(instance=location.instance)
    location.run("retention_job", 400 * DAY)
    assert location.instance.get_run_by_id(other.run_id) is not None


def tick_of(location, sensor: str, age: timedelta) -> InstigatorState:
    """A tick as the daemon would have left it."""
    origin = origin_of("collection_job").repository_origin.get_instigator_origin(sensor)
    state = InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, SensorInstigatorData())
    kind = (origin.get_id(), sensor, InstigatorType.SENSOR, TickStatus.SKIPPED)
    if location.instance.get_instigator_state(state.instigator_origin_id, state.selector_id) is None:
        location.instance.add_instigator_state(state)
    at = (datetime.now(UTC) - age).timestamp()
    location.instance.create_tick(TickData(*kind, at, selector_id=state.selector_id))
    return state


def test_old_ticks_of_our_sensors_go(location):
    ours, theirs = (tick_of(location, name, 20 * DAY) for name in ("analysis_sensor", "their_sensor"))
    tick_of(location, "analysis_sensor", DAY)
    location.run("retention_job")
    left = [len(location.instance.get_ticks(s.instigator_origin_id, s.selector_id)) for s in (ours, theirs)]
    assert left == [1, 1]


def test_the_store_is_cared_for(location):
    location.collect()
    table = outputs(location.run("store_maintenance_job"))["maintain_store"]["table"]
    assert "write-ahead log emptied" in table


def test_data_goes_daily_and_the_store_is_cared_for_on_sunday(location):
    assert location.repository.get_schedule_def("retention_schedule").cron_schedule == "0 3 * * *"
    assert location.repository.get_schedule_def("store_maintenance_schedule").cron_schedule == "30 3 * * 0"
    (request,) = location.tick("retention_schedule").run_requests
    assert request.tags[JOB_TAG] == "retention_job"


def test_a_removal_does_not_overlap_itself(location):
    location.pretend("retention_job", dg.DagsterRunStatus.STARTED)
    assert "still under way" in location.tick("retention_schedule").skip_message


@pytest.mark.parametrize("switch", ["retention", "maintenance"])
def test_each_schedule_can_be_switched_off(make_location, switch):
    names = {found.name for found in make_location(schedules={switch: False}).definitions.schedules}
    assert len({"retention_schedule", "store_maintenance_schedule"} - names) == 1
