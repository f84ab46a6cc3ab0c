"""The demo's real PostgreSQL: a private server, a shop in it, and an application that uses it."""

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.demo import faults as story
from dbplanmon_pipeline.demo.faults import Fault
from dbplanmon_pipeline.demo.postgres_server import PostgresBinaries, PostgresServer
from dbplanmon_pipeline.demo.result import SilentResult
from dbplanmon_pipeline.demo.shop import DATABASE, MONITOR, create_shop, load_shop
from dbplanmon_pipeline.demo.statements import STATEMENTS
from dbplanmon_pipeline.demo.workload import start_workload, stop_workload
from dbplanmon_pipeline.settings import load_settings

INSTANCE = "demo-postgres"
SERVER_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "40",
    "pg_stat_statements.max": "2000",
    "track_io_timing": "on",
    # One statement, one core: parallel workers and compilation would blur the figures of a two-core machine.
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # The demo gathers statistics when its story says so.
    "autovacuum": "off",
    "fsync": "off",
}

SETTINGS = """\
# Written by `dbplanmon demo`; the intervals are compressed from minutes to seconds.
environment: development
state_dir: {folder}
collection: {{interval: {tick}s, startup_delay: 0s}}
# Other programs on a small machine slow everything down at times; that is not what the story is about.
analysis: {{window: 10m, lookback: 20m, common_mode_ratio: 2}}
baselines: {{min_intervals: 25}}
alerts:
  channels: [{{type: log}}]
# The demo runs the jobs itself; a daemon started on it would disturb the story.
schedules: {{collection: false, analysis: false, retry: false, health: false, baselines: false, rollups: false,
            summary: false}}
instances:
  - name: {instance}
    engine: postgres
    server: 127.0.0.1
    port: {port}
    login: {{user: {user}}}
    sslmode: disable
    databases: [{database}]
"""


class PostgresSource:
    """Satisfies `DemoSource`; owns a server under `folder` and the process that uses it."""

    engine = "postgres"

    def __init__(
        self, binaries: PostgresBinaries, folder: Path, tick_seconds: int, faults: Sequence[Fault] = story.FAULTS
    ) -> None:
        self.tick_seconds = tick_seconds
        self._folder = folder
        self._faults = tuple(faults)
        self._binaries = binaries
        self._server = PostgresServer(binaries, folder / "postgres", settings=SERVER_SETTINGS)
        self._workload: subprocess.Popen[bytes] | None = None
        self._next_tick = 0.0
        self._silent_before = (0.0, 0.0)
        self._silent_changed = (0.0, 0.0)

    @property
    def server(self) -> str:
        """Version and place."""
        return f"PostgreSQL {self._binaries.major_version()} on 127.0.0.1:{self._server.port}"

    @property
    def faults(self) -> Sequence[Fault]:
        """By default three of them."""
        return self._faults

    @property
    def settings_file(self) -> Path:
        """The settings that watch this server."""
        return self._folder / "dbplanmon.yaml"

    def prepare(self) -> Iterator[str]:
        """Start the server and fill the shop."""
        yield f"starting a private PostgreSQL {self._binaries.major_version()} ({self._binaries.origin})"
        self._server.init()
        self._server.start()
        create_shop(self._server.dsn())
        for name, number, of in load_shop(self._shop):
            yield f"loading 1.36 million rows: {name} ({number} of {of})"
        self.settings_file.write_text(
            SETTINGS.format(
                folder=self._folder,
                tick=str(self.tick_seconds),
                instance=INSTANCE,
                port=self._server.port,
                user=MONITOR,
                database=DATABASE,
            ),
            encoding="utf-8",
        )

    def monitor(self) -> Monitor:
        """Watches with the role that may only read."""
        return Monitor(load_settings(self.settings_file))

    def start(self) -> None:
        """Start the application and let it run once through its statements."""
        self._workload = start_workload(self._shop)
        self._next_tick = time.monotonic() + self.tick_seconds
        self._silent_before = self._silent_counters()

    def next_tick(self) -> None:
        """Wait for the tick; a tick that came late does not shorten the next one."""
        if self._workload is not None and self._workload.poll() is not None:
            raise RuntimeError("the application of the demo ended by itself")
        time.sleep(max(0.0, self._next_tick - time.monotonic()))
        self._next_tick = max(self._next_tick, time.monotonic() - self.tick_seconds / 2) + self.tick_seconds

    def names(self) -> dict[int, str]:
        """Found by the name that each statement carries as a comment."""
        with psycopg.connect(self._shop, autocommit=True) as owner:
            rows = owner.execute("select queryid, query from pg_stat_statements where query like '%/* %'").fetchall()
        return {
            queryid: statement.name
            for queryid, text in rows
            for statement in STATEMENTS
            if f"/* {statement.name} */" in text
        }

    def break_it(self, fault: Fault) -> None:
        """As the owner of the database."""
        story.apply(self._shop, fault.break_it, reconnect=fault.reconnect)

    def mend_it(self, fault: Fault) -> None:
        """As the owner of the database."""
        story.apply(self._shop, fault.mend_it, reconnect=fault.reconnect)

    def change_silently(self) -> str:
        """Three times the rows of a tiny table."""
        self._silent_changed = self._silent_counters()
        story.apply(self._shop, story.SILENT_CHANGE)
        return story.SILENT_STORY

    def silent_result(self, opened: frozenset[str]) -> SilentResult:
        """Means before and after, from the server's own counters."""
        now = self._silent_counters()
        return SilentResult(
            story.SILENT_STATEMENT,
            _mean(self._silent_before, self._silent_changed),
            _mean(self._silent_changed, now),
            story.SILENT_STATEMENT not in opened,
        )

    def close(self) -> None:
        """Application first, then the server."""
        if self._workload is not None:
            stop_workload(self._workload)
        self._server.close()

    @property
    def _shop(self) -> str:
        return self._server.dsn(DATABASE)

    def _silent_counters(self) -> tuple[float, float]:
        with psycopg.connect(self._shop, autocommit=True) as owner:
            row = owner.execute(
                "select coalesce(sum(calls), 0)::float8, coalesce(sum(total_exec_time), 0)::float8"
                " from pg_stat_statements where query like %s",
                (f"%/* {story.SILENT_STATEMENT} */%",),
            ).fetchone()
        return (row[0], row[1]) if row else (0.0, 0.0)


def _mean(earlier: tuple[float, float], later: tuple[float, float]) -> float:
    calls = later[0] - earlier[0]
    return round((later[1] - earlier[1]) / calls, 3) if calls else 0.0
