"""The jobs that follow a collection, with and without something to tell."""

import base64
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentEvent
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline_tests.defs.locations import INLINE, checks_of, metadata_of, simulated_fleet, why_it_failed
from dbplanmon_pipeline_tests.services.fleets import START, STEP

CALM_TICKS = 30
BROKEN_AT = START + STEP * CALM_TICKS
HEALTH_CHECKS = {
    "store_schema_is_current",
    "metrics_are_recent",
    "named_statements_cover_the_load",
    "collector_cost_is_low",
    "baselines_are_recent",
    "query_store_is_healthy",
}


@pytest.fixture
def broken(make_location):
    """Calm hours, a baseline, and then a worse plan for a quarter of an hour, read but not analysed."""
    location = make_location(baselines={"min_intervals": 20}, instances=[simulated_fleet(["a$_{$c", "Sales"])])
    provider = SimulatedProvider("fleet", ["a$_{$c"], statements=12, seed=7)
    busy = [p for p in provider.profiles("a$_{$c") if p.executions_per_hour > 100]
    victim = max(busy, key=lambda p: p.executions_per_hour * p.elapsed_us)
    location.faults.append(
        SimulatedFault("flip", "a$_{$c", victim.statement, FaultKind.PLAN_REGRESSION, BROKEN_AT, factor=8.0)
    )
    with location.monitor.session() as session:
        session.collect()
        for tick in range(CALM_TICKS + 3):
            location.clock.advance(STEP)
            session.collect()
            if tick == CALM_TICKS - 1:
                session.rebuild_baselines()
                session.analyse()
    return location


def test_calm_run_draws_nothing(location):
    location.collect()
    location.collect()
    result = location.run("analysis_job")
    found = metadata_of(result)
    assert found.keys() == {"plan_changes", "regressions", "alerts"}
    assert found["regressions"]["open"] == "no open incident"
    assert found["plan_changes"]["changes"] == "no statement changed its plan"
    assert not [name for name in found["regressions"] if name.startswith("incident ")]
    assert (found["alerts"]["queued"], found["alerts"]["sent"]) == (0, 0)


def test_empty_store_can_be_analysed(location):
    for job in ("analysis_job", "insights_job", "health_job"):
        assert location.run(job).success


def test_picture_comes_when_an_incident_opens_and_only_then(broken):
    first = metadata_of(broken.run("analysis_job"))["regressions"]
    (name,) = [name for name in first if name.startswith("incident ")]
    head, _, data = first[name].removesuffix(")").partition("(data:image/png;base64,")
    assert head.startswith("![fleet/a$_{$c")
    assert base64.b64decode(data, validate=True).startswith(b"\x89PNG")
    assert first["opened"] == 1
    broken.collect()
    second = metadata_of(broken.run("analysis_job"))["regressions"]
    assert (second["opened"], second["dagster/row_count"]) == (0, 1)
    assert not [name for name in second if name.startswith("incident ")]


def test_opened_incident_is_shown_told_and_has_a_way_back(broken):
    result = broken.run("analysis_job")
    found = metadata_of(result)
    assert found["regressions"]["ticks_judged"] == 3
    assert found["regressions"]["as_of"] == broken.clock().timestamp()
    assert "fleet/a$_{$c" in found["regressions"]["open"]
    assert len(found["regressions"]["open"]) <= INLINE
    assert found["plan_changes"]["dagster/row_count"] == 1
    assert found["alerts"]["queued"] == found["alerts"]["sent"] == 1
    assert broken.events(result) <= 25
    insights = metadata_of(broken.run("insights_job"))
    assert insights["hotspots"]["dagster/row_count"] > 10
    assert len(insights["hotspots"]["by_elapsed_time"]) <= INLINE
    assert insights["remediation_suggestions"]["dagster/row_count"] > 0


def test_second_run_of_the_same_data_tells_nobody(broken):
    broken.run("analysis_job")
    again = metadata_of(broken.run("analysis_job"))
    assert (again["alerts"]["queued"], again["alerts"]["sent"]) == (0, 0)
    assert again["plan_changes"]["dagster/row_count"] == 0


class TestMoment:
    def judge(self, location, as_of):
        return location.run("analysis_job", run_config={"ops": {"analyse": {"config": {"as_of": as_of}}}})

    def test_past_moment_is_judged_on_request(self, broken):
        moment = BROKEN_AT + STEP * 2
        found = metadata_of(self.judge(broken, moment.isoformat()))
        assert (found["regressions"]["ticks_judged"], found["regressions"]["as_of"]) == (1, moment.timestamp())

    @pytest.mark.parametrize("as_of", ["yesterday", "2026-11-22T10:00:00"])
    def test_wrong_moment_is_one_clear_error(self, location, as_of):
        result = self.judge(location, as_of)
        assert f"as_of: '{as_of}' is no ISO time with zone" in why_it_failed(result)


class TestHealth:
    def test_it_judges_without_asking_a_server(self, make_location):
        location = make_location(source="query_store")
        location.collect()
        location.collect()
        result = location.run("health_job", timedelta(minutes=2))
        found = checks_of(result)
        assert found.keys() == HEALTH_CHECKS
        passed = {name for name, evaluation in found.items() if evaluation.passed}
        assert passed == HEALTH_CHECKS - {"baselines_are_recent"}
        assert "baselines" in found["baselines_are_recent"].description
        with location.monitor.session() as session:
            assert len(session.store.collection_log(START)) == 6
        # Dagster writes three events per check; the rest is the same whatever the fleet.
        assert location.events(result) <= 9 + 3 * len(HEALTH_CHECKS)

    def test_silence_turns_it_red(self, location):
        location.collect()
        evaluation = checks_of(location.run("health_job", STEP * 4))["metrics_are_recent"]
        assert not evaluation.passed
        assert evaluation.severity.value == "ERROR"
        assert "| fleet/sim0001 |" in evaluation.metadata["table"].value

    def test_store_without_tables_is_red_and_stays_untouched(self, make_location, tmp_path):
        found = checks_of(make_location(store_there=False).run("health_job"))
        assert not found["store_schema_is_current"].passed
        assert found["store_schema_is_current"].severity.value == "ERROR"
        assert not (tmp_path / "state").exists()


def test_incident_events_are_kept(broken):
    broken.run("analysis_job")
    with broken.monitor.session() as session:
        (incident,) = session.store.open_incidents()
        events = [change.event for change in session.store.incident_events(incident.incident_id)]
    assert events[0] is IncidentEvent.OPENED
