"""Situations that have broken a monitor of query plans: those in which it is easy to judge wrongly."""

import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from dbplanmon_pipeline.core.alert_rules.policy import AlertPolicy, AlertRoutes
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent, IncidentState
from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy, advance
from dbplanmon_pipeline.core.model import Label
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline.core.remedies.remediation import SuggestionKind
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault
from dbplanmon_pipeline.services.decide_alerts import decide_alerts
from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload
from dbplanmon_pipeline_tests.services.fleets import START, AlteredProvider, Fleet, Wrapped
from dbplanmon_pipeline_tests.services.stories import (
    BROKEN_AT,
    BROKEN_TICKS,
    INSTANCE,
    REF,
    STATEMENTS,
    Story,
    fault,
    open_story,
    victim,
    write_calm_past,
)
from dbplanmon_pipeline_tests.services.watched import Watched, altered, ordered

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def clock():
    return FixedClock(START)


@pytest.fixture
def store(migrated_file, tmp_path, clock):
    shutil.copy(migrated_file, tmp_path / "store.db")
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=clock)
    yield store
    store.close()


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    """Five calm hours whose normal is learnt."""
    folder = tmp_path_factory.mktemp("past")
    write_calm_past(folder)
    story = open_story(folder, BROKEN_AT)
    story.learn()
    story.analyse()
    story.store.close()
    return folder


@pytest.fixture
def resumed(past, tmp_path):
    """Goes on after five calm hours whose normal is learnt, with these faults and alterations."""
    stores = []

    def begin(*faults, alter=lambda _, reader: reader):
        shutil.copytree(past, tmp_path, dirs_exist_ok=True)
        clock = FixedClock(BROKEN_AT)
        stores.append(open_store(f"sqlite:///{tmp_path}/store.db", clock=clock))
        options = {"statements": STATEMENTS, "seed": 7, "faults": faults}
        fleet = Fleet(stores[0], clock, AlteredProvider(INSTANCE, 2, clock=clock, alter=alter, **options))
        return Story(fleet, clock)

    yield begin
    for store in stores:
        store.close()


def test_l_a_former_plan_that_served_small_inputs_is_not_forced(resumed):
    def more_rows(reading):
        reading.values[reading.plan_hash != victim().plan_hash, COUNTERS.index("rows")] *= 20
        return reading

    grown = resumed(fault(), alter=lambda db, reader: altered(db, reader, more_rows))
    grown.fleet.tick(BROKEN_TICKS)
    (incident,) = grown.analyse().open_incidents
    suggestions = grown.store.suggestions([incident.incident_id])
    assert SuggestionKind.FORCE_PLAN not in {suggestion.kind for suggestion in suggestions}
    assert any("served small inputs" in suggestion.rationale for suggestion in suggestions)


def test_m_a_regression_older_than_the_baseline_window_does_not_become_normal(resumed):
    story = resumed(fault())
    story.fleet.tick(BROKEN_TICKS)
    (opened,) = story.analyse().open_incidents
    story.fleet.tick(13, by=2 * HOUR)
    assert story.clock() - BROKEN_AT > timedelta(days=1)
    story.learn(days=1)
    story.fleet.tick(BROKEN_TICKS)
    (still,) = story.analyse().open_incidents
    assert still.incident_id == opened.incident_id
    assert still.last_bad_at == story.clock()
    assert still.baseline_us == pytest.approx(opened.baseline_us, rel=0.2)


def test_p_an_incident_of_cpu_is_not_over_because_durations_are_normal():
    workload = Workload(ticks=150, cost=50_000.0, calm_before=3)
    workload.worker[2] *= 0.125
    workload.worker[2, 48:100] *= 3
    detector = StatisticalDetector(DetectorPolicy(step=workload.step))
    frame, policy = workload.frame(), IncidentPolicy(step=workload.step)
    baselines = detector.learn(frame, workload.moment(47))
    incidents, ends = {}, []
    for tick in range(48, 150):
        evaluation = detector.evaluate(frame, baselines, workload.moment(tick))
        held = [one for one in incidents.values() if one.state.is_open]
        for change in advance(held, [], evaluation, policy):
            incidents[change.incident.incident_id] = change.incident
            ends += [tick] if change.event is IncidentEvent.AUTO_RESOLVED else []
    (incident,) = incidents.values()
    assert (incident.metric, incident.state) == ("worker_time_us", IncidentState.AUTO_RESOLVED)
    assert workload.cost[2, 48:100].mean() == pytest.approx(workload.cost[2, :48].mean(), rel=0.1)
    assert [end > 100 for end in ends] == [True]


