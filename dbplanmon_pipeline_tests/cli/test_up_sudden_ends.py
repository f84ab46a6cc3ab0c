"""`dbplanmon up` is stopped or killed at any moment: nothing stays behind, and the next start goes on."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest

from dbplanmon_pipeline.cli.running.ports import free_port
from dbplanmon_pipeline_tests.cli.test_up import DBPLANMON, PATIENCE_SECONDS, environment, events, of_kind, wait_for

SETTINGS = """\
environment: development
collection: {interval: 1m, startup_delay: 0s, budget_per_database: 10m, shards: 2}
instances:
  - {name: north, engine: simulated, databases: 2, options: {latency_ms: NORTH}}
  - {name: south, engine: simulated, databases: 2, options: {latency_ms: SOUTH}}
"""
QUICK, NEVER = "0", "60000"
STARTED, SUCCESS, FAILURE = (dg.DagsterRunStatus[name] for name in ("STARTED", "SUCCESS", "FAILURE"))


class Up:
    """One `dbplanmon up` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / f"out-{time.monotonic_ns()}"
        command = [*DBPLANMON, "up", "--port", str(free_port()), "--status-port", "0", "--json"]
        with self.out.open("w") as stdout, (folder / "err").open("a") as stderr:
            self.process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=stdout, stderr=stderr)

    def ready(self) -> None:
        wait_for(lambda: self.process.poll() is not None or of_kind(self.out, "ready"), "ready event")
        assert self.process.poll() is None, (self.folder / "err").read_text()

    def stop(self) -> None:
        """SIGTERM; nothing may be left of it."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0
        assert left_in(self.folder) == []

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def up_in(folder: Path) -> Iterator[Up]:
    up = Up(folder)
    try:
        yield up
    finally:
        for left in left_in(folder):
            left.kill()
        up.process.wait()


@contextmanager
def dagster_of(up: Up) -> Iterator[dg.DagsterInstance]:
    """Its instance, once it is ready; opened once, as opening costs more than asking."""
    up.ready()
    with dg.DagsterInstance.from_config(str(up.folder / ".dbplanmon")) as instance:
        yield instance


def left_in(folder: Path) -> list[psutil.Process]:
    """Processes that were started for this folder."""

    def belongs(process: psutil.Process) -> bool:
        try:
            return process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if belongs(process)]


def ids_of(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> set[str]:
    """Of collections."""
    chosen = dg.RunsFilter(job_name="collection_job", statuses=[status])
    return {run.run_id for run in instance.get_runs(chosen)}


def write_settings(folder: Path, *, north: str, south: str) -> None:
    (folder / "dbplanmon.yaml").write_text(SETTINGS.replace("NORTH", north).replace("SOUTH", south))


@pytest.mark.slow
def test_whatever_ends_it_nothing_stays_behind_and_the_next_start_goes_on(tmp_path: Path) -> None:
    """One home, four starts: an end during the start twice, an end of everything at once, an end of `up` alone."""
    write_settings(tmp_path, north=NEVER, south=NEVER)
    for seconds in (0.5, 3.5):
        with up_in(tmp_path) as up:
            wait_for(lambda up=up: of_kind(up.out, "starting"), "first event")
            time.sleep(seconds)
            up.stop()
            assert [event["event"] for event in events(up.out)][-1] == "stopped"
    with up_in(tmp_path) as up, dagster_of(up) as instance:
        wait_for(lambda: len(ids_of(instance, STARTED)) == 2, "collections of both shards in progress")
        for process in [*left_in(tmp_path)]:
            process.kill()
        up.process.wait()
        cut_off = ids_of(instance, STARTED)
    assert len(cut_off) == 2

    write_settings(tmp_path, north=NEVER, south=QUICK)
    with up_in(tmp_path) as up, dagster_of(up) as instance:
        wait_for(lambda: ids_of(instance, SUCCESS), "good collection of one shard")
        wait_for(lambda: ids_of(instance, STARTED) - cut_off, "collection of the other shard in progress")
        wait_for(lambda: ids_of(instance, FAILURE) == cut_off, "end of both runs that were cut off")
        up.kill()
        wait_for(lambda: not left_in(tmp_path), "end of all processes")
    assert "Traceback" not in (tmp_path / "err").read_text()
