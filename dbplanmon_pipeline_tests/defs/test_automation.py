"""Schedules and sensors: when a run is asked for, and when it is held back."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.defs.runs import UNFINISHED
from dbplanmon_pipeline.errors import CannotConnect
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline_tests.defs.locations import simulated_fleet
from dbplanmon_pipeline_tests.services.fleets import START, STEP

SECOND = timedelta(seconds=1)
ENDED = [s for s in dg.DagsterRunStatus if s not in UNFINISHED and s is not dg.DagsterRunStatus.MANAGED]


@pytest.fixture
def location(make_location):
    return make_location(kept=True)


@pytest.fixture
def dead(make_location):
    """A fleet none of which answers."""
    return make_location(kept=True, instances=[simulated_fleet(2, failing=2)])


class TestCollectionSchedule:
    def test_it_asks_for_one_tagged_run(self, location):
        (request,) = location.tick("collection_schedule").run_requests
        assert request.tags["dbplanmon/job"] == "collection_job"

    @pytest.mark.parametrize("status", UNFINISHED, ids=lambda s: s.value.lower())
    def test_it_skips_while_a_run_is_under_way(self, location, status):
        run = location.pretend("collection_job", status)
        tick = location.tick("collection_schedule")
        assert tick.run_requests == []
        assert tick.skip_message == f"run {run.run_id[:8]} is still under way"

    @pytest.mark.parametrize("status", ENDED, ids=lambda s: s.value.lower())
    def test_ended_runs_do_not_hold_it_back(self, location, status):
        location.pretend("collection_job", status)
        assert len(location.tick("collection_schedule").run_requests) == 1

    def test_runs_of_other_jobs_do_not_hold_it_back(self, location):
        location.pretend("analysis_job", dg.DagsterRunStatus.STARTED)
        assert len(location.tick("collection_schedule").run_requests) == 1

    def test_it_skips_while_a_back_off_is_pending(self, dead):
        dead.collect()
        dead.clock.advance(29 * SECOND)
        tick = dead.tick("collection_schedule")
        assert tick.run_requests == []
        assert tick.skip_message == "backing off until 08:05:30 UTC after failed collections"
        dead.clock.advance(SECOND)
        assert len(dead.tick("collection_schedule").run_requests) == 1

    def test_it_skips_within_the_delay_after_a_start(self, make_location):
        location = make_location(kept=True, collection={"startup_delay": "10s"})
        location.clock.advance(9 * SECOND)
        assert location.tick("collection_schedule").skip_message == "started less than 10 s ago"
        location.clock.advance(SECOND)
        assert len(location.tick("collection_schedule").run_requests) == 1


class TestDailySchedules:
    @pytest.mark.parametrize(
        ("schedule", "job", "partition"),
        [
            ("baselines_schedule", "baselines_job", "2026-11-01"),
            ("daily_summary_schedule", "daily_summary_job", "2026-11-01"),
            ("rollups_schedule", "rollups_job", "2026-10-31"),
        ],
    )
    def test_each_asks_for_the_day_that_has_ended(self, location, schedule, job, partition):
        (request,) = location.tick(schedule, datetime(2026, 11, 2, 2, 0, tzinfo=UTC)).run_requests
        assert (request.partition_key, request.tags["dbplanmon/job"]) == (partition, job)

    @pytest.mark.parametrize("schedule", ["baselines", "daily_summary", "rollups", "health"])
    def test_each_skips_while_its_last_run_is_under_way(self, location, schedule):
        location.pretend(f"{schedule}_job", dg.DagsterRunStatus.QUEUED)
        tick = location.tick(f"{schedule}_schedule")
        assert tick.run_requests == []
        assert "still under way" in tick.skip_message

    def test_partition_of_a_schedule_exists(self, location):
        (request,) = location.tick("baselines_schedule").run_requests
        location.collect()
        assert location.run("baselines_job", partition_key=request.partition_key).success


class TestAnalysisSensor:
    DELAY = 30 * SECOND

    def test_it_waits_exactly_the_delay_and_asks_once(self, location):
        assert location.sense("analysis_sensor").skip_message == "no collection since the last analysis"
        location.collect()
        location.clock.advance(self.DELAY - timedelta(microseconds=1))
        assert location.sense("analysis_sensor").skip_message == "analysis is due at 08:05:30 UTC"
        location.clock.advance(timedelta(microseconds=1))
        asked = location.sense("analysis_sensor")
        ended = (START + STEP).isoformat()
        assert [(r.job_name, r.run_key) for r in asked.run_requests] == [
            ("analysis_job", f"analysis_job:{ended}"),
            ("insights_job", f"insights_job:{ended}"),
        ]
        again = location.sense("analysis_sensor", asked.cursor)
        assert (again.run_requests, again.skip_message) == ([], "no collection since the last analysis")

    def test_next_collection_is_analysed_again(self, location):
        location.collect()
        location.clock.advance(self.DELAY)
        cursor = location.sense("analysis_sensor").cursor
        location.collect()
        location.clock.advance(self.DELAY)
        assert len(location.sense("analysis_sensor", cursor).run_requests) == 2

    def test_collection_of_named_databases_is_analysed_too(self, location):
        location.collect("fleet/sim0001")
        location.clock.advance(self.DELAY)
        assert len(location.sense("analysis_sensor").run_requests) == 2

    def test_it_waits_for_an_analysis_under_way(self, location):
        location.collect()
        location.clock.advance(self.DELAY)
        location.pretend("analysis_job", dg.DagsterRunStatus.STARTED)
        waiting = location.sense("analysis_sensor", "earlier")
        assert "still under way" in waiting.skip_message
        assert waiting.cursor in (None, "earlier")

    def test_collection_that_failed_altogether_has_nothing_to_analyse(self, dead):
        dead.collect()
        dead.clock.advance(self.DELAY)
        assert dead.sense("analysis_sensor").run_requests == []

    def test_what_a_failed_collection_did_read_is_analysed(self, make_location):
        location = make_location(
            kept=True,
            collection={"failure_threshold": 0.5, "startup_delay": "0s"},
            instances=[simulated_fleet(3, failing=2)],
        )
        assert not location.collect().success
        location.clock.advance(self.DELAY)
        assert len(location.sense("analysis_sensor").run_requests) == 2


class TestRetrySensor:
    def test_pauses_double_up_to_ten_minutes_and_each_attempt_is_asked_for_once(self, dead):
        pauses, keys = [], set()
        for attempt in range(1, 8):
            assert not dead.collect(by=timedelta()).success
            failed_at = dead.clock()
            assert dead.sense("collection_retry_sensor").run_requests == []
            while not (asked := dead.sense("collection_retry_sensor").run_requests):
                dead.clock.advance(10 * SECOND)
            assert asked == dead.sense("collection_retry_sensor").run_requests
            assert asked[0].tags["dbplanmon/attempt"] == str(attempt + 1)
            pauses.append((dead.clock() - failed_at).total_seconds())
            keys.add(asked[0].run_key)
        assert pauses == [30, 60, 120, 240, 480, 600, 600]
        assert len(keys) == 7

    def test_it_rests_when_all_is_well(self, location):
        assert location.sense("collection_retry_sensor").skip_message == "the last collection went well"
        location.collect()
        assert location.sense("collection_retry_sensor").skip_message == "the last collection went well"

    def test_it_does_not_start_a_second_run(self, dead):
        dead.collect()
        dead.clock.advance(STEP)
        dead.pretend("collection_job", dg.DagsterRunStatus.QUEUED)
        assert "still under way" in dead.sense("collection_retry_sensor").skip_message


class TestStartSensor:
    def test_it_reads_once_after_a_start_without_waiting_for_the_schedule(self, make_location):
        location = make_location(kept=True, collection={"startup_delay": "10s"})
        assert location.sense("collection_start_sensor").skip_message == "started less than 10 s ago"
        location.clock.advance(10 * SECOND)
        (first,) = location.sense("collection_start_sensor").run_requests
        (again,) = location.sense("collection_start_sensor").run_requests
        assert first.run_key == again.run_key == f"start:{START.isoformat()}"

    def test_it_leaves_a_recent_collection_and_failures_alone(self, location, make_location):
        location.collect()
        assert location.sense("collection_start_sensor").skip_message == "the last collection is recent enough"
        with location.monitor.session() as session:
            session.store.save_job_states([JobState("collection", consecutive_failures=2)])
        assert "retry sensor" in location.sense("collection_start_sensor").skip_message

    def test_it_has_nothing_to_do_without_instances(self, make_location):
        location = make_location(kept=True, instances=[])
        assert location.sense("collection_start_sensor").skip_message == "no instances in the settings"


class TestDatabasesSensor:
    def test_partitions_follow_the_settings(self, location):
        location.instance.add_dynamic_partitions("databases", ["fleet/sim0001", "fleet/old"])
        requests = location.sense("databases_sensor").dynamic_partitions_requests
        assert [(type(r).__name__, list(r.partition_keys)) for r in requests] == [
            ("AddDynamicPartitionsRequest", ["fleet/sim0002", "fleet/sim0003"]),
            ("DeleteDynamicPartitionsRequest", ["fleet/old"]),
        ]

    def test_it_rests_when_they_agree(self, location):
        location.instance.add_dynamic_partitions("databases", [f"fleet/sim000{n}" for n in (1, 2, 3)])
        assert location.sense("databases_sensor").skip_message == "3 databases, none new, none gone"

    def test_partitions_of_a_server_that_does_not_answer_stay(self, make_location, monkeypatch):
        class Silent(SimulatedProvider):
            def databases(self):
                raise CannotConnect("no route to host")

        location = make_location(
            kept=True,
            instances=[
                {"name": "pg", "engine": "postgres", "server": "h", "login": {"user": "u"}},
                simulated_fleet(1),
            ],
        )
        made = location.monitor._make_provider
        monkeypatch.setattr(
            location.monitor, "_make_provider", lambda i, s: Silent("pg", 1) if i.name == "pg" else made(i, s)
        )
        location.instance.add_dynamic_partitions("databases", ["pg/Sales", "pg/Hr"])
        requests = location.sense("databases_sensor").dynamic_partitions_requests
        assert [list(request.partition_keys) for request in requests] == [["fleet/sim0001"]]
