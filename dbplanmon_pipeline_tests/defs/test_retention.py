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
    return at_present(make_location(retention=FAST))


@pytest.fixture
def kept(make_location):
    """The same with an instance on disk, as ticks need it."""
    return at_present(make_location(kept=True, retention=FAST))


def at_present(location):
    location.clock.moment = datetime.now(UTC)
    return location


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


def test_ended_runs_of_ours_go_with_their_events_and_logs_once_they_are_old(kept):
    @dg.job(tags={JOB_TAG: "somebody_else"})
    def theirs():
        pass

    mine = kept.collect()
    other = theirs.execute_in_process(instance=kept.instance)
    working = kept.pretend("collection_job", dg.DagsterRunStatus.STARTED)
    logs = Path(kept.instance.compute_log_manager.get_captured_local_path([mine.run_id, "step"], "err")).parent
    assert list(logs.rglob("*"))
    assert outputs(kept.run("retention_job", 13 * DAY))["remove_old_runs"]["removed"] == 0
    last = kept.run("retention_job", 2 * DAY)
    assert outputs(last)["remove_old_runs"]["removed"] == 2
    assert kept.instance.get_run_by_id(mine.run_id) is None
    assert kept.instance.all_logs(mine.run_id) == []
    assert not logs.exists()
    stay = (other.run_id, working.run_id, last.run_id)
    assert [kept.instance.get_run_by_id(run_id).run_id for run_id in stay] == list(stay)


def test_a_day_looks_done_for_as_long_as_its_data_is_kept(location):
    key = (datetime.now(UTC) - 2 * DAY).date().isoformat()
    day = location.run("rollups_job", partition_key=key)
    assert day.success
    location.run("retention_job", 80 * DAY)
    done = location.instance.get_materialized_partitions(dg.AssetKey("hourly_rollups"))
    assert done == {key}
    location.run("retention_job", 11 * DAY)
    assert location.instance.get_run_by_id(day.run_id) is None


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


def test_old_ticks_of_our_sensors_go(kept):
    ours, theirs = (tick_of(kept, name, 20 * DAY) for name in ("analysis_sensor", "their_sensor"))
    tick_of(kept, "analysis_sensor", DAY)
    kept.run("retention_job")
    left = [len(kept.instance.get_ticks(s.instigator_origin_id, s.selector_id)) for s in (ours, theirs)]
    assert left == [1, 1]


def test_the_store_is_cared_for(location):
    location.collect()
    table = outputs(location.run("store_maintenance_job"))["maintain_store"]["table"]
    assert "write-ahead log emptied" in table


def test_data_goes_daily_and_the_store_is_cared_for_on_sunday_and_neither_overlaps_itself(kept):
    crons = {found.name: found.cron_schedule for found in kept.definitions.schedules}
    assert (crons["retention_schedule"], crons["store_maintenance_schedule"]) == ("0 3 * * *", "30 3 * * 0")
    (request,) = kept.tick("retention_schedule").run_requests
    assert request.tags[JOB_TAG] == "retention_job"
    kept.pretend("retention_job", dg.DagsterRunStatus.STARTED)
    assert "still under way" in kept.tick("retention_schedule").skip_message


@pytest.mark.parametrize("switch", ["retention", "maintenance"])
def test_each_schedule_can_be_switched_off(make_location, switch):
    names = {found.name for found in make_location(schedules={switch: False}).definitions.schedules}
    assert len({"retention_schedule", "store_maintenance_schedule"} - names) == 1
