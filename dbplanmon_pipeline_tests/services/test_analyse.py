"""The analysis of recorded intervals: the same data, the same result, however often and after whatever accident."""

from dataclasses import replace

import pytest

from dbplanmon_pipeline.core.alert_rules.policy import AlertPolicy
from dbplanmon_pipeline.core.incidents.incident import IncidentEvent, IncidentState
from dbplanmon_pipeline.core.model import Label
from dbplanmon_pipeline.services.analyse import MAX_CATCH_UP, analyse
from dbplanmon_pipeline.services.decide_alerts import decide_alerts
from dbplanmon_pipeline.services.decide_incident import decide_incident
from dbplanmon_pipeline.services.process_alerts import process_alerts
from dbplanmon_pipeline.services.rank_hotspots import rank_hotspots
from dbplanmon_pipeline.services.suggest_remediations import suggest_remediations
from dbplanmon_pipeline.services.summarise import summarise
from dbplanmon_pipeline.testing import RecordingChannel
from dbplanmon_pipeline_tests.services.fleets import START, STEP, Interrupted, Wrapped
from dbplanmon_pipeline_tests.services.stories import (
    BROKEN_AT,
    BROKEN_TICKS,
    CHANNELS,
    DETECTOR,
    REF,
    continue_story,
    policy,
    victim,
    write_calm_past,
)

INTERVALS_BEFORE = 2
"""Query Store shows the first reading what ran in the half hour before."""

TICKS_BEFORE_ADVICE = 2
"""After these the server gives advice of its own; an alert shows what it advises when the alert is written."""


@pytest.fixture(scope="module")
def past(tmp_path_factory):
    folder = tmp_path_factory.mktemp("past")
    write_calm_past(folder)
    return folder


@pytest.fixture(scope="module")
def judged_past(past, tmp_path_factory):
    """The calm past, a baseline, and an analysis that has seen all of it."""
    folder = tmp_path_factory.mktemp("judged") / "past"
    story = continue_story(past, folder)
    story.learn()
    story.analyse()
    story.store.close()
    return folder


@pytest.fixture
def story(judged_past, tmp_path):
    story = continue_story(judged_past, tmp_path)
    yield story
    story.store.close()


@pytest.fixture
def broken(story):
    """Half an hour with a worse plan, not yet analysed."""
    story.fleet.tick(BROKEN_TICKS)
    return story


class TestFinding:
    def test_calm_past_opens_nothing(self, story):
        assert story.everything()["incidents"] == []
        assert story.analyse().alerts == 0

    def test_worse_plan_is_found_named_and_explained(self, broken):
        report = broken.analyse()
        (incident,) = report.open_incidents
        assert (incident.database, incident.query_hash) == (REF.database, victim().query_hash)
        assert incident.label is Label.PLAN_REGRESSION
        assert incident.previous_plan_hash == victim().plan_hash
        assert incident.began_at == BROKEN_AT
        assert 4 < incident.effect_ratio < 10
        alerts = broken.store.alerts(START)
        assert {alert.channel for alert in alerts} == set(CHANNELS)
        assert f"dbplanmon incidents show {incident.incident_id}" in alerts[0].body
        assert "Clustered Index Scan" in alerts[0].body
        assert broken.store.suggestions([incident.incident_id])
        assert report.judged > 10

    def test_each_end_of_an_interval_is_judged_once(self, broken):
        moments = []

        class Counting:
            layout = DETECTOR.layout

            def evaluate(self, recent, baselines, as_of):
                moments.append(as_of)
                return DETECTOR.evaluate(recent, baselines, as_of)

        report = analyse(broken.store, Counting(), policy=policy())
        assert moments == [BROKEN_AT + STEP * (n + 1) for n in range(BROKEN_TICKS)]
        assert (report.ticks, report.as_of) == (BROKEN_TICKS, moments[-1])

    def test_empty_store_has_nothing_to_judge(self, store):
        report = analyse(store, DETECTOR, policy=policy())
        assert (report.as_of, report.ticks, report.open_incidents) == (None, 0, ())

    def test_without_a_baseline_nothing_is_judged(self, past, tmp_path):
        story = continue_story(past, tmp_path)
        story.fleet.tick(BROKEN_TICKS)
        report = story.analyse()
        assert report.judged == 0
        assert report.unjudged > 0
        assert report.open_incidents == ()


