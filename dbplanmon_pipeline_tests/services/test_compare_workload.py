"""Growth of the workload is told as such, opens no incident, and a regression is never called growth."""

import shutil
from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.incidents.incident import IncidentScope
from dbplanmon_pipeline.core.model import Engine, Label
from dbplanmon_pipeline.core.workload.changes import GrowthKind, WorkloadPolicy
from dbplanmon_pipeline.core.workload.words import growth_words
from dbplanmon_pipeline.services.compare_workload import compare_workload, dearest_of
from dbplanmon_pipeline.services.explain import explain_incident
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline_tests.core.incidents.known_incidents import PLAN_REGRESSION
from dbplanmon_pipeline_tests.services.fleets import START, STEP
from dbplanmon_pipeline_tests.services.mornings import BEGIN, DAYS, END, HOUR, fault, fleet_at, write_mornings
from dbplanmon_pipeline_tests.services.stories import DETECTOR, INSTANCE, REF, Story, victim

POLICY = WorkloadPolicy()


@pytest.fixture(scope="module")
def mornings(tmp_path_factory):
    """Three mornings up to ten, and the fourth up to nine."""
    folder = tmp_path_factory.mktemp("mornings")
    write_mornings(folder, last_hours=1)
    return folder


@pytest.fixture
def after(mornings, tmp_path):
    """The hour from nine to ten of the fourth morning with some faults, judged at its end."""

    def play(*faults):
        folder = tmp_path / str(len(faults))
        shutil.copytree(mornings, folder)
        fleet, clock = fleet_at(folder, BEGIN, *faults)
        story = Story(fleet, clock)
        rebuild_baselines(fleet.store, DETECTOR, as_of=BEGIN, days=7)
        fleet.tick(4, by=3 * STEP)
        story.analyse()
        return story

    return play


def grown(story, start=BEGIN, end=END, policy=POLICY):
    frame = story.store.interval_frame(start, end, columns=("execution_count", "elapsed_time_us"))
    return compare_workload(story.store, dearest_of(frame), start, end, policy)


def around_the_instance(story):
    """What an incident of the whole instance in that hour would say of its workload."""
    whole = replace(
        PLAN_REGRESSION,
        scope=IncidentScope.INSTANCE,
        instance=INSTANCE,
        database="",
        query_hash=0,
        label=Label.INSTANCE_SLOWDOWN,
        began_at=BEGIN,
        updated_at=END,
        last_bad_at=END,
    )
    return explain_incident(story.store, whole, Engine.SQLSERVER).context_lines


def test_a_statement_that_runs_nine_times_as_often_is_growth_and_no_incident(after):
    story = after(fault("more_executions", victim().statement))
    found = grown(story)
    (change,) = found.changes
    assert (change.ref, change.query_hash, change.kind) == (REF, victim().query_hash, GrowthKind.MORE_EXECUTIONS)
    assert change.times_executions == pytest.approx(9, rel=0.15)
    assert change.times_cost == pytest.approx(1, rel=0.1)
    assert change.days == DAYS
    assert growth_words(change).endswith("times as often")
    assert story.store.incidents() == []
    (busier,) = found.instances
    assert (busier.instance, busier.changes) == (INSTANCE, (change,))
    (line,) = around_the_instance(story)
    assert line.startswith("the workload grew by")
    assert growth_words(change) in line
    assert busier.extra_seconds_per_hour == pytest.approx(change.extra_seconds_per_hour, rel=0.2)


def test_a_regression_is_named_by_its_incident_and_never_called_growth(after):
    story = after(fault("plan_regression", victim().statement), fault("more_executions", victim().statement, factor=2))
    (incident,) = story.store.open_incidents()
    (change,) = grown(story).changes
    assert (change.kind, change.incident_id, change.is_growth) == (GrowthKind.SLOWER, incident.incident_id, False)
    assert incident.incident_id in growth_words(change)


def test_ordinary_mornings_have_nothing_to_tell(after):
    story = after()
    found = grown(story)
    assert (found.changes, found.instances, around_the_instance(story)) == ((), (), ())


def test_the_first_day_says_nothing_however_much_is_new(mornings):
    found = grown(Story(*fleet_at(mornings, BEGIN)), START, START + HOUR)
    assert (found.changes, found.instances) == ((), ())


def test_what_came_after_a_gap_is_not_the_work_of_an_hour(mornings, tmp_path):
    shutil.copytree(mornings, tmp_path / "gap")
    fleet, clock = fleet_at(tmp_path / "gap", BEGIN)
    clock.advance(6 * HOUR)
    fleet.collect()
    end = clock()
    assert grown(Story(fleet, clock), end - HOUR, end).changes == ()


def test_a_new_statement_is_told_with_its_first_sight(tmp_path):
    write_mornings(tmp_path, fault("new_statement", victim().statement))
    fleet, clock = fleet_at(tmp_path, END)
    (change,) = grown(Story(fleet, clock)).changes
    assert (change.kind, change.query_hash) == (GrowthKind.NEW_STATEMENT, victim().query_hash)
    assert change.extra_seconds_per_hour == change.seconds_per_hour > 1
    assert growth_words(change) == "new since 2026-11-05 09:00 UTC"


def test_nothing_recorded_grows_by_nothing(tmp_path):
    fleet, clock = fleet_at(tmp_path, START)
    assert grown(Story(fleet, clock)).changes == ()
