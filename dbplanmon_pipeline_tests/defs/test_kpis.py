"""KPIs in Dagster: ticks that cost no run, runs, and the check."""

from datetime import timedelta

import dagster as dg
import pytest

from dbplanmon_pipeline_tests.defs.locations import checks_of, metadata_of, why_it_failed

MINUTE = timedelta(minutes=1)
BUSY = {"name": "busy", "instance": "fleet", "database": "sim0001", "sql": "SELECT executions", "minimum": 1}
IDLE = {**BUSY, "name": "idle", "maximum": 0, "minimum": None, "severity": "critical", "interval": "10m"}
WRITING = {**BUSY, "name": "writing", "sql": "DELETE FROM executions"}


@pytest.fixture
def location(make_location):
    return make_location(kept=True, kpis=[BUSY, IDLE])


def test_a_minute_without_a_due_kpi_costs_no_run(location):
    (request,) = location.tick("kpis_schedule").run_requests
    assert request.tags["dbplanmon/job"] == "kpis_job"
    assert location.run("kpis_job").success
    tick = location.tick("kpis_schedule")
    assert (tick.run_requests, tick.skip_message) == ([], "no KPI is due")
    location.clock.advance(5 * MINUTE)
    assert len(location.tick("kpis_schedule").run_requests) == 1


def test_without_kpis_there_is_no_run(make_location):
    location = make_location(kept=True)
    assert location.tick("kpis_schedule").skip_message == "no KPIs in the settings"


def test_the_last_kpi_that_was_taken_away_in_trouble_gets_a_run_for_its_end(location):
    assert location.run("kpis_job").success
    settings = location.monitor.settings
    location.monitor.settings = settings.model_copy(update={"kpis": ()})
    assert len(location.tick("kpis_schedule").run_requests) == 1
    facts = metadata_of(location.run("kpis_job"))["kpis"]
    assert (facts["no_longer_watched"], facts["alerts"]) == ("idle", 1)
    assert location.tick("kpis_schedule").skip_message == "no KPIs in the settings"


def test_it_skips_while_its_last_run_is_under_way(location):
    location.pretend("kpis_job", dg.DagsterRunStatus.STARTED)
    assert "still under way" in location.tick("kpis_schedule").skip_message


def test_a_run_shows_what_was_read_and_the_check_is_red_for_a_critical_breach(location):
    result = location.run("kpis_job")
    facts, check = metadata_of(result)["kpis"], checks_of(result)["kpis_are_within_limits"]
    assert (facts["dagster/row_count"], facts["breaches"], facts["errors"], facts["alerts"]) == (2, 1, 0, 1)
    assert "above the maximum of 0" in facts["read"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.ERROR)
    with location.monitor.session() as session:
        (alert,) = session.store.alerts(location.clock())
    assert (alert.incident_id, alert.severity, alert.channel) == ("kpi:idle", "critical", "log")


def test_a_kpi_that_writes_is_an_amber_check_and_no_failed_run(make_location):
    result = make_location(kpis=[WRITING]).run("kpis_job")
    check = checks_of(result)["kpis_are_within_limits"]
    assert result.success
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "refused" in metadata_of(result)["kpis"]["read"]


def test_named_ones_are_read_although_they_are_not_due(location):
    location.run("kpis_job")
    config = {"ops": {"read_kpis": {"config": {"names": ["busy"]}}}}
    result = location.run("kpis_job", MINUTE, run_config=config)
    assert metadata_of(result)["kpis"]["dagster/row_count"] == 1


def test_a_name_that_is_not_there_fails_with_those_there_are(location):
    config = {"ops": {"read_kpis": {"config": {"names": ["bsy"]}}}}
    assert "there are: busy, idle" in why_it_failed(location.run("kpis_job", run_config=config))


def test_kpis_of_a_disabled_instance_or_switched_off_are_not_read(make_location):
    fleet = {"name": "fleet", "engine": "simulated", "databases": 1, "enabled": False}
    location = make_location(kept=True, instances=[fleet], kpis=[BUSY])
    assert location.tick("kpis_schedule").skip_message == "no KPI is due"
    location = make_location(kept=True, kpis=[{**BUSY, "enabled": False}])
    assert location.tick("kpis_schedule").skip_message == "no KPI is due"


def test_a_login_of_its_own_is_a_provider_of_its_own(make_location, monkeypatch):
    users = []
    location = make_location(kpis=[BUSY, {**BUSY, "name": "own", "login": {"user": "kpi", "password": "env:KPI"}}])
    made = location.monitor._make_provider

    def make(instance, settings):
        users.append(instance.login.user)
        return made(instance, settings)

    monkeypatch.setattr(location.monitor, "_make_provider", make)
    assert location.run("kpis_job").success
    assert sorted(map(str, users)) == ["None", "kpi"]


def test_the_switch_takes_the_schedule_away(make_location):
    location = make_location(schedules={"kpis": False})
    assert "kpis_schedule" not in {schedule.name for schedule in location.repository.schedule_defs}
