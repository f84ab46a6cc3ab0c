"""What a soak run stands on: a small disk, PostgreSQL on it, settings, a Dagster home, a taker of alerts."""

import json
import os
import shutil
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

from dbplanmon_pipeline.cli.running.home import instance_yaml
from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.settings import Settings, load_settings
from dbplanmon_pipeline_tests.soak.clocks import MovableClock
from dbplanmon_pipeline_tests.soak.disk import Disk, small_disk
from dbplanmon_pipeline_tests.soak.plan import PLAN, Plan
from dbplanmon_pipeline_tests.soak.targets import provider_maker
from dbplanmon_pipeline_tests.support.postgres import any_binaries, connect

ROOT = Path(__file__).parents[2]
DISK_MB = 2_500
SERVER_SETTINGS = {
    "fsync": "on",
    "max_wal_size": "256MB",
    "min_wal_size": "64MB",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "restart_after_crash": "on",
}


@dataclass(slots=True)
class Hook:
    """A real HTTP server that takes alerts.

    Attributes:
        url: of it.
        taken: how often each alert arrived.
    """

    url: str
    taken: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Stage:
    """Attributes: folder of the run; its disk, server, clock and hook; the plan that `up` reads."""

    folder: Path
    disk: Disk
    server: PostgresServer
    clock: MovableClock
    hook: Hook
    plan_file: Path

    @property
    def state(self) -> Path:
        """The state folder, on the small disk."""
        return self.disk.folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        """Of `dbplanmon up`."""
        ours = {
            "DBPLANMON_CONFIG": str(self.folder / "dbplanmon.yaml"),
            "DBPLANMON_STATE": str(self.state),
            PLAN: str(self.plan_file),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DAGSTER", "DBPLANMON"))}
        return inherited | ours | self.clock.variables

    @property
    def settings(self) -> Settings:
        """As the processes see them."""
        environ = {name: value for name, value in self.environment.items() if name.startswith("DBPLANMON_")}
        return load_settings(environ=environ, cwd=self.folder)

    def monitor(self, plan: Plan) -> Monitor:
        """For a collection in this process."""
        return Monitor(self.settings, make_provider=provider_maker(plan))

    def command(self, port: int) -> list[str]:
        """`dbplanmon up` over the location of the run."""
        return [
            sys.executable,
            "-m",
            "dbplanmon_pipeline_tests.soak.up",
            "up",
            "--port",
            str(port),
            "--status-port",
            "0",
            "--json",
        ]


@contextmanager
def stage(folder: Path, plan: Plan) -> Iterator[Stage]:
    """Build everything, and take it away again but for what lies in `folder`.

    Args:
        folder: empty; others must be able to enter it, because PostgreSQL runs under an account of its own.
        plan: how large the fleet is.
    """
    with small_disk(folder / "disk", DISK_MB) as disk, hook() as taker:
        server = PostgresServer(any_binaries(), disk.folder / "postgres", settings=SERVER_SETTINGS)
        with server:
            for name in ("store", "dagster"):
                with connect(server) as admin:
                    admin.execute(f"CREATE DATABASE {name}".encode())
            made = Stage(folder, disk, server, MovableClock(folder), taker, folder / "plan.json")
            made.state.mkdir()
            (made.state / "dagster.yaml").write_text(_instance(made), encoding="utf-8")
            (folder / "store_url").write_text(server.url("store"), encoding="utf-8")
            (folder / "dbplanmon.yaml").write_text(_settings(made, plan), encoding="utf-8")
            try:
                yield made
            finally:
                _keep_logs(made)


def _keep_logs(made: Stage) -> None:
    """Out of the disk, which goes away."""
    for log in (*(made.state / "up").glob("up.log*"), made.server.log_file):
        if log.exists():
            shutil.copy(log, made.folder)


def _instance(made: Stage) -> str:
    shipped = yaml.safe_load(instance_yaml(made.state / "dagster"))
    dagster_url = made.server.url("dagster").replace("+psycopg", "+psycopg2")
    return yaml.safe_dump({**shipped, "storage": {"postgres": {"postgres_url": dagster_url}}})


def _settings(made: Stage, plan: Plan) -> str:
    sections = {
        "environment": "test",
        "store": {"url": f"file:{made.folder}/store_url"},
        "collection": {
            "interval": "1m",
            "startup_delay": "0s",
            "top_n": 10_000,
            "min_executions": 1,
            "budget_per_database": "3s",
        },
        "analysis": {"delay": "10s", "lookback": "2h"},
        "baselines": {"days": 1, "min_intervals": 10},
        "resilience": {"backoff": "5s", "max_backoff": "30s"},
        "instances": [
            {
                "name": name,
                "engine": "simulated",
                "databases": plan.databases,
                "options": {"statements": plan.statements, "source": source, "interval_minutes": 60},
            }
            for name, source in plan.instances
        ],
        "alerts": {"channels": [{"type": "webhook", "name": "hook", "url": made.hook.url}]},
    }
    return yaml.safe_dump(sections)


@contextmanager
def hook() -> Iterator[Hook]:
    """Listens until the end of the block."""

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.taken[json.loads(body)["alert_id"]] += 1
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    found = Hook(f"http://127.0.0.1:{server.server_address[1]}/")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
