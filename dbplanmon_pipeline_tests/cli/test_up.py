import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import psutil
import pytest
import yaml

from dbplanmon_pipeline.cli.running.child import ChildSpec
from dbplanmon_pipeline.cli.running.home import AlreadyRunning, DagsterHome, find_home, instance_yaml, only_one
from dbplanmon_pipeline.cli.running.loglines import read_line
from dbplanmon_pipeline.cli.running.ports import CannotListen, free_port, require_free
from dbplanmon_pipeline.cli.running.restarts import RestartPolicy
from dbplanmon_pipeline.cli.running.runs import BrokenHome, migrate, terminate_runs
from dbplanmon_pipeline.cli.running.supervisor import (
    DAEMON,
    DAEMON_BY,
    GONE_SECONDS,
    REST_BY,
    RUNS_BY,
    STATUS,
    Address,
    ChildFailed,
    Supervisor,
)

REPOSITORY = Path(__file__).parents[2]
DBPLANMON = (sys.executable, "-m", "dbplanmon_pipeline")
PATIENCE_SECONDS = 240
SETTINGS = """\
environment: development
instances: [{name: fleet, engine: simulated, databases: 2}]
"""


def test_shipped_instance_file_is_that_of_the_repository():
    ours = yaml.safe_load(instance_yaml(Path("/state/dagster")))
    theirs = yaml.safe_load((REPOSITORY / "dagster.yaml").read_text().replace(".dbplanmon/dagster", "/state/dagster"))
    assert ours == theirs


def test_instance_file_survives_any_path():
    strange = Path('/a "quoted" path: with #')
    assert yaml.safe_load(instance_yaml(strange))["storage"]["sqlite"]["base_dir"] == str(strange)


def test_home_is_the_variable_then_the_working_directory_then_the_state_folder(tmp_path):
    cwd, state = tmp_path / "cwd", tmp_path / "state"
    cwd.mkdir()
    assert find_home(state, {}, cwd).folder == state
    assert (state / "dagster.yaml").is_file()
    (cwd / "dagster.yaml").write_text("")
    assert find_home(state, {}, cwd).folder == cwd
    assert find_home(state, {"DAGSTER_HOME": str(tmp_path / "own")}, cwd).folder == tmp_path / "own"
    assert not (tmp_path / "own" / "dagster.yaml").exists()


def test_an_instance_file_that_is_there_is_kept(tmp_path):
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    find_home(tmp_path, {}, tmp_path / "elsewhere")
    assert (tmp_path / "dagster.yaml").read_text() == "telemetry: {enabled: false}\n"


def test_a_state_folder_has_one_supervisor(tmp_path):
    home = find_home(tmp_path, {}, tmp_path / "elsewhere")
    with only_one(home), pytest.raises(AlreadyRunning, match="already runs"), only_one(home):
        pass


def test_taken_port_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CannotListen, match="taken; choose another with --port"):
            require_free("127.0.0.1", taken.getsockname()[1])


def test_foreign_address_is_told():
    with pytest.raises(CannotListen, match="cannot listen on"):
        require_free("192.0.2.1", 3000)


def test_waits_double_until_it_died_too_often():
    policy = RestartPolicy(limit=3, within_seconds=300)
    assert [policy.wait_before_restart("daemon", at) for at in (0, 10, 20, 30)] == [1, 2, 4, None]
    assert policy.wait_before_restart("webserver", 30) == 1


def test_old_deaths_are_forgotten():
    policy = RestartPolicy(limit=1, within_seconds=300)
    assert policy.wait_before_restart("daemon", 0) == 1
    assert policy.wait_before_restart("daemon", 301) == 1


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"event": "Serving\\n on", "level": "warning", "logger": "x"}\n', (logging.WARNING, "Serving on")),
        (b"\x1b[32m2026-11-22 01:59:26 +0000\x1b[0m - dagster - \x1b[34mERROR\x1b[0m - broken\n", (40, "broken")),
        (b"plain \x1b]0;x\x07\xff text\r\n", (logging.INFO, "plain 0;x \N{REPLACEMENT CHARACTER} text")),
        (b'{"a": 1}\n', (logging.INFO, '{"a": 1}')),
        (b"\x1b[0m \n", None),
        (b"INFO:dagster.daemon.SensorDaemon:Checking for new runs\n", None),
        (
            b"WARNING:root:Retrying failed database connection\n",
            (20, "WARNING:root:Retrying failed database connection"),
        ),
    ],
)
def test_child_lines_become_readable(raw, expected):
    assert read_line(raw) == expected


def test_broken_instance_file_is_one_line(tmp_path):
    (tmp_path / "dagster.yaml").write_text("storage: {nonsense: 1}\n")
    with pytest.raises(BrokenHome) as caught:
        migrate(tmp_path)
    assert "\n" not in str(caught.value)


def test_run_that_nobody_can_stop_is_marked_as_canceled(tmp_path):
    (tmp_path / "dagster.yaml").write_text(instance_yaml(tmp_path / "state"))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        run = instance.create_run_for_job(dg.GraphDefinition("nothing").to_job(), status=dg.DagsterRunStatus.STARTED)
    assert terminate_runs(tmp_path, time.monotonic() + 0.3) == 1
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELED


