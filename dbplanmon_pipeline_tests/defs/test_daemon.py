"""The real daemon with the shipped files: it collects, analyses in time, and leaves when asked to."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from dbplanmon_pipeline.defs.runs import UNFINISHED

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
SETTINGS = """\
environment: test
collection: {interval: 1m, startup_delay: 0s}
analysis: {delay: 10s}
instances:
  - {name: fleet, engine: simulated, databases: 3, options: {statements: 10}}
"""
DELAY_SECONDS, TICK_SECONDS = 10, 15
"""Of the analysis, as the settings above say; and how late a tick of its sensor may be."""

PATIENCE_SECONDS = 300
"""For the first analysis: a quiet machine needs 30 s."""


def wait_for(what: str, found: Callable[[], Any], seconds: float, every: float = 1.0) -> Any:
    end = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < end, f"no {what} within {seconds:.0f} s"
        time.sleep(every)
    return answer


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "dbplanmon.yaml").write_text(SETTINGS)
    return tmp_path


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    ours = {"DAGSTER_HOME": str(home), "DBPLANMON_CONFIG": str(home / "dbplanmon.yaml"), "PYTHONPATH": str(ROOT)}
    return {name: value for name, value in os.environ.items() if not name.startswith("DBPLANMON_")} | ours


def processes_of(home: Path) -> list[psutil.Process]:
    """Whoever was started for this home, however deep below."""

    def belongs(process: psutil.Process) -> bool:
        try:
            return process.environ().get("DAGSTER_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    return [process for process in psutil.process_iter() if belongs(process)]


@pytest.fixture
def daemon(home: Path, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    subprocess.run(
        [PROGRAMS / "dagster", "instance", "migrate"], cwd=home, env=environment, check=True, capture_output=True
    )
    with (home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAMS / "dagster-daemon", "run"], cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            for left in processes_of(home):
                left.kill()
            process.wait()
            print((home / "daemon.log").read_text()[-4000:])  # noqa: T201 - pytest shows it with a failure


@pytest.fixture
def runs(home: Path, daemon: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[dg.RunRecord]]]:
    """Records of the runs of a job in some states, the oldest first."""
    monkeypatch.chdir(home)
    with dg.DagsterInstance.from_config(str(home)) as instance:

        def ask(job: str | None = None, statuses: list[dg.DagsterRunStatus] | None = None) -> list[dg.RunRecord]:
            chosen = dg.RunsFilter(job_name=job, statuses=statuses)
            return sorted(instance.get_run_records(chosen), key=lambda record: record.create_timestamp)

        yield ask


def seconds_after_its_collection(record: dg.RunRecord) -> float:
    """The run key of an analysis ends with the moment at which its collection ended."""
    ended = datetime.fromisoformat(record.dagster_run.tags["dagster/run_key"].split(":", 1)[1])
    return (record.create_timestamp.astimezone(UTC) - ended).total_seconds()


@pytest.mark.slow
def test_daemon_collects_analyses_after_the_delay_and_leaves_nothing_behind(home, daemon, runs) -> None:
    good = [dg.DagsterRunStatus.SUCCESS]
    wait_for("collection", lambda: runs("collection_job", good), PATIENCE_SECONDS)

    def in_time() -> list[float]:
        """On a loaded machine a single tick of the sensor may be late; none may be early."""
        waits = [seconds_after_its_collection(record) for record in runs("analysis_job", good)]
        assert all(wait >= DELAY_SECONDS for wait in waits)
        return [wait for wait in waits if wait <= DELAY_SECONDS + TICK_SECONDS]

    wait_for("analysis in time after its collection", in_time, PATIENCE_SECONDS)
    wait_for("moment without a run", lambda: not runs(statuses=UNFINISHED), 120)
    assert not [record for record in runs() if record.dagster_run.status is dg.DagsterRunStatus.FAILURE]

    daemon.send_signal(signal.SIGTERM)
    wait_for("end of all processes", lambda: daemon.poll() is not None and not processes_of(home), 60, every=0.2)
    # Dagster also makes two folders for its telemetry, which is off: they stay empty.
    state = home / ".dbplanmon"
    files = {path for path in home.rglob("*") if path.is_file() and not path.is_relative_to(state)}
    assert {path.name for path in files} == {"daemon.log", "dagster.yaml", "dbplanmon.yaml", "workspace.yaml"}
