"""The job between analyses: it runs only where there is something to do."""

from datetime import timedelta

import dagster as dg
import pytest

from dbplanmon_pipeline.core.ports import Alert, JobState
from dbplanmon_pipeline_tests.services.fleets import START


@pytest.fixture
def location(make_location):
    location = make_location(kept=True)
    with location.monitor.session() as session:
        assert session.store.schema_status().is_current
    return location


def alert(number=1):
    return Alert(f"id-{number}", "kpi:orders", "opened", "log", "high", START, "[high] orders", "body")


def queue(location, *alerts):
    with location.monitor.session() as session:
        session.store.add_alerts(alerts)


def test_nothing_to_do_asks_for_no_run(location):
    assert location.sense("alerts_sensor").skip_message == "no alert is due"


def test_a_queued_alert_is_sent_by_one_short_run_and_then_there_is_rest(location):
    queue(location, alert())
    (asked,) = location.sense("alerts_sensor").run_requests
    assert asked.tags["dbplanmon/job"] == "alerts_job"
    result = location.run("alerts_job")
    assert result.success
    assert location.events(result) <= 12
    with location.monitor.session() as session:
        assert [row.state.value for row in session.store.alert_rows()] == ["delivered"]
    assert location.sense("alerts_sensor").skip_message == "no alert is due"


@pytest.mark.parametrize("job", ["alerts_job", "analysis_job"])
def test_a_run_under_way_is_waited_for(location, job):
    queue(location, alert())
    run = location.pretend(job, dg.DagsterRunStatus.STARTED)
    assert location.sense("alerts_sensor").skip_message == f"run {run.run_id[:8]} is still under way"


def test_a_channel_that_rests_asks_for_no_run(location):
    queue(location, alert())
    with location.monitor.session() as session:
        session.decide_alerts()
        until = location.clock() + timedelta(minutes=10)
        session.store.save_job_states([JobState("channel:log", 5, next_attempt_at=until)])
    assert location.sense("alerts_sensor").skip_message == "no alert is due"
    location.clock.advance(timedelta(minutes=10))
    assert location.sense("alerts_sensor").run_requests


def test_an_alert_that_waits_is_looked_at_when_its_time_has_come(location):
    queue(location, *(alert(number) for number in range(12)))
    location.run("alerts_job")
    with location.monitor.session() as session:
        states = [row.state.value for row in session.store.alert_rows()]
    assert states.count("suppressed") == 11  # one KPI is told once within its cooldown
    location.clock.advance(timedelta(hours=1))
    assert location.sense("alerts_sensor").skip_message == "no alert is due"
