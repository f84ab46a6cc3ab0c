"""Old data goes daily, the store is cared for weekly: two jobs, their schedules, and what they tell."""

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.defs.dagster_history import HistoryLimits, OurHistory, remove_old_runs, remove_old_ticks
from dbplanmon_pipeline.defs.naming import COLLECTION, MAINTENANCE, RETENTION, Names
from dbplanmon_pipeline.defs.runs import run_in_progress
from dbplanmon_pipeline.defs.tables import Cell, short_table
from dbplanmon_pipeline.services.apply_retention import RetentionReport

SUNDAY_HALF_PAST_THREE = "30 3 * * 0"

Rows = list[dict[str, Cell]]


def retention_job(names: Names, ours: OurHistory) -> dg.JobDefinition:
    """Marks and removes old data of the store, then old runs and ticks of Dagster.

    Args:
        names: prefix of all names.
        ours: what of the Dagster instance belongs to this location.
    """

    @dg.op(
        name=names.name("remove_expired_data"),
        required_resource_keys={names.resource},
        description="Mark what expired; remove what was marked long enough.",
    )
    def remove_expired_data(context: dg.OpExecutionContext) -> None:
        with names.monitor(context).session() as session:
            report = session.apply_retention()
        context.add_output_metadata(
            {"removed": report.removed, "marked": report.marked, "held_by": report.held_by, "table": _table(report)}
        )

    @dg.op(
        name=names.name("remove_old_runs"),
        required_resource_keys={names.resource},
        description="Delete old runs, their logs, and old ticks.",
    )
    def remove_old_runs_of_dagster(context: dg.OpExecutionContext) -> None:
        monitor = names.monitor(context)
        now, kept = monitor.clock(), monitor.settings.retention
        limits = HistoryLimits(now - kept.runs, now - kept.daily_runs)
        removed = remove_old_runs(context.instance, ours, limits)
        cleaned = remove_old_ticks(context.instance, ours, limits.runs)
        rows: Rows = [{"job": job, "runs": count} for job, count in sorted(removed.items())]
        context.add_output_metadata(
            {
                "removed": sum(removed.values()),
                "schedules_and_sensors_cleaned": cleaned,
                "table": short_table(rows, empty="no old runs"),
            }
        )

    @dg.job(
        name=names.name(RETENTION),
        description="Remove data, runs and ticks that are older than the settings keep them.",
        tags=names.job_tags(RETENTION),
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        remove_expired_data()
        remove_old_runs_of_dagster()

    return job


def store_maintenance_job(names: Names) -> dg.JobDefinition:
    """Cares for the store itself."""

    @dg.op(
        name=names.name("maintain_store"),
        required_resource_keys={names.resource},
        description="Statistics, write-ahead log and free room, or partitions.",
    )
    def maintain_store(context: dg.OpExecutionContext) -> None:
        collecting = run_in_progress(context.instance, names.name(COLLECTION))
        with names.monitor(context).session() as session:
            steps = session.maintain_store(may_rewrite=collecting is None)
        rows: Rows = [{"step": step.name, "outcome": step.outcome, "seconds": step.seconds} for step in steps]
        context.add_output_metadata({"table": short_table(rows)})

    @dg.job(
        name=names.name(MAINTENANCE),
        description="Care for the store itself.",
        tags=names.job_tags(MAINTENANCE),
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        maintain_store()

    return job


def retention_schedules(names: Names, monitor: Monitor) -> list[dg.ScheduleDefinition]:
    """Those the settings leave on."""
    on, at = monitor.settings.schedules, monitor.settings.retention.time
    chosen = [
        (on.retention, RETENTION, f"{at.minute} {at.hour} * * *", "Remove old data, daily."),
        (on.maintenance, MAINTENANCE, SUNDAY_HALF_PAST_THREE, "Care for the store, on Sunday."),
    ]
    return [_schedule(names, job, cron, what) for wanted, job, cron, what in chosen if wanted]


def _schedule(names: Names, job: str, cron: str, what: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=names.name(job.removesuffix("_job") + "_schedule"),
        job_name=names.name(job),
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=what,
    )
    def upkeep(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if running := run_in_progress(context.instance, names.name(job)):
            return dg.SkipReason(f"run {running} is still under way")
        return dg.RunRequest(tags=names.job_tags(job))

    return upkeep


def _table(report: RetentionReport) -> dg.MarkdownMetadataValue:
    rows: Rows = [
        {
            "what": one.subject,
            "before": f"{one.before:%Y-%m-%d}",
            "marked": one.marked,
            "waiting": one.waiting,
            "removed": one.removed,
        }
        for one in report.subjects
        if one.marked or one.waiting or one.removed
    ]
    return short_table(rows, empty="nothing has expired")