class TestAgain:
    def test_second_analysis_of_the_same_data_changes_nothing(self, broken):
        broken.analyse()
        before = broken.everything()
        again = broken.analyse()
        assert (again.changes, again.alerts, again.plan_changes) == ((), 0, ())
        assert broken.everything() == before

    def test_analysis_that_forgot_where_it_was_changes_nothing(self, broken):
        broken.analyse()
        before = broken.everything()
        state = broken.store.job_states(["analysis"])["analysis"]
        broken.store.save_job_states([replace(state, detail="")])
        assert broken.analyse().alerts == 0
        assert broken.everything() == before

    def test_missed_ticks_are_caught_up_with_the_same_result(self, past, tmp_path):
        results = []
        for name in ("each_tick", "at_once"):
            story = continue_story(past, tmp_path / name)
            story.learn()
            story.analyse()
            for _ in range(TICKS_BEFORE_ADVICE):
                story.fleet.tick()
                if name == "each_tick":
                    story.analyse()
            story.analyse()
            results.append(story.everything())
        assert results[0]["incidents"]
        assert results[0] == results[1]

    def test_moment_can_be_judged_by_name_without_moving_the_memory(self, broken):
        before = broken.store.job_states(["analysis"])
        report = broken.analyse(as_of=BROKEN_AT + STEP * 3)
        assert (report.ticks, report.as_of) == (1, BROKEN_AT + STEP * 3)
        assert broken.store.job_states(["analysis"]) == before
        assert broken.analyse().ticks == BROKEN_TICKS

    def test_plan_change_is_told_once(self, broken):
        first = [change for change in broken.analyse().plan_changes if change.query_hash == victim().query_hash]
        broken.fleet.tick()
        assert broken.analyse().plan_changes == ()
        (change,) = first
        assert (change.changed_at, change.previous_plan_hash) == (BROKEN_AT, victim().plan_hash)
        assert change.summary
        assert len([c for c in broken.store.plan_changes(START) if c.query_hash == victim().query_hash]) == 1

    def test_long_outage_is_caught_up_from_its_newest_ticks_and_keeps_all_plan_changes(self, story):
        story.fleet.tick(MAX_CATCH_UP + 6)
        report = story.analyse()
        assert report.ticks == MAX_CATCH_UP
        assert victim().query_hash in {change.query_hash for change in report.plan_changes}
        assert [i.query_hash for i in report.open_incidents] == [victim().query_hash]

    def test_missed_ticks_are_judged_by_what_was_known_then(self, story):
        story.fleet.tick(BROKEN_TICKS // 2)
        story.learn()
        story.fleet.tick(BROKEN_TICKS // 2)
        learnt = []

        class Noting:
            layout = DETECTOR.layout

            def evaluate(self, recent, baselines, as_of):
                learnt.append(baselines.as_of)
                return DETECTOR.evaluate(recent, baselines, as_of)

        analyse(story.store, Noting(), policy=policy())
        middle = BROKEN_AT + STEP * (BROKEN_TICKS // 2)
        assert learnt == [BROKEN_AT, BROKEN_AT, middle, middle, middle, middle]


class TestAccidents:
    """The process dies between two writes of one analysis."""

    @pytest.mark.parametrize(
        "at",
        ["save_plan_changes", "save_suggestions", "add_alerts", "save_incident_changes", "save_job_states"],
    )
    def test_death_before_any_write_is_made_up_for_without_a_second_alert(self, broken, past, tmp_path, at):
        def die(*_):
            raise Interrupted

        with pytest.raises(Interrupted):
            broken.analyse(Wrapped(broken.store, **{at: die}))
        broken.analyse()
        whole = continue_story(past, tmp_path / "whole")
        whole.learn()
        whole.analyse()
        whole.fleet.tick(BROKEN_TICKS)
        whole.analyse()
        assert broken.everything() == whole.everything()

    def test_alert_sent_before_the_death_is_not_sent_again(self, broken):
        channels = [RecordingChannel(name) for name in CHANNELS]

        def send():
            decide_alerts(broken.store, AlertPolicy(), now=broken.clock)
            process_alerts(broken.store, channels, now=broken.clock)

        def send_and_die(_):
            send()
            raise Interrupted

        with pytest.raises(Interrupted):
            broken.analyse(Wrapped(broken.store, save_incident_changes=send_and_die))
        broken.analyse()
        send()
        for channel in channels:
            opened = [alert for alert in channel.sent if alert.event == IncidentEvent.OPENED]
            assert len(opened) == 1


class TestLife:
    def test_persons_decision_outlives_the_next_analysis(self, broken):
        (incident,) = broken.analyse().open_incidents
        decide_incident(
            broken.store, incident.incident_id, IncidentEvent.DISMISSED, actor="dba", at=broken.clock(), note="known"
        )
        broken.fleet.tick(3)
        assert broken.analyse().open_incidents == ()
        assert broken.store.incident(incident.incident_id).state is IncidentState.DISMISSED

    def test_dismissed_incident_is_remembered_for_days(self, broken):
        asked = []

        def recent(since):
            asked.append(since)
            return []

        broken.analyse(Wrapped(broken.store, recent_incidents=recent))
        memory = policy().incidents.memory
        assert asked == [BROKEN_AT + STEP * (n + 1) - memory for n in range(BROKEN_TICKS)]


class TestBaselines:
    def test_rebuilding_for_the_same_moment_writes_the_same_version(self, story):
        first = story.store.baselines(story.clock(), DETECTOR.layout)
        report = story.learn()
        again = story.store.baselines(story.clock(), DETECTOR.layout)
        assert report.statements == len(first.table) > 15
        assert again.as_of == first.as_of
        assert again.table.equals(first.table)
        assert again.parameters.tobytes() == first.parameters.tobytes()

    def test_baseline_learns_only_from_what_had_ended_by_then(self, story):
        early = START + STEP * 30
        story.learn(as_of=early)
        found = story.store.baselines(early, DETECTOR.layout)
        assert found.as_of == early
        assert found.table["active_intervals"].max() == 30 + INTERVALS_BEFORE
        assert (
            story.store.baselines(story.clock(), DETECTOR.layout).table["active_intervals"].max()
            == 60 + INTERVALS_BEFORE
        )

    def test_open_incident_freezes_its_statement_and_no_other(self, broken):
        broken.analyse()
        before = self.rows(broken)
        report = broken.learn()
        after = self.rows(broken)
        key = (REF.database, victim().query_hash)
        assert report.frozen == 1
        assert after[key] == before[key]
        others = [other for other in before if other != key and before[other] != after[other]]
        assert len(others) > 10

    def test_intervals_of_a_past_incident_teach_nothing(self, broken):
        (incident,) = broken.analyse().open_incidents
        decide_incident(
            broken.store, incident.incident_id, IncidentEvent.RESOLVED, actor="dba", at=broken.clock(), note="fixed"
        )
        key = (REF.database, victim().query_hash)
        before = self.rows(broken)[key]
        assert broken.learn().frozen == 0
        assert self.rows(broken)[key] == before

    def test_without_incidents_the_bad_intervals_would_have_taught(self, broken):
        key = (REF.database, victim().query_hash)
        before = self.rows(broken)[key]
        broken.learn()
        assert self.rows(broken)[key] != before

    def rows(self, story):
        """(intervals, normal cost) by database and statement."""
        found = story.store.baselines(story.clock(), DETECTOR.layout).table
        columns = ["database_id", "query_hash", "active_intervals", "elapsed_median_us"]
        frame = story.store.interval_frame(START, story.clock(), columns=["execution_count"])
        names = {number: ref.database for number, ref in frame.databases.items()}
        return {(names[int(d)], int(q)): (n, cost) for d, q, n, cost in found[columns].itertuples(index=False)}


class TestAfterwards:
    def test_hotspots_rank_the_last_window_and_repeat_without_doubles(self, broken):
        report = rank_hotspots(broken.store, window=STEP * 6, top_n=5)
        assert report.window_end == broken.clock()
        by_time = [h for h in report.hotspots if h.rank_by == "elapsed_time_us"]
        assert [h.rank for h in by_time] == [1, 2, 3, 4, 5]
        assert by_time[0].elapsed_time_us >= by_time[-1].elapsed_time_us > 0
        rank_hotspots(broken.store, window=STEP * 6, top_n=5)
        assert len(broken.store.hotspots(rank_by="elapsed_time_us", limit=100)) == 5

    def test_hotspots_of_an_empty_store_are_none(self, store):
        assert rank_hotspots(store, window=STEP, top_n=5).hotspots == ()

    def test_suggestions_are_written_once(self, broken):
        broken.analyse()
        known = broken.store.suggestions()
        report = suggest_remediations(broken.store, dialect=policy().dialect)
        assert report.added == 0
        assert list(report.suggestions) == known
        assert known

    def test_without_open_incidents_there_is_nothing_to_suggest(self, story):
        assert suggest_remediations(story.store, dialect=policy().dialect).suggestions == ()

    def test_day_is_summed_up_the_same_each_time(self, broken):
        broken.analyse()
        first = summarise(broken.store, START.date(), top_n=5)
        assert len(first.opened) == 1
        assert first.ongoing == first.opened
        assert first.databases_read == 2
        assert first.readings == 2 * (1 + 60 + BROKEN_TICKS)
        assert any(change.query_hash == victim().query_hash for change in first.plan_changes)
        assert first.hotspots
        assert summarise(broken.store, START.date(), top_n=5) == first
