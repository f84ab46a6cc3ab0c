"""Dagster events and wall time per run, with one database and with 500, in this process and launched by the daemon.

Every event is one write to Dagster's own database, so their number must not grow with the fleet.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.defs.naming import ANALYSIS, COLLECTION, HEALTH, INSIGHTS
from dbplanmon_pipeline.settings import Settings, load_settings
from dbplanmon_pipeline_tests.bench.figures import Row, spend

NAME = "Dagster events"
FLEETS = (1, 500)
JOBS = (COLLECTION, ANALYSIS, INSIGHTS, HEALTH)
SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
BUDGET = "<= 25"
LAUNCH_SECONDS = 120

SETTINGS = """\
environment: test
state_dir: {folder}
collection: {{startup_delay: 0s}}
analysis: {{delay: 1s}}
alerts: {{channels: [{{type: log}}]}}
instances:
  - {{name: fleet, engine: simulated, databases: {databases}, options: {{seed: 7, statements: 50}}}}
"""

INSTANCE = """\
storage: {{sqlite: {{base_dir: "{folder}"}}}}
telemetry: {{enabled: false}}
concurrency:
  runs:
    max_concurrent_runs: 4
    tag_concurrency_limits: [{{key: dbplanmon/job, value: {{applyLimitPerUniqueValue: true}}, limit: 1}}]
"""

WORKSPACE = "load_from: [{python_module: {module_name: dbplanmon_pipeline.definitions, location_name: bench}}]\n"


def run() -> list[Row]:
    rows = [row for databases in FLEETS for row in in_process(databases)]
    return rows + launched_by_the_daemon(FLEETS[0])


def in_process(databases: int) -> list[Row]:
    """The third collection, so that there is something to judge, and the jobs that follow it."""
    with tempfile.TemporaryDirectory() as name, dg.DagsterInstance.local_temp(name) as instance:
        settings = _settings(Path(name), databases)
        # Imported here: the module builds the definitions of whoever's settings are around.
        from dbplanmon_pipeline.definitions import build_definitions

        definitions = build_definitions(settings, monitor=Monitor(settings))
        for _ in range(2):
            _execute(definitions, instance, COLLECTION)
        return [row for job in JOBS for row in _measured(definitions, instance, job, databases)]


def _measured(definitions: dg.Definitions, instance: dg.DagsterInstance, job: str, databases: int) -> list[Row]:
    run_ids: list[str] = []
    spent = spend(lambda: run_ids.append(_execute(definitions, instance, job)))
    events = len(instance.all_logs(run_ids[0]))
    fleet = "1 database" if databases == 1 else f"{databases} databases"
    return [
        Row(f"`{job}`, {fleet}: events", events, "", BUDGET),
        Row(f"`{job}`, {fleet}: run, wall", spent.wall, "s"),
    ]


def _execute(definitions: dg.Definitions, instance: dg.DagsterInstance, job: str) -> str:
    result = definitions.resolve_job_def(job).execute_in_process(instance=instance, run_config=SILENT)
    return result.run_id


def launched_by_the_daemon(databases: int) -> list[Row]:
    """Real runs: the start sensor asks for a collection, the queue starts it, the analysis follows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _settings(folder, databases)
        (folder / "dagster.yaml").write_text(INSTANCE.format(folder=folder / "dagster"), encoding="utf-8")
        (folder / "workspace.yaml").write_text(WORKSPACE, encoding="utf-8")
        with dg.DagsterInstance.from_config(str(folder)) as instance, _daemon(folder):
            _finished_runs(instance, (COLLECTION, ANALYSIS))
            _ask_for(folder, HEALTH)
            runs = _finished_runs(instance, (COLLECTION, ANALYSIS, HEALTH))
            return [row for run_id, job in runs.items() for row in _launched(instance, run_id, job)]


def _launched(instance: dg.DagsterInstance, run_id: str, job: str) -> list[Row]:
    (record,) = instance.get_run_records(dg.RunsFilter(run_ids=[run_id]))
    events = len(instance.all_logs(run_id))
    wall = (record.end_time or 0.0) - record.create_timestamp.timestamp()
    return [
        Row(f"`{job}`, launched by the daemon: events", events, "", BUDGET),
        Row(f"`{job}`, launched by the daemon: from the queue to the end, wall", wall, "s"),
    ]


def _finished_runs(instance: dg.DagsterInstance, jobs: tuple[str, ...]) -> dict[str, str]:
    until = time.monotonic() + LAUNCH_SECONDS
    while time.monotonic() < until:
        done = {run.job_name: run.run_id for run in instance.get_runs() if run.status is dg.DagsterRunStatus.SUCCESS}
        if all(job in done for job in jobs):
            return {done[job]: job for job in jobs}
        time.sleep(1)
    raise TimeoutError(f"the daemon did not finish {', '.join(jobs)} within {LAUNCH_SECONDS} s")


def _ask_for(folder: Path, job: str) -> None:
    """Put a run into the queue, as a click in the UI does."""
    command = _dagster("dagster", "job", "launch", "-w", str(folder / "workspace.yaml"), "-j", job)
    subprocess.run(command, check=True, cwd=folder, env=_environ(folder), capture_output=True)


def _dagster(*arguments: str) -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", *arguments]


def _environ(folder: Path) -> dict[str, str]:
    return {**os.environ, "DAGSTER_HOME": str(folder), "DBPLANMON_CONFIG": str(folder / "dbplanmon.yaml")}


@contextmanager
def _daemon(folder: Path) -> Iterator[None]:
    environ = _environ(folder)
    command = _dagster("dagster._daemon", "run", "-w", str(folder / "workspace.yaml"))
    with (folder / "daemon.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log, start_new_session=True)
        try:
            yield
        finally:
            # The whole session: the daemon's code server is a child of its own.
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _settings(folder: Path, databases: int) -> Settings:
    file = folder / "dbplanmon.yaml"
    file.write_text(SETTINGS.format(folder=folder / "state", databases=databases), encoding="utf-8")
    return load_settings(file, environ={})
