"""A run whose process is gone is ended, any other is left alone: real processes, a real instance."""

import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Iterator

import dagster as dg
import pytest

from dbplanmon_pipeline.defs.naming import COLLECTION, JOB_TAG
from dbplanmon_pipeline_tests.defs.locations import NO_DELAY, Location

OF_DEFAULT_LAUNCHER = {".dagster/grpc_info": '{"host": "localhost", "port": 4000}'}
CLEAN = multiprocessing.get_context("spawn")


@pytest.fixture
def process() -> Iterator[multiprocessing.Process]:
    """Like the process of a run: a spawned child that goes on for long."""
    child = CLEAN.Process(target=time.sleep, args=(600,))
    child.start()
    yield child
    child.kill()
    child.join()


def started(location: Location, pid: int, tags: dict[str, str] = OF_DEFAULT_LAUNCHER) -> str:
    """A run as its process leaves it that began and says no more."""
    run = location.instance.create_run_for_job(
        dg.GraphDefinition("nothing").to_job(name=COLLECTION),
        status=dg.DagsterRunStatus.STARTED,
        tags={JOB_TAG: COLLECTION, **tags},
    )
    location.instance.report_engine_event(f"Started process for run (pid: {pid}).", run)
    return run.run_id


def look(location: Location) -> str:
    return str(location.sense("lost_runs_sensor").skip_message)


def status(location: Location, run_id: str) -> dg.DagsterRunStatus:
    return location.instance.get_run_by_id(run_id).status


def test_run_of_a_living_process_goes_on(location: Location, process: multiprocessing.Process) -> None:
    run_id = started(location, process.pid)
    assert look(location) == "no run has lost its process"
    assert status(location, run_id) is dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize("reaped", [False, True], ids=["zombie", "gone"])
def test_run_of_a_killed_process_has_failed(location: Location, process: multiprocessing.Process, reaped: bool) -> None:
    run_id = started(location, process.pid)
    os.kill(process.pid, signal.SIGKILL)
    # Waits for the end of the process and leaves the zombie.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    if reaped:
        process.join()
    assert look(location) == "ended 1 runs whose process was gone"
    assert status(location, run_id) is dg.DagsterRunStatus.FAILURE


def test_run_whose_number_another_program_got_has_failed(location: Location) -> None:
    other = subprocess.Popen(["sleep", "600"])
    try:
        run_id = started(location, other.pid)
        look(location)
    finally:
        other.kill()
        other.wait()
    assert status(location, run_id) is dg.DagsterRunStatus.FAILURE


def test_run_of_a_shard_has_failed_too(make_location) -> None:
    location = make_location(collection={**NO_DELAY, "shards": 2})
    run_id = started(location, 2**22 + 1, {**OF_DEFAULT_LAUNCHER, JOB_TAG: f"{COLLECTION}:2"})
    look(location)
    assert status(location, run_id) is dg.DagsterRunStatus.FAILURE


def test_run_of_another_launcher_may_be_on_another_host(location: Location) -> None:
    run_id = started(location, 2**22 + 1, tags={})
    look(location)
    assert status(location, run_id) is dg.DagsterRunStatus.STARTED
