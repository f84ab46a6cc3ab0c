"""The shipped dagster.yaml: where state lies, what may run at once, and what is tidied up."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline_tests.defs.locations import settings_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def test_all_state_lies_in_one_folder(home: Path, instance: dg.DagsterInstance) -> None:
    definitions = build_definitions(settings_of(home / ".dbplanmon"))
    assert definitions.resolve_job_def("collection_job").execute_in_process(instance=instance).success
    assert definitions.resolve_job_def("analysis_job").execute_in_process(instance=instance).success
    assert {path.name for path in home.iterdir()} == {"dagster.yaml", ".dbplanmon"}
    assert (home / ".dbplanmon" / "store.db").is_file()
    assert (home / ".dbplanmon" / "dagster").is_dir()


def test_a_job_never_runs_beside_itself(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 4
    (limit,) = queue.tag_concurrency_limits
    assert limit == {"key": "dbplanmon/job", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


def test_every_scheduled_job_carries_the_tag_of_the_limit(tmp_path: Path) -> None:
    repository = build_definitions(settings_of(tmp_path)).get_repository_def()
    asked = {schedule.job_name for schedule in repository.schedule_defs}
    asked |= {target.job_name for sensor in repository.sensor_defs for target in sensor.targets}
    for name in asked - {"database_snapshot_job"}:
        assert repository.get_job(name).tags["dbplanmon/job"] == name


def test_run_whose_process_died_is_ended(instance: dg.DagsterInstance) -> None:
    assert instance.run_monitoring_enabled
    assert instance.run_monitoring_start_timeout_seconds == 120
    assert instance.run_monitoring_cancel_timeout_seconds == 60
    assert instance.run_monitoring_poll_interval_seconds == 30


def test_ticks_are_not_kept_for_ever_and_nobody_calls_home(instance: dg.DagsterInstance) -> None:
    assert not instance.telemetry_enabled
    kept = instance.get_settings("retention")
    assert kept["schedule"]["purge_after_days"] == 30
    assert kept["sensor"]["purge_after_days"]["skipped"] == 1
