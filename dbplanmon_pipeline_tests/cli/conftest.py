import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dbplanmon_pipeline.cli import dbplanmon
from dbplanmon_pipeline.core.breaker import BreakerPolicy
from dbplanmon_pipeline.core.incidents.incident import (
    Incident,
    IncidentChange,
    IncidentEvent,
    IncidentScope,
    IncidentState,
)
from dbplanmon_pipeline.core.model import DatabaseRef, Engine, Label, Severity
from dbplanmon_pipeline.core.ports import Suggestion
from dbplanmon_pipeline.providers.simulated import SimulatedProvider
from dbplanmon_pipeline.providers.simulated.provider import StatementProfile
from dbplanmon_pipeline.services.collect import CollectionPolicy, CollectionTarget, collect
from dbplanmon_pipeline.services.read_database import CaptureLimits
from dbplanmon_pipeline.store import SqlStore, open_store
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.support.migrated import put_store

SETTINGS = """\
environment: development
instances:
  - {name: fleet, engine: simulated, databases: 3, options: {failing: 1, statements: 20}}
"""


class CommandLine:
    """Runs `dbplanmon` in this process against one settings file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "dbplanmon.yaml"
        self.settings.write_text(SETTINGS)

    def __call__(self, *args: str) -> Result:
        runner = CliRunner(env={"DBPLANMON_CONFIG": None, "DAGSTER_HOME": None, "DBPLANMON_STORE_URL": None})
        result = runner.invoke(dbplanmon, ["--config", str(self.settings), *args])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *args: str, code: int = 0) -> dict:
        result = self(*args, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    def store(self) -> SqlStore:
        return open_store(f"sqlite:///{self.folder / '.dbplanmon' / 'store.db'}")


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[CommandLine]:
    """Each call logs to its own standard error; the handlers of the test run come back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield CommandLine(tmp_path)
    root.handlers[:] = handlers
    root.setLevel(level)


@dataclass(frozen=True)
class Recorded:
    """What the fixture put into the store: two intervals of two databases, long over, and an open incident."""

    tick: datetime
    incident: Incident


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recorded]:
    """A store to be copied, with a day that is surely over, so that a purge may take it."""
    path = tmp_path_factory.mktemp("past") / "store.db"
    tick = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
    moments = iter((tick - timedelta(minutes=10), tick - timedelta(minutes=5), tick))
    clock = FixedClock(tick)
    provider = SimulatedProvider("fleet", 2, clock=clock, seed=1, statements=20)
    policy = CollectionPolicy(2, timedelta(minutes=5), BreakerPolicy(5, timedelta(seconds=30), timedelta(minutes=10)))
    targets = [
        CollectionTarget(DatabaseRef("fleet", name), Engine.SIMULATED, CaptureLimits(), 10.0)
        for name in provider.databases()
    ]
    put_store(path)
    store = open_store(f"sqlite:///{path}")
    for moment in moments:
        clock.moment = moment
        collect(targets, {"fleet": provider}, store, clock=clock, policy=policy)
    busiest = max(provider.profiles("sim0001"), key=lambda profile: profile.executions_per_hour)
    incident = _incident(busiest, tick)
    store.save_incident_changes([IncidentChange(IncidentEvent.OPENED, incident, tick)])
    store.save_suggestions(
        [
            Suggestion(
                "feedface01",
                incident.incident_id,
                "restore_index",
                "low",
                "The index is gone.",
                "CREATE INDEX i ON t (a);\n-- \x1b[31mred",
                "DROP INDEX i;",
                tick,
            )
        ]
    )
    store.close()
    return path, Recorded(tick, incident)


@pytest.fixture
def recorded(cli: CommandLine, past: tuple[Path, Recorded]) -> Recorded:
    path, found = past
    (cli.folder / ".dbplanmon").mkdir()
    shutil.copy(path, cli.folder / ".dbplanmon")
    return found


def _incident(profile: StatementProfile, tick: datetime) -> Incident:
    return Incident(
        incident_id="0badcafe0123",
        scope=IncidentScope.QUERY,
        instance="fleet",
        database="sim0001",
        query_hash=profile.query_hash,
        state=IncidentState.NEW,
        label=Label.PLAN_REGRESSION,
        severity=Severity.HIGH,
        metric="elapsed_time_us",
        plan_hash=profile.plan_hash,
        previous_plan_hash=0,
        effect_ratio=3.2,
        extra_seconds_per_hour=140.0,
        extra_seconds_low=120.0,
        extra_seconds_high=160.0,
        baseline_us=1_000.0,
        observed_us=3_200.0,
        score=9.0,
        began_at=tick - timedelta(minutes=5),
        opened_at=tick,
        updated_at=tick,
        last_bad_at=tick,
        evidence=("12 intervals above normal",),
    )
