"""What the code location shows: names, crons, and how it lives beside others."""

import json
import os
from pathlib import Path

import dagster as dg
import pytest

from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline.errors import SettingsError
from dbplanmon_pipeline_tests.defs.locations import FLEET, Location, metadata_of, settings_of

SNAPSHOT = Path(__file__).with_name("location.json")
UPDATE = "DBPLANMON_TEST_UPDATE_SNAPSHOT"


def shown(definitions: dg.Definitions) -> dict[str, object]:
    """Everything a person or another program knows by name."""
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    return {
        "assets": {
            node.key.to_user_string(): {
                "group": node.group_name,
                "after": sorted(key.to_user_string() for key in node.parent_keys),
                "partitions": type(node.partitions_def).__name__ if node.partitions_def else None,
            }
            for node in sorted(graph.asset_nodes, key=lambda node: node.key)
        },
        "checks": sorted(key.to_user_string() for key in graph.asset_check_keys),
        "jobs": {
            job.name: sorted(key.to_user_string() for key in job.asset_layer.executable_asset_keys)
            for job in sorted(repository.get_all_jobs(), key=lambda job: job.name)
            if not job.name.startswith("__")
        },
        "schedules": {
            s.name: [s.cron_schedule, s.execution_timezone, s.job_name]
            for s in sorted(repository.schedule_defs, key=lambda s: s.name)
        },
        "sensors": {
            s.name: [s.minimum_interval_seconds, *sorted(target.job_name for target in s.targets)]
            for s in sorted(repository.sensor_defs, key=lambda s: s.name)
        },
    }


def test_location_loads(location: Location) -> None:
    dg.Definitions.validate_loadable(location.definitions)


def test_location_of_an_empty_fleet_loads(tmp_path: Path) -> None:
    dg.Definitions.validate_loadable(build_definitions(settings_of(tmp_path, instances=[])))
    assert list(tmp_path.iterdir()) == []


def test_names_and_crons_are_those_of_the_snapshot(location: Location) -> None:
    found = json.dumps(shown(location.definitions), indent=2) + "\n"
    if os.environ.get(UPDATE):
        SNAPSHOT.write_text(found, encoding="utf-8")
    assert json.loads(found) == json.loads(SNAPSHOT.read_text(encoding="utf-8")), (
        f"names or crons changed. People have bookmarks and automation on them: if the change is wanted, run this "
        f"test once with {UPDATE}=1, look at the diff of {SNAPSHOT.name}, and tell it in the change log."
    )


def test_everything_runs_by_itself_from_the_start(location: Location) -> None:
    assert {s.default_status for s in location.repository.schedule_defs} == {dg.DefaultScheduleStatus.RUNNING}
    assert {s.default_status for s in location.repository.sensor_defs} == {dg.DefaultSensorStatus.RUNNING}


@pytest.mark.parametrize(
    ("switch", "gone"),
    [
        ("collection", {"collection_schedule", "collection_start_sensor"}),
        ("analysis", {"analysis_sensor"}),
        ("retry", {"collection_retry_sensor"}),
        ("health", {"health_schedule"}),
        ("baselines", {"baselines_schedule", "history_sensor"}),
        ("rollups", {"rollups_schedule"}),
        ("summary", {"daily_summary_schedule"}),
    ],
)
def test_each_automation_can_be_switched_off(make_location, switch: str, gone: set[str]) -> None:
    def names(location: Location) -> set[str]:
        return {item.name for item in (*location.repository.schedule_defs, *location.repository.sensor_defs)}

    assert names(make_location()) - names(make_location(schedules={switch: False})) == gone


@pytest.mark.parametrize(
    ("interval", "cron"),
    [
        ("10s", "*/1 * * * *"),
        ("1m", "*/1 * * * *"),
        ("5m", "*/5 * * * *"),
        ("30m", "*/30 * * * *"),
        ("1h", "0 */1 * * *"),
        ("6h", "0 */6 * * *"),
        ("1d", "0 0 * * *"),
    ],
)
def test_cron_follows_the_interval(make_location, interval: str, cron: str) -> None:
    location = make_location(collection={"interval": interval})
    assert location.repository.get_schedule_def("collection_schedule").cron_schedule == cron


@pytest.mark.parametrize("interval", ["7m", "90m", "5h"])
def test_interval_without_a_cron_is_one_clear_error(tmp_path: Path, interval: str) -> None:
    with pytest.raises(SettingsError, match="choose one that divides an hour or a day evenly"):
        build_definitions(settings_of(tmp_path, collection={"interval": interval}))


class TestBesideOthers:
    """Merged into a code location that is there already."""

    def host(self) -> dg.Definitions:
        @dg.asset
        def query_metrics() -> None:
            pass

        @dg.op
        def collect() -> None:
            pass

        @dg.job(name="collection_job")
        def collection_job() -> None:
            collect()

        @dg.schedule(name="collection_schedule", job=collection_job, cron_schedule="0 0 * * *")
        def collection_schedule() -> dict:
            return {}

        return dg.Definitions(
            assets=[query_metrics],
            jobs=[collection_job],
            schedules=[collection_schedule],
            resources={"warehouse": "theirs"},
            executor=dg.multiprocess_executor,
        )

    def test_prefixed_definitions_merge_with_a_location_of_the_same_names(self, make_location) -> None:
        ours = make_location(key_prefix="dba")
        merged = dg.Definitions.merge(self.host(), ours.definitions)
        dg.Definitions.validate_loadable(merged)
        keys = {key.to_user_string() for key in merged.resolve_all_asset_keys()}
        assert {"query_metrics", "dba/query_metrics", "dba/baselines"} <= keys
        result = merged.resolve_job_def("dba__collection_job").execute_in_process(instance=ours.instance)
        assert result.success
        assert {e.asset_key.to_user_string() for e in result.get_asset_materialization_events()} == {
            "dba/plan_snapshots",
            "dba/query_metrics",
        }

    def test_two_sets_under_two_prefixes_keep_their_own_settings(self, make_location) -> None:
        first = make_location(key_prefix="paris")
        second = make_location(key_prefix=["9", "rome"], instances=[{**FLEET, "name": "elsewhere"}])
        merged = dg.Definitions.merge(self.host(), first.definitions, second.definitions)
        dg.Definitions.validate_loadable(merged)
        for job, instance in (("paris__collection_job", "fleet"), ("9__rome__collection_job", "elsewhere")):
            result = merged.resolve_job_def(job).execute_in_process(instance=first.instance)
            assert f"{instance}/sim0001" in metadata_of(result)["query_metrics"]["slowest"]

    def test_every_name_bears_the_prefix(self, make_location) -> None:
        found = shown(make_location(key_prefix="dba").definitions)
        assert all(key.startswith("dba/") for key in found["assets"])
        assert all(name.startswith("dba__") for kind in ("jobs", "schedules", "sensors") for name in found[kind])

    def test_prefixed_sensors_and_schedules_ask_for_prefixed_jobs(self, make_location) -> None:
        ours = make_location(key_prefix="dba", kept=True)
        assert ours.tick("dba__collection_schedule").run_requests[0].tags["dbplanmon/job"] == "dba__collection_job"
        assert ours.run("dba__collection_job").success
        ours.clock.advance(ours.settings.analysis.delay)
        asked = ours.sense("dba__analysis_sensor").run_requests
        assert [request.job_name for request in asked] == ["dba__analysis_job", "dba__insights_job"]
