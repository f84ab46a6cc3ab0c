"""Everything on PostgreSQL: the shipped instance file and our store on one server, and a real daemon that collects."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml

from dbplanmon_pipeline.store import open_store
from dbplanmon_pipeline_tests.defs.test_daemon import PROGRAMS, ROOT, processes_of, wait_for
from dbplanmon_pipeline_tests.services.fleets import START
from dbplanmon_pipeline_tests.support.postgres import connect, create_database, drop_database

FILE = ROOT / "deploy" / "dagster-postgres.yaml"
SETTINGS = """\
environment: test
collection: {interval: 1m, startup_delay: 0s, shards: 2}
instances:
  - {name: north, engine: simulated, databases: 2, options: {statements: 8}}
  - {name: south, engine: simulated, databases: 2, options: {statements: 8}}
"""
PASSWORD = "p@ss/word %41"
"""Letters that a URL would take for its own."""


@pytest.fixture
def databases(postgres_server) -> Iterator[dict[str, str]]:
    """An account that owns one database for Dagster and one for us."""
    dagster, ours = create_database(postgres_server, stem="dagster"), create_database(postgres_server, stem="ours")
    role = f"owner_of_{ours}"
    with connect(postgres_server) as admin:
        admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        for name in (dagster, ours):
            admin.execute(f"ALTER DATABASE {name} OWNER TO {role}")
    yield {"dagster": dagster, "ours": ours, "role": role}
    for name in (dagster, ours):
        drop_database(postgres_server, name)
    with connect(postgres_server) as admin:
        admin.execute(f"DROP ROLE {role}")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copy(FILE, tmp_path / "dagster.yaml")
    shutil.copy(ROOT / "workspace.yaml", tmp_path)
    (tmp_path / "dbplanmon.yaml").write_text(SETTINGS)
    return tmp_path


@pytest.fixture
def variables(home: Path, databases: dict[str, str], postgres_server) -> dict[str, str]:
    return {
        "DAGSTER_HOME": str(home),
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_PORT": str(postgres_server.port),
        "DAGSTER_POSTGRES_USER": databases["role"],
        "DAGSTER_POSTGRES_PASSWORD": PASSWORD,
        "DAGSTER_POSTGRES_DB": databases["dagster"],
        "DBPLANMON_CONFIG": str(home / "dbplanmon.yaml"),
        "DBPLANMON_STATE": str(home / "state"),
        "DBPLANMON_STORE_URL": f"postgresql://{databases['role']}@127.0.0.1:{postgres_server.port}/{databases['ours']}",
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture
def daemon(home: Path, variables: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DBPLANMON_")} | variables
    subprocess.run(
        [PROGRAMS / "dagster", "instance", "migrate"], cwd=home, env=environ, check=True, capture_output=True
    )
    log = home / "daemon.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [PROGRAMS / "dagster-daemon", "run"], cwd=home, env=environ, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.terminate()
            psutil.wait_procs(processes_of(home), timeout=15)
            for left in processes_of(home):
                left.kill()
            process.wait()
            print(log.read_text()[-4000:])  # noqa: T201 - pytest shows it with a failure


@pytest.mark.slow
def test_the_daemon_collects_in_shards_and_all_state_is_on_the_server(home, variables, daemon, monkeypatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        good = dg.RunsFilter(job_name="collection_job", statuses=[dg.DagsterRunStatus.SUCCESS])
        collected = wait_for("collection of both shards", lambda: _by_shard(instance, good), 150)
        assert collected == {"1/2", "2/2"}
        assert "postgres" in type(instance.run_storage).__module__
    store = open_store(variables["DBPLANMON_STORE_URL"])
    try:
        read = {str(outcome.ref) for outcome in store.collection_log(START)}
    finally:
        store.close()
    assert read == {f"{name}/sim000{number}" for name in ("north", "south") for number in (1, 2)}
    assert list(home.rglob("*.db")) == []


def _by_shard(instance: dg.DagsterInstance, good: dg.RunsFilter) -> set[str]:
    found = {run.tags["dbplanmon/shard"] for run in instance.get_runs(good)}
    return found if len(found) == 2 else set()


def test_it_differs_from_the_file_of_one_host_in_nothing_but_where_state_lies() -> None:
    """What was learnt for one of them shall not be forgotten in the other."""
    one_host, postgres = (yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "dagster.yaml", FILE))
    for section in ("storage", "local_artifact_storage", "compute_logs"):
        one_host.pop(section, None), postgres.pop(section, None)
    assert postgres["concurrency"]["runs"].pop("max_concurrent_runs") == 8
    assert one_host["concurrency"]["runs"].pop("max_concurrent_runs") == 4
    assert postgres == one_host
