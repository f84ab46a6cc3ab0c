"""Questions about runs that schedules and sensors ask the Dagster instance."""

import dagster as dg

from dbplanmon_pipeline.core.shards import Shard
from dbplanmon_pipeline.defs.naming import SHARD_TAG

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def run_in_progress(instance: dg.DagsterInstance, job_name: str, shard: Shard | None = None) -> str | None:
    """Short id of an unfinished run of the job, None where there is none.

    A shard is held back by its own number and by runs that read everything, not by other shards.
    """
    chosen = dg.RunsFilter(job_name=job_name, statuses=UNFINISHED)
    runs = instance.get_runs(chosen, limit=1 if shard is None else None)
    unfinished = (run.run_id[:8] for run in runs if shard is None or _meets(run, shard))
    return next(unfinished, None)


def _meets(run: dg.DagsterRun, shard: Shard) -> bool:
    number = run.tags.get(SHARD_TAG, "").partition("/")[0]
    return number in ("", str(shard.number))
