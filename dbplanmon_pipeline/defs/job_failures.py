"""The sensor that notices a job of ours that fails again and again."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import dagster as dg

from dbplanmon_pipeline import errors
from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.alerts.job_alerts import JobEnd
from dbplanmon_pipeline.defs.naming import JOB_TAG, Names
from dbplanmon_pipeline.defs.ticks import skips_without_store

LOOK_EVERY_SECONDS = 30
RUNS_AT_ONCE = 200
_FIRST_LOOK = timedelta(hours=1)
_OVERLAP = timedelta(seconds=1)
"""Runs may end within one tick of the clock; those counted before are known by their end."""

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
_OUR_WORDS = frozenset(name for name, found in vars(errors).items() if isinstance(found, type)) | {"Failure"}


def job_failures_sensor(names: Names, monitor: Monitor, jobs: Iterable[str]) -> dg.SensorDefinition:
    """Counts in the store, so that neither a restart nor a second daemon tells anything twice."""
    watched = {JOB_TAG: sorted(jobs)}

    @dg.sensor(
        name=names.name("job_failures_sensor"),
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Tell people of a job that failed several times in a row, and when it runs again.",
    )
    @skips_without_store
    def job_failures_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        since = datetime.fromisoformat(context.cursor) if context.cursor else monitor.clock() - _FIRST_LOOK
        ended = dg.RunsFilter(tags=watched, statuses=_ENDED, updated_after=since)
        records = context.instance.get_run_records(ended, RUNS_AT_ONCE, order_by="update_timestamp", ascending=True)
        if not records:
            return dg.SkipReason("no run has ended since")
        with monitor.session() as session:
            queued = session.watch_jobs([_end(context.instance, record) for record in records])
        context.update_cursor((records[-1].update_timestamp.astimezone(UTC) - _OVERLAP).isoformat())
        return dg.SkipReason(f"{len(records)} runs have ended, {queued} alerts queued")

    return job_failures_sensor


def _end(instance: dg.DagsterInstance, record: dg.RunRecord) -> JobEnd:
    run = record.dagster_run
    succeeded = run.status is dg.DagsterRunStatus.SUCCESS
    ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
    reason = "" if succeeded else _reason(instance, run.run_id)
    return JobEnd(run.tags[JOB_TAG], run.run_id, ended, succeeded, reason)


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """Words of our own errors; of a foreign one only its kind, as its words may hold a secret or a literal."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        error = entry.get_dagster_event().step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is None:
            continue
        if error.cls_name in _OUR_WORDS:
            return " ".join(error.message.partition(": ")[2].split())
        return f"unexpected {error.cls_name}"
    return ""
