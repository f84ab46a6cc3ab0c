"""A job that fails again and again is told of once, and again when it runs: real runs, real ticks, a real store."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from dbplanmon_pipeline.core.alerts.job_alerts import JobEnd, count_end
from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.defs.naming import JOB_TAG
from dbplanmon_pipeline.errors import StoreUnavailable
from dbplanmon_pipeline_tests.defs.locations import simulated_fleet

NOW = datetime(2026, 3, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PATIENCE = {"max_consecutive_failures": 2}
TWO_CHANNELS = {"channels": [{"type": "log", "name": "one"}, {"type": "log", "name": "two"}]}


@pytest.fixture
def location(make_location):
    """Its clock stands where Dagster's own does; `nobody` answers."""
    sections = {"resilience": PATIENCE, "alerts": TWO_CHANNELS, "instances": [simulated_fleet(2, failing=2)]}
    found = make_location(**sections)
    found.clock.moment = datetime.now(UTC)
    return found


def look(location, cursor: str | None = None) -> str | None:
    """One tick of the sensor; returns its cursor."""
    return location.sense("job_failures_sensor", cursor).cursor or cursor


def messages(location) -> list[tuple[str, str, str]]:
    with location.monitor.session() as session:
        alerts = session.store.alerts(NOW)
    return sorted((alert.incident_id, alert.event, alert.channel) for alert in alerts)


def end(location, job: str, error: Exception | None = None) -> None:
    """A run as another process would leave it."""

    @dg.op
    def act():
        if error:
            raise error

    @dg.job(name=job, tags={JOB_TAG: job})
    def ended():
        act()

    ended.execute_in_process(instance=location.instance, raise_on_error=False)


def fail(location) -> None:
    end(location, "collection_job", StoreUnavailable("the store cannot be reached"))


OPENED = [("job:collection_job", "opened", "one"), ("job:collection_job", "opened", "two")]


def test_one_message_per_channel_after_so_many_failures_in_a_row(location):
    fail(location)
    cursor = look(location)
    assert messages(location) == []
    assert not location.collect().success
    cursor = look(location, cursor)
    assert messages(location) == OPENED
    fail(location)
    look(location, cursor)
    look(location)
    assert messages(location) == OPENED
    with location.monitor.session() as session:
        (state,) = session.store.job_states(["job:collection_job"]).values()
        alert = session.store.alerts(NOW)[0]
    assert state.consecutive_failures == 3
    assert alert.subject == "[high] dbplanmon: collection_job failed 2 times in a row"
    assert alert.facts["reason"] == "2 of 2 targets could not be read"


def test_a_good_run_ends_it_and_a_new_stretch_is_a_new_message(location):
    for _ in range(2):
        fail(location)
    cursor = look(location)
    end(location, "collection_job")
    cursor = look(location, cursor)
    resolved = [(job, "auto_resolved", channel) for job, _, channel in OPENED]
    assert messages(location) == resolved + OPENED
    for _ in range(2):
        fail(location)
    look(location, cursor)
    assert messages(location) == sorted(resolved + OPENED + OPENED)


def test_words_of_a_foreign_error_stay_in_the_run(location):
    for _ in range(2):
        end(location, "health_job", ValueError("password=hunter2"))
    look(location)
    with location.monitor.session() as session:
        (text,) = {f"{alert.subject} {alert.body} {alert.facts}" for alert in session.store.alerts(NOW)}
    assert "unexpected ValueError" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("later", [timedelta(), -MINUTE], ids=["the same", "an earlier one"])
def test_an_end_that_was_counted_changes_nothing(later):
    failed = count_end(JobState("job:x"), JobEnd("x", "r1", NOW, succeeded=False))
    assert failed.consecutive_failures == 1
    assert count_end(failed, JobEnd("x", "r1", NOW + later, succeeded=False)) == failed


def test_the_sensor_can_be_switched_off(make_location):
    names = {sensor.name for sensor in make_location(schedules={"job_failures": False}).definitions.sensors}
    assert "job_failures_sensor" not in names
