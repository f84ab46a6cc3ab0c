"""The store goes away under a running location: runs fail in so many words, ticks go on, nothing is lost."""

import pytest

from dbplanmon_pipeline.core.model import CollectionStatus
from dbplanmon_pipeline_tests.defs.locations import metadata_of, why_it_failed
from dbplanmon_pipeline_tests.services.fleets import START, STEP


@pytest.fixture
def disk(tmp_path):
    """Folder of the store, beside the state folder."""
    return tmp_path / "disk"


@pytest.fixture
def stored(make_location, disk):
    return lambda **options: make_location(store={"url": f"sqlite:///{disk}/store.db"}, **options)


def unplug(disk):
    disk.rename(disk.with_name("unplugged"))
    disk.touch()


def plug_in(disk):
    disk.unlink()
    disk.with_name("unplugged").rename(disk)


def test_the_run_fails_and_says_what_became_of_the_readings(stored, disk):
    location = stored()
    assert location.collect().success
    unplug(disk)
    result = location.collect()
    assert not result.success
    assert "the folder" in why_it_failed(result)
    assert why_it_failed(result).endswith(
        "(the readings of 3 of 3 targets are kept on disk and recorded as soon as the store is back)"
    )
    assert metadata_of(result) == {}


def test_the_next_run_that_finds_the_store_records_them_and_says_so(stored, disk):
    location = stored()
    location.collect()
    unplug(disk)
    for _ in range(3):
        location.collect()
    plug_in(disk)
    result = location.collect()
    assert result.success
    metrics = metadata_of(result)["query_metrics"]
    assert (metrics["readings_recorded_later"], metrics["spooled_readings_lost"]) == (9, 0)
    with location.monitor.session() as session:
        log = session.store.collection_log(START)
        state = session.store.job_states(["collection"])["collection"]
    assert {o.started_at for o in log if o.status is CollectionStatus.OK} == {START + STEP * n for n in range(2, 6)}
    assert state.consecutive_failures == 0


@pytest.mark.parametrize("shards", [1, 2])
def test_the_schedule_goes_on_asking_for_runs(stored, disk, shards, simulated_two):
    location = stored(kept=True, instances=simulated_two, collection={"startup_delay": "0s", "shards": shards})
    location.collect()
    unplug(disk)
    location.clock.advance(STEP)
    requests = location.tick("collection_schedule").run_requests
    assert len(requests) == shards


def test_schedules_that_cannot_go_on_without_it_skip_and_say_that_the_store_is_away(stored, disk):
    location = stored(kept=True, kpis=[KPI], collection={"startup_delay": "0s", "spool": {"max_mb": 0}})
    location.collect()
    unplug(disk)
    for schedule in ("collection_schedule", "kpis_schedule"):
        assert AWAY in location.tick(schedule).skip_message


KPI = {"name": "k", "instance": "fleet", "database": "sim0001", "sql": "SELECT 1", "maximum": 1}
AWAY = "while the store is away: "


@pytest.mark.parametrize(
    "name",
    [
        "analysis_sensor",
        "alerts_sensor",
        "collection_retry_sensor",
        "collection_start_sensor",
        "history_sensor",
        "job_failures_sensor",
        "databases_sensor",
    ],
)
def test_a_sensor_skips_with_one_reason_and_takes_up_its_work_again(stored, disk, name):
    location = stored()
    location.collect()
    location.clock.advance(STEP)
    before = _outcome(location.sense(name))
    unplug(disk)

    away = location.sense(name, cursor="")
    assert away.run_requests == []
    assert "cannot be made" in away.skip_message
    assert "\n" not in away.skip_message
    assert away.cursor in (None, "")

    plug_in(disk)
    assert _outcome(location.sense(name)) == before


def test_every_sensor_that_reads_the_store_is_tried(stored):
    tried = test_a_sensor_skips_with_one_reason_and_takes_up_its_work_again.pytestmark[0].args[1]
    there = {sensor.name for sensor in stored().definitions.sensors}
    assert there - set(tried) == {"lost_runs_sensor"}


def _outcome(result):
    return sorted(request.run_key for request in result.run_requests or []), result.skip_message


@pytest.fixture
def simulated_two():
    one = {"name": "one", "engine": "simulated", "databases": 2, "options": {"statements": 5}}
    return [one, {**one, "name": "two"}]