def test_q_ten_plans_that_flip_with_one_statistics_job_are_one_message(resumed):
    flips = [replace(fault(), name=f"flip {number}", statement=number) for number in range(10)]
    updates = [replace(flip, kind=FaultKind.STATISTICS_UPDATE) for flip in flips]
    story = resumed(*flips, *updates)
    story.fleet.tick(3)
    report = story.analyse(routes=AlertRoutes(("dba",)))
    assert len(report.open_incidents) == report.alerts > 5
    decide_alerts(story.store, AlertPolicy(), now=story.clock)
    (message,) = story.store.pending_alerts(story.clock(), 100)
    assert f"{report.alerts} statements got slower together" in message.subject
    assert all(incident.incident_id in message.body for incident in report.open_incidents)


@pytest.mark.parametrize(
    ("fact", "value"), [("replica role", "secondary"), ("replica groups", "1: node1, 2: node2")], ids=["on it", "of it"]
)
def test_s_no_plan_is_forced_on_the_evidence_of_a_secondary(resumed, fact, value):
    def told(_, reader):
        return Wrapped(reader, read_facts=lambda: {**reader.read_facts(), fact: value})

    story = resumed(fault(), alter=told)
    story.fleet.tick(BROKEN_TICKS)
    (incident,) = story.analyse().open_incidents
    assert incident.label is Label.PLAN_REGRESSION
    suggestions = story.store.suggestions([incident.incident_id])
    assert SuggestionKind.FORCE_PLAN not in {suggestion.kind for suggestion in suggestions}
    assert any("secondar" in suggestion.rationale for suggestion in suggestions)


def test_t_a_statement_that_goes_from_three_to_six_milliseconds_is_silent(store, clock):
    doubled = ordered("small_but_double", BROKEN_AT, statement=2, factor=2.0)
    watched = Watched(store, clock, doubled)
    story = Story(watched.fleet, clock)
    watched.read(61)
    story.learn()
    watched.read(24)
    report = story.analyse()
    query = watched.provider.profiles("sim0001")[2].query_hash
    own = watched.rows[watched.rows["query_hash"] == query]
    late = own[own["interval_start_us"] >= epoch_us(BROKEN_AT)]
    assert late["elapsed_time_us"].sum() / late["execution_count"].sum() == pytest.approx(6_000, rel=0.2)
    assert (report.judged > 5, report.open_incidents, report.alerts) == (True, (), 0)


def test_n_a_plan_whose_executions_are_cut_short_is_a_regression_of_its_own(resumed):
    failing = SimulatedFault("cut", REF.database, victim().statement, FaultKind.FAILING_PLAN, BROKEN_AT, factor=9.0)
    story = resumed(failing)
    story.fleet.tick(BROKEN_TICKS)
    (opened,) = story.analyse().open_incidents
    assert (opened.label, opened.query_hash) == (Label.FAILING, victim().query_hash)
    assert opened.failures.share == pytest.approx(0.9, abs=0.03)
    assert story.store.incident(opened.incident_id) == opened
    (told, _) = story.store.alerts(BROKEN_AT)
    assert "% of its executions fail, 0 % before (executions fail)" in told.subject
    assert "What changed in the plan" in told.body
    (change,) = story.store.plan_changes(BROKEN_AT)
    assert (change.plan_hash, change.previous_plan_hash) == (opened.plan_hash, opened.previous_plan_hash)
    kinds = {suggestion.kind for suggestion in story.store.suggestions([opened.incident_id])}
    assert SuggestionKind.FORCE_PLAN in kinds
