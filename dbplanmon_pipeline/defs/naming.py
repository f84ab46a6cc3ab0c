"""Names of everything Dagster shows, with the prefix a host code location asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.composition.journal import begin_run
from dbplanmon_pipeline.core.shards import Shard

COLLECTION = "collection_job"
ANALYSIS = "analysis_job"
ALERTS = "alerts_job"
INSIGHTS = "insights_job"
HEALTH = "health_job"
BASELINES = "baselines_job"
HISTORY = "history_job"
ROLLUPS = "rollups_job"
SUMMARY = "daily_summary_job"
SNAPSHOT = "database_snapshot_job"
BACKTEST = "backtest_job"
KPIS = "kpis_job"
RETENTION = "retention_job"
MAINTENANCE = "store_maintenance_job"

AssetJob = Any
"""What `define_asset_job` returns; Dagster does not export the type."""

JOB_TAG = "dbplanmon/job"
"""The shipped dagster.yaml lets one run per value of this tag go at a time."""

SHARD_TAG = "dbplanmon/shard"
"""Which part of the fleet a collection reads, such as `2/4`; a run without it reads everything."""


class HasResources(Protocol):
    """The contexts of assets, checks and ops."""

    @property
    def resources(self) -> Any:
        """Resources by key."""

    @property
    def run(self) -> dg.DagsterRun:
        """The run it belongs to."""


@dataclass(frozen=True, slots=True)
class Names:
    """Asset keys, and job, schedule and sensor names, under an optional prefix."""

    prefix: tuple[str, ...] = ()

    @classmethod
    def under(cls, key_prefix: str | Sequence[str] | None) -> "Names":
        """From the form `build_definitions` takes."""
        if key_prefix is None:
            return cls()
        return cls((key_prefix,) if isinstance(key_prefix, str) else tuple(key_prefix))

    def key(self, asset: str) -> dg.AssetKey:
        """Asset key of one of our assets."""
        return dg.AssetKey([*self.prefix, asset])

    def name(self, plain: str) -> str:
        """Name of a job, schedule, sensor or op."""
        return "__".join([*self.prefix, plain])

    @property
    def resource(self) -> str:
        """Key of the monitor among the resources; begins with a letter, whatever the prefix begins with."""
        return "__".join(["dbplanmon", *self.prefix])

    def monitor(self, context: HasResources) -> Monitor:
        """The monitor of these definitions, from the resources of a step that requires `resource`.

        From then on the log names the run.
        """
        monitor: Monitor = getattr(context.resources, self.resource)
        begin_run(monitor.settings, context.run.run_id)
        return monitor

    def job_tags(self, job: str, shard: Shard | None = None) -> dict[str, str]:
        """Tags of the runs of a job; shards of one collection may run beside each other."""
        if shard is None:
            return {JOB_TAG: self.name(job)}
        return {JOB_TAG: f"{self.name(job)}:{shard.number}", SHARD_TAG: str(shard)}