def test_code_server_that_hangs_does_not_hold_up_the_stop(tmp_path):
    (tmp_path / "dagster.yaml").write_text(instance_yaml(tmp_path / "state"))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tags = {".dagster/grpc_info": json.dumps({"host": "127.0.0.1", "port": silent.getsockname()[1]})}
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            job = dg.GraphDefinition("nothing").to_job()
            run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)
        began = time.monotonic()
        assert terminate_runs(tmp_path, began + 0.5) == 1
        assert time.monotonic() - began < 30
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELED


def test_taken_port_ends_up_with_one_line(tmp_path):
    (tmp_path / "dbplanmon.yaml").write_text(SETTINGS)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [*DBPLANMON, "up", "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER", "DBPLANMON"))}


def wait_for(condition, what):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"no {what} within {PATIENCE_SECONDS} s"
        time.sleep(0.2)
    return found


def events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def of_kind(path: Path, kind: str) -> list[dict]:
    return [event for event in events(path) if event["event"] == kind]


def status_of(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def in_progress(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    return list(instance.get_runs(dg.RunsFilter(statuses=statuses)))


def started(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRun]:
    return [run for run in in_progress(instance) if run.status is dg.DagsterRunStatus.STARTED and run.job_name == job]


SLOW_TARGETS = """\
environment: development
collection: {startup_delay: 0s, budget_per_database: 10m}
instances: [{name: fleet, engine: simulated, databases: 2, options: {latency_ms: 60000}}]
"""


@pytest.mark.slow
def test_up_starts_on_an_empty_home_restarts_its_children_and_leaves_nothing_behind(tmp_path, cli):
    cli.settings.write_text(SLOW_TARGETS)
    out, port, home = tmp_path / "out", free_port(), tmp_path / ".dbplanmon"
    with out.open("w") as stdout, (tmp_path / "err").open("w") as stderr:
        process = subprocess.Popen(
            [*DBPLANMON, "up", "--port", str(port), "--status-port", "0", "--json"],
            cwd=tmp_path,
            env=environment(),
            stdout=stdout,
            stderr=stderr,
        )
    whole = psutil.Process(process.pid)
    try:
        ready = wait_for(lambda: process.poll() is not None or of_kind(out, "ready"), "ready event")
        assert ready[0]["url"] == f"http://127.0.0.1:{port}"
        assert status_of(port, "/server_info") == 200
        assert ready[0]["health_url"] == f"{ready[0]['status_url']}/health"
        page = urlsplit(ready[0]["status_url"]).port
        assert (status_of(page, "/"), status_of(page, "/health/live")) == (200, 200)

        assert cli("health", "live").exit_code == 0

        killed = [child_of(whole, "dagster_webserver"), child_of(whole, "dagster._daemon")]
        for child in killed:
            child.kill()
        restarted = wait_for(lambda: len(of_kind(out, "restarting")) == 2 and of_kind(out, "restarting"), "restarts")
        assert {event["child"] for event in restarted} == {"webserver", "daemon"}
        wait_for(lambda: child_of(whole, "dagster_webserver") and child_of(whole, "dagster._daemon"), "children")

        with dg.DagsterInstance.from_config(str(home)) as instance:
            # Beside it a short run of another job may be in progress.
            (run,) = wait_for(lambda: started(instance, "collection_job"), "collection in progress")
        family = whole.children(recursive=True)
        groups = {os.getpgid(child.pid) for child in whole.children()}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
    finally:
        if process.poll() is None:
            for child in whole.children():
                os.killpg(child.pid, signal.SIGKILL)
            process.kill()
            process.wait()
    assert [event["event"] for event in events(out)][-2:] == ["stopping", "stopped"]
    assert not [child for child in family if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    for group in groups:
        with pytest.raises(ProcessLookupError):
            os.killpg(group, 0)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELED
        assert in_progress(instance) == []
    assert not (home / "up" / "up.json").exists()
    assert "Traceback" not in (tmp_path / "err").read_text()


def child_of(whole, module):
    return next((child for child in whole.children() if module in child.cmdline()), None)


def test_all_deadlines_of_a_stop_are_over_within_the_promised_ten_seconds():
    assert DAEMON_BY < RUNS_BY < REST_BY
    assert REST_BY + GONE_SECONDS < 10


def supervisor_of(home, told):
    return Supervisor(
        home=DagsterHome(home, home),
        address=Address("127.0.0.1", 1),
        status=Address("127.0.0.1", 2),
        environ={},
        stopping=lambda: False,
        tell=lambda event, facts: told.append((event, dict(facts))),
        log=logging.getLogger("up"),
        restarts=RestartPolicy(limit=0),
    )


@pytest.mark.parametrize(("name", "ends_all"), [(STATUS, False), (DAEMON, True)])
def test_a_status_page_that_keeps_dying_does_not_end_the_rest(tmp_path, name, ends_all):
    told = []
    supervisor = supervisor_of(tmp_path, told)
    supervisor._specs = {name: ChildSpec(name, (sys.executable, "-c", "raise SystemExit(3)"))}
    supervisor._start(name)
    if ends_all:
        with pytest.raises(ChildFailed, match="the daemon ended 1 times"):
            wait_for(lambda: supervisor._watch() or told, "the end")
    else:
        wait_for(lambda: supervisor._watch() or told, "the end")
        assert told == [("restarting", {"child": name, "exit_code": 3, "wait_seconds": 60.0})]
