"""One tick of the demo: the same Dagster jobs that the daemon runs, on the demo's own instance."""

from datetime import date, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.defs.naming import ANALYSIS, BASELINES, COLLECTION, HEALTH, INSIGHTS
from dbplanmon_pipeline.errors import DbPlanMonError

SILENT = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class DemoRunFailed(DbPlanMonError):
    """A Dagster run of the demo failed; the message names it."""


class DemoRuns:
    """Runs jobs of the code location in this process; every run is kept on the instance and shows in the UI."""

    def __init__(self, home: Path, definitions: dg.Definitions, monitor: Monitor) -> None:
        self._home = home
        self._definitions = definitions
        self._monitor = monitor

    def __enter__(self) -> Self:
        self._instance = dg.DagsterInstance.from_config(str(self._home))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._instance.dispose()

    def collect(self) -> None:
        """Read the database once."""
        self._run(COLLECTION)

    def analyse(self) -> None:
        """Judge what was read."""
        self._run(ANALYSIS)

    def learn(self, today: datetime) -> None:
        """Materialise the baselines of today."""
        self._run(BASELINES, partition=today.date().isoformat())

    def daily(self, job: str, day: date) -> None:
        """Run a job that is partitioned by day."""
        self._run(job, partition=day.isoformat())

    def sum_up(self) -> None:
        """Hotspots, suggestions and health, once at the end."""
        self._run(INSIGHTS)
        self._run(HEALTH)

    def register_databases(self) -> None:
        """Partitions of `database_snapshot`, which the sensor of the daemon would add."""
        with self._monitor.session() as session:
            names = [str(target.ref) for target in session.targets().targets]
        self._instance.add_dynamic_partitions("databases", names)

    def events_per_run(self) -> dict[str, int]:
        """How many events the newest run of each job wrote."""
        newest: dict[str, int] = {}
        for run in self._instance.get_runs():
            newest.setdefault(run.job_name, len(self._instance.all_logs(run.run_id)))
        return newest

    def _run(self, job: str, partition: str | None = None) -> None:
        tags: dict[str, Any] = {"dbplanmon/demo": "true"}
        result = self._definitions.resolve_job_def(job).execute_in_process(
            instance=self._instance,
            run_config=SILENT,
            partition_key=partition,
            tags=tags,
            raise_on_error=False,
        )
        if not result.success:
            raise DemoRunFailed(f"run {result.run_id} of {job} failed: {_reason(result)}")


def _reason(result: dg.ExecuteInProcessResult) -> str:
    for event in result.all_events:
        if event.is_failure and event.event_specific_data is not None:
            error = getattr(event.event_specific_data, "error", None)
            if error is not None:
                cause = error.cause or error
                return " ".join(str(cause.message).split())[:500]
    return "no reason given"
