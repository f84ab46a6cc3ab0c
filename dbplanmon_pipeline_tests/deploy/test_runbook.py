"""The runbook: its commands are there, and what it says of backups is done with real stores."""

import re
import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import click
import pytest

from dbplanmon_pipeline.cli import dbplanmon
from dbplanmon_pipeline.demo.postgres_server import PostgresServer
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.deploy.programs import ROOT
from dbplanmon_pipeline_tests.services.fleets import START, STEP, Fleet
from dbplanmon_pipeline_tests.support.postgres import binaries_of, create_database

PAGES = [ROOT / "docs" / "runbook.md", ROOT / "docs" / "deployment.md"]
RUNBOOK = PAGES[0].read_text("utf-8")
COMMANDS = sorted(
    {
        " ".join(found.split())
        for page in PAGES
        for found in re.findall(r"`(dbplanmon [^`]+)`|^ *(dbplanmon [^\n]+)$", page.read_text("utf-8"), re.MULTILINE)
        for found in found
        if found
    }
)


def test_there_are_commands():
    assert {"dbplanmon up", "dbplanmon serve", "dbplanmon store upgrade"} <= set(COMMANDS)
    assert len(COMMANDS) > 20


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_it_names_is_one(line):
    command: click.Command = dbplanmon
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group) and words and words[0] != "...":
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"there is no command {name}"
        command = found
    if words != ["..."] and not isinstance(command, click.Group):
        command.make_context(line, words)


def fleet_on(store: SqlStore, clock: FixedClock) -> Fleet:
    return Fleet(store, clock, SimulatedProvider("fleet", 2, clock=clock, statements=10, seed=5, source="plan_cache"))


def shown(pattern: str) -> str:
    """A line of the runbook; what is tried here is what it says."""
    (line,) = re.findall(pattern, RUNBOOK, re.MULTILINE)
    return line


class Backup:
    """How one engine is copied and put back."""

    def __init__(self, url: str, copy: Callable[[], None], restore: Callable[[], str]) -> None:
        self.url, self.copy, self.restore = url, copy, restore


@pytest.fixture
def sqlite(tmp_path: Path) -> Backup:
    path, saved = tmp_path / "store.db", tmp_path / "backup.db"
    statement = shown(r"^sqlite3 \S+ \"(VACUUM INTO .*)\"$").replace("/backup/store.db", str(saved))

    def copy() -> None:
        connection = sqlite3.connect(path)
        connection.execute(statement)
        connection.close()

    def restore() -> str:
        for file in (path, path.with_name("store.db-wal"), path.with_name("store.db-shm")):
            file.unlink(missing_ok=True)
        saved.rename(path)
        return f"sqlite:///{path}"

    return Backup(f"sqlite:///{path}", copy, restore)


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Backup]:
    """A server of the system's packages: they bring pg_dump of the same version."""
    binaries = binaries_of("system")
    with PostgresServer(binaries, tmp_path / "server") as server:
        yield postgres_backup(server, binaries.folder, tmp_path)


def postgres_backup(server: PostgresServer, programs: Path, tmp_path: Path) -> Backup:
    names = [create_database(server, stem="backup") for _ in range(2)]
    urls = [f"postgresql://postgres@127.0.0.1:{server.port}/{name}" for name in names]
    dump = tmp_path / "store.dump"

    def run(line: str, url: str) -> None:
        program, *words = shlex.split(line.replace("$STORE_URL", url).replace("/backup/store.dump", str(dump)))
        done = subprocess.run([programs / program, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def restore() -> str:
        run(shown(r"^(pg_restore .*)$"), urls[1])
        return urls[1]

    return Backup(urls[0], lambda: run(shown(r"^(pg_dump .*)$"), urls[0]), restore)


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_restored_store_goes_on_without_counting_twice(engine, request):
    backup: Backup = request.getfixturevalue(engine)
    clock = FixedClock(START)
    store = open_store(backup.url, clock=clock)
    store.upgrade()
    fleet = fleet_on(store, clock)
    fleet.collect()
    fleet.tick(3)
    backup.copy()
    fleet.tick(2)
    store.close()

    restored = open_store(backup.restore(), clock=clock)
    try:
        status = restored.schema_status()
        assert (status.revision, status.missing_tables) == (status.expected, ())
        assert restored.latest_interval_end() == START + 3 * STEP
        fleet = fleet_on(restored, clock)
        clock.advance(timedelta(minutes=5))
        fleet.collect()
        fleet.assert_recorded_is_true(START, clock())
    finally:
        restored.close()
