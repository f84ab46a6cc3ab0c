"""A code location over a simulated fleet, a clock that stands until it is moved, and an instance of its own."""

import atexit
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.definitions import build_definitions
from dbplanmon_pipeline.providers.simulated import SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.settings import InstanceSettings, Settings
from dbplanmon_pipeline.testing import FixedClock
from dbplanmon_pipeline_tests.services.fleets import START, STEP
from dbplanmon_pipeline_tests.support.migrated import put_store

INLINE = 1_000
FLEET = {"name": "fleet", "engine": "simulated", "databases": 3, "options": {"statements": 12, "seed": 7}}
NO_DELAY = {"startup_delay": "0s"}


def settings_of(folder: Path, **sections: Any) -> Settings:
    """Settings over one simulated instance of three databases, unless they say otherwise."""
    return Settings.model_validate({"state_dir": folder, "instances": [FLEET], "collection": NO_DELAY, **sections})


def simulated_fleet(databases: int | Sequence[str], **options: Any) -> dict[str, Any]:
    return {**FLEET, "databases": databases, "options": {**FLEET["options"], **options}}


class Location:
    """Everything Dagster shows, ready to run.

    Args:
        folder: state folder.
        moment: where the clock stands.
        key_prefix: as in `build_definitions`.
        kept: the instance lies on disk, as schedules need it; else in memory, which is faster.
        store_there: a store with all tables is in the folder already.
        source: where the simulated servers keep their counters.
        sections: of the settings.

    Attributes:
        faults: of the simulated servers; add to it before they are read.
    """

    def __init__(
        self,
        folder: Path,
        moment: datetime = START,
        key_prefix: str | None = None,
        *,
        kept: bool = False,
        store_there: bool = True,
        source: str = "plan_cache",
        **sections: Any,
    ) -> None:
        self.settings = settings_of(folder, **sections)
        if store_there and "store" not in sections:
            put_store(folder / "store.db")
        self.clock = FixedClock(moment)
        self.source = source
        self.faults: list[SimulatedFault] = []
        self.monitor = Monitor(self.settings, self.clock, make_provider=self._provider)
        self.definitions = build_definitions(self.settings, key_prefix, monitor=self.monitor)
        self.repository = self.definitions.get_repository_def()
        self.instance = _kept_instance(folder) if kept else dg.DagsterInstance.ephemeral()

    def _provider(self, instance: InstanceSettings, _: Settings) -> SimulatedProvider:
        options, databases = instance.options, instance.databases
        return SimulatedProvider(
            instance.name,
            databases.count or databases.names,
            clock=self.clock,
            seed=options.seed,
            statements=options.statements,
            failing=options.failing,
            latency_ms=options.latency_ms,
            source=self.source,
            faults=[fault for fault in self.faults if fault.database in ("", *_names(databases))],
        )

    def run(self, job: str, by: timedelta = timedelta(), **options: Any) -> dg.ExecuteInProcessResult:
        """Let time pass, then run a job in this process; a failure is part of the result."""
        self.clock.advance(by)
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance, raise_on_error=False, **options
        )

    def collect(self, *databases: str, by: timedelta = STEP) -> dg.ExecuteInProcessResult:
        config = {"ops": {"collect": {"config": {"databases": list(databases)}}}} if databases else None
        return self.run("collection_job", by, run_config=config)

    def tick(self, schedule: str, at: datetime | None = None) -> Any:
        """Evaluate a schedule; run requests or a reason to skip."""
        # Left open, it would keep its instance as the one that every later test of this process asks.
        with dg.build_schedule_context(self.instance, at or self.clock(), repository_def=self.repository) as context:
            return self.repository.get_schedule_def(schedule).evaluate_tick(context)

    def sense(self, sensor: str, cursor: str | None = None) -> Any:
        """Evaluate a sensor; run requests, partition requests or a reason to skip."""
        with dg.build_sensor_context(self.instance, cursor=cursor, repository_def=self.repository) as context:
            return self.repository.get_sensor_def(sensor).evaluate_tick(context)

    def pretend(self, job: str, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        """A run of a job in some state, as another process would leave it."""
        origin = _origin(job) if status is dg.DagsterRunStatus.QUEUED else None
        return self.instance.create_run_for_job(
            self.definitions.resolve_job_def(job), status=status, remote_job_origin=origin
        )

    def events(self, result: dg.ExecuteInProcessResult) -> int:
        return len(self.instance.all_logs(result.run_id))


def _kept_instance(folder: Path) -> dg.DagsterInstance:
    """On disk: evaluating a schedule needs an instance that can be opened a second time."""
    home = folder.parent / "dagster"
    if not home.exists():
        shutil.copytree(_empty_home(), home)
    return _instance_in(home)


@cache
def _empty_home() -> Path:
    """A home without runs, made once in each process: making its tables costs 0.25 s, copying it a fifth."""
    folder = Path(tempfile.mkdtemp(prefix="dbplanmon-dagster-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _instance_in(folder).dispose()
    return folder


def _instance_in(home: Path) -> dg.DagsterInstance:
    # One file for the events of all runs; one for each, as production has it, costs 0.1 s per run.
    events = {
        "module": "dagster._core.storage.event_log",
        "class": "ConsolidatedSqliteEventLogStorage",
        "config": {"base_dir": str(home / "history")},
    }
    return dg.DagsterInstance.local_temp(
        str(home), overrides={"telemetry": {"enabled": False}, "event_log_storage": events}
    )


def _origin(job: str) -> RemoteJobOrigin:
    """What a queued run must name: the code server that would run it."""
    target = LoadableTargetOrigin(module_name="dbplanmon_pipeline.definitions")
    server = ManagedGrpcPythonEnvCodeLocationOrigin(target)
    return RemoteRepositoryOrigin(server, "__repository__").get_job_origin(job)


def _names(databases: Any) -> list[str]:
    return list(databases.names) or [f"sim{n:04d}" for n in range(1, (databases.count or 0) + 1)]


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, Any]]:
    """Metadata values by the last part of the asset key."""
    return {
        event.step_materialization_data.materialization.asset_key.path[-1]: {
            name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    return {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}


def texts_of(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Markdown and plain texts among metadata values."""
    return {name: value for name, value in metadata.items() if isinstance(value, str)}


def why_it_failed(result: dg.ExecuteInProcessResult) -> str:
    """Message of the error that a step ended with."""
    (event,) = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    error = event.step_failure_data.error
    assert error is not None
    return str((error.cause or error).message).strip()
