"""A collection in several runs: each reads its part of the fleet, is retried alone, and holds back nobody else."""

from datetime import timedelta

import dagster as dg
import pytest

from dbplanmon_pipeline_tests.defs.locations import Location, checks_of, metadata_of, simulated_fleet, why_it_failed
from dbplanmon_pipeline_tests.services.fleets import START, STEP

SECOND = timedelta(seconds=1)
THREE = {"collection": {"startup_delay": "0s", "shards": 3}}


def instances(*names: str, failing: str = "") -> list[dict[str, object]]:
    return [{**simulated_fleet(2, failing=2 if name == failing else 0), "name": name} for name in names]


@pytest.fixture
def location(make_location):
    return make_location(kept=True, instances=instances("a", "b", "c", "d"), **THREE)


def run(location: Location, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    return location.run("collection_job", run_config=request.run_config, tags=request.tags)


def shard_of(request: dg.RunRequest) -> str:
    return request.tags["dbplanmon/shard"]


def pretend(location: Location, tags: dict[str, str]) -> None:
    job = location.definitions.resolve_job_def("collection_job")
    location.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)


class TestSchedule:
    def test_it_asks_for_one_run_per_shard(self, location):
        asked = location.tick("collection_schedule").run_requests
        assert [shard_of(request) for request in asked] == ["1/3", "2/3", "3/3"]
        assert len({request.run_key for request in asked}) == 3

    def test_shards_may_run_beside_each_other_but_not_beside_themselves(self, location):
        asked = location.tick("collection_schedule").run_requests
        # The shipped dagster.yaml lets one run per value of this tag go at a time.
        assert [request.tags["dbplanmon/job"] for request in asked] == [f"collection_job:{n}" for n in (1, 2, 3)]

    def test_together_the_runs_read_every_database_once(self, location):
        location.clock.advance(STEP)
        for request in location.tick("collection_schedule").run_requests:
            assert run(location, request).success
        with location.monitor.session() as session:
            read = [str(outcome.ref) for outcome in session.store.collection_log(START)]
        assert sorted(read) == [f"{name}/sim000{number}" for name in "abcd" for number in (1, 2)]

    def test_a_shard_under_way_holds_back_itself_alone(self, location):
        first = location.tick("collection_schedule").run_requests[0]
        pretend(location, first.tags)
        assert [shard_of(r) for r in location.tick("collection_schedule").run_requests] == ["2/3", "3/3"]

    def test_a_run_over_everything_holds_back_all_of_them(self, location):
        pretend(location, {})
        tick = location.tick("collection_schedule")
        assert tick.run_requests == []
        assert "still under way" in tick.skip_message

    def test_one_instance_is_one_run_whatever_the_settings_ask_for(self, make_location):
        location = make_location(kept=True, instances=instances("a"), **THREE)
        (request,) = location.tick("collection_schedule").run_requests
        assert "dbplanmon/shard" not in request.tags


class TestFailure:
    @pytest.fixture
    def half_dead(self, make_location):
        """Two instances, two shards, one of them dead."""
        return make_location(
            kept=True, instances=instances("good", "dead", failing="dead"), collection={**THREE["collection"]}
        )

    def collect(self, location: Location) -> dict[str, dg.ExecuteInProcessResult]:
        return {shard_of(r): run(location, r) for r in location.tick("collection_schedule").run_requests}

    def test_failures_are_counted_by_shard_and_only_that_one_is_tried_again(self, half_dead):
        results = self.collect(half_dead)
        (failed,) = [shard for shard, result in results.items() if not result.success]
        with half_dead.monitor.session() as session:
            states = session.store.job_states(["collection", "collection:1", "collection:2"])
        assert [states[f"collection:{n}"].consecutive_failures for n in (1, 2)] == [
            int(failed == "1/2"),
            int(failed == "2/2"),
        ]
        assert states["collection"].last_success_at is None
        half_dead.clock.advance(29 * SECOND)
        assert half_dead.sense("collection_retry_sensor").run_requests == []
        assert [shard_of(r) for r in half_dead.tick("collection_schedule").run_requests] == [
            shard for shard in results if shard != failed
        ]
        half_dead.clock.advance(SECOND)
        (again,) = half_dead.sense("collection_retry_sensor").run_requests
        assert (shard_of(again), again.tags["dbplanmon/attempt"]) == (failed, "2")

    def test_the_check_of_the_last_shard_still_names_what_another_could_not_read(self, half_dead):
        results = list(self.collect(half_dead).values())
        results.sort(key=lambda result: result.success)
        half_dead.clock.advance(SECOND)
        good = half_dead.tick("collection_schedule").run_requests[0]
        again = run(half_dead, good)
        assert again.success
        evaluation = checks_of(again)["targets_are_reachable"]
        assert "dead/sim0001" in evaluation.metadata["targets"].value
        assert metadata_of(again)["query_metrics"]["databases"] == 2


class TestOthers:
    def test_a_start_asks_for_every_shard(self, location):
        asked = location.sense("collection_start_sensor").run_requests
        assert [shard_of(request) for request in asked] == ["1/3", "2/3", "3/3"]
        assert run(location, asked[0]).success
        assert [shard_of(r) for r in location.sense("collection_start_sensor").run_requests] == ["2/3", "3/3"]

    def test_analysis_follows_the_first_shard_and_is_not_put_off_by_the_next(self, location):
        asked = location.tick("collection_schedule").run_requests
        run(location, asked[0])
        location.clock.advance(20 * SECOND)
        run(location, asked[1])
        location.clock.advance(10 * SECOND)
        first = location.sense("analysis_sensor")
        assert [request.job_name for request in first.run_requests] == ["analysis_job", "insights_job"]
        assert location.sense("analysis_sensor", first.cursor).run_requests == []
        run(location, asked[2])
        location.clock.advance(30 * SECOND)
        assert len(location.sense("analysis_sensor", first.cursor).run_requests) == 2

    @pytest.mark.parametrize(
        ("config", "complaint"),
        [
            ({"shard": "4/3"}, "'4/3' is no shard such as 2/4"),
            ({"shard": "1/3", "databases": ["a"]}, "name databases or a shard, not both"),
        ],
    )
    def test_a_wrong_part_is_one_clear_error(self, location, config, complaint):
        result = location.run("collection_job", run_config={"ops": {"collect": {"config": config}}})
        assert complaint in why_it_failed(result)
