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
from dbplanmon_pipeline_tests.cli.test_up import DBPLANMON, environment, events, of_kind, wait_for

SLOW_TARGETS = """\
environment: development
collection: {interval: 1m, startup_delay: 0s, budget_per_database: 10m}
instances: [{name: fleet, engine: simulated, databases: 2, options: {latency_ms: 60000}}]
"""
QUICK_TARGETS = SLOW_TARGETS.replace("60000", "0")
STARTED = dg.DagsterRunStatus.STARTED


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
        """SIGTERM; everything must be gone within ten seconds."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=10) == 0
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


def left_in(folder: Path) -> list[psutil.Process]:
    """Processes that were started for this folder."""

    def belongs(process: psutil.Process) -> bool:
        try:
            return process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if belongs(process)]


def daemon_of(folder: Path) -> psutil.Process:
    return next(process for process in left_in(folder) if "dagster._daemon" in process.cmdline())


def runs(folder: Path, *statuses: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
    with dg.DagsterInstance.from_config(str(folder / ".dbplanmon")) as instance:
        return list(instance.get_runs(dg.RunsFilter(statuses=list(statuses))))


@pytest.mark.slow
def test_sigterm_during_the_start_leaves_nothing_behind_and_the_home_usable(tmp_path: Path) -> None:
    (tmp_path / "dbplanmon.yaml").write_text(SLOW_TARGETS)
    for seconds in (0.5, 3.5):
        with up_in(tmp_path) as up:
            wait_for(lambda up=up: of_kind(up.out, "starting"), "first event")
            time.sleep(seconds)
            up.stop()
            assert [event["event"] for event in events(up.out)][-1] == "stopped"
    with up_in(tmp_path) as up:
        up.ready()
        up.stop()
    assert "Traceback" not in (tmp_path / "err").read_text()


@pytest.mark.slow
def test_killed_daemon_comes_back_and_children_and_runs_of_a_killed_up_end(tmp_path: Path) -> None:
    (tmp_path / "dbplanmon.yaml").write_text(SLOW_TARGETS)
    with up_in(tmp_path) as up:
        up.ready()
        daemon_of(tmp_path).kill()
        wait_for(lambda: of_kind(up.out, "restarting"), "restart")
        assert of_kind(up.out, "restarting")[0]["child"] == "daemon"
        wait_for(lambda: runs(tmp_path, STARTED), "collection in progress")
        up.kill()
        wait_for(lambda: not left_in(tmp_path), "end of all processes")


@pytest.mark.slow
def test_run_that_was_cut_off_with_everything_else_does_not_block_the_next(tmp_path: Path) -> None:
    (tmp_path / "dbplanmon.yaml").write_text(SLOW_TARGETS)
    with up_in(tmp_path) as up:
        up.ready()
        (cut_off,) = wait_for(lambda: runs(tmp_path, STARTED), "collection in progress")
        for process in [*left_in(tmp_path)]:
            process.kill()
        up.process.wait()
    assert [run.run_id for run in runs(tmp_path, STARTED)] == [cut_off.run_id]
    (tmp_path / "dbplanmon.yaml").write_text(QUICK_TARGETS)
    with up_in(tmp_path) as up:
        up.ready()
        wait_for(lambda: runs(tmp_path, dg.DagsterRunStatus.SUCCESS), "good collection")
        up.stop()
    assert runs(tmp_path, STARTED) == []
    assert cut_off.run_id in {run.run_id for run in runs(tmp_path, dg.DagsterRunStatus.FAILURE)}
