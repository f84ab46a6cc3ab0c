"""Schedules; all of them name UTC, and each can be switched off in the settings."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.composition.fleet_parts import fresh_states, reading_states
from dbplanmon_pipeline.composition.spooling import keeps_readings
from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.core.shards import Shard
from dbplanmon_pipeline.defs.naming import BASELINES, COLLECTION, HEALTH, ROLLUPS, SUMMARY, Names
from dbplanmon_pipeline.defs.runs import run_in_progress
from dbplanmon_pipeline.defs.ticks import skips_without_store
from dbplanmon_pipeline.errors import SettingsError, StoreError

MINUTE = timedelta(minutes=1)
ROLLUPS_AT = time(1, 0)
ARCHIVE_LAG = timedelta(days=2)
"""A day is sealed only when late flushes of its last hours have surely arrived."""


def cron_every(interval: timedelta) -> str:
    """The cron of a collection interval; cron knows whole minutes, so a shorter interval becomes one minute.

    Raises:
        SettingsError: the interval does not divide an hour or a day evenly.
    """
    whole, left = divmod(max(interval, MINUTE), MINUTE)
    minutes = 0 if left else whole
    if 0 < minutes < 60 and 60 % minutes == 0:
        return f"*/{minutes} * * * *"
    hours, rest = divmod(minutes, 60)
    if hours and rest == 0 and 24 % hours == 0:
        return f"0 */{hours} * * *" if hours < 24 else "0 0 * * *"
    raise SettingsError(
        f"collection.interval: {interval} cannot be a schedule; choose one that divides an hour or a day evenly, "
        "such as 5m, 15m or 1h"
    )


def cron_daily(at: time) -> str:
    """The cron of a time of day."""
    return f"{at.minute} {at.hour} * * *"


def schedules(names: Names, monitor: Monitor, loaded_at: datetime) -> list[dg.ScheduleDefinition]:
    """Those the settings leave on."""
    on = monitor.settings.schedules
    yesterday = timedelta(days=1)
    baselines_at, summary_at = monitor.settings.baselines.time, monitor.settings.summary.time
    chosen = [
        (on.collection, _collection_schedule(names, monitor, loaded_at)),
        (on.health, _health_schedule(names)),
        (on.baselines, _daily(names, BASELINES, baselines_at, yesterday, "Learn from the week that ended yesterday.")),
        (on.rollups, _daily(names, ROLLUPS, ROLLUPS_AT, ARCHIVE_LAG, "Roll up and seal the day before yesterday.")),
        (on.summary, _daily(names, SUMMARY, summary_at, yesterday, "Sum up yesterday.")),
    ]
    return [schedule for wanted, schedule in chosen if wanted]


def _collection_schedule(names: Names, monitor: Monitor, loaded_at: datetime) -> dg.ScheduleDefinition:
    collection = monitor.settings.collection

    @dg.schedule(
        name=names.name("collection_schedule"),
        job_name=names.name(COLLECTION),
        cron_schedule=cron_every(collection.interval),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Read every target; stands back while the last run is under way or a back-off is pending.",
    )
    @skips_without_store
    def collection_schedule(context: dg.ScheduleEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
        now = monitor.clock()
        if now - loaded_at < collection.startup_delay:
            return dg.SkipReason(f"started less than {collection.startup_delay.total_seconds():.0f} s ago")
        states = _states(monitor)
        asked, reasons = [], []
        for shard, state in states.items():
            if running := run_in_progress(context.instance, names.name(COLLECTION), shard):
                reasons.append(f"run {running} is still under way")
            elif (due := state.next_attempt_at) and due > now:
                reasons.append(f"backing off until {due:%H:%M:%S} UTC after failed collections")
            else:
                asked.append(collection_request(names, shard))
        return asked or dg.SkipReason("; ".join(sorted(set(reasons))))

    return collection_schedule


def collection_request(
    names: Names, shard: Shard | None, run_key: str = "", tags: Mapping[str, str] | None = None
) -> dg.RunRequest:
    """A run that reads everything, or one shard; a shard needs a key of its own among the requests of one tick."""
    return dg.RunRequest(
        run_key=":".join(part for part in (run_key, str(shard or "")) if part) or None,
        tags={**names.job_tags(COLLECTION, shard), **(tags or {})},
        run_config={"ops": {names.name("collect"): {"config": {"shard": str(shard)}}}} if shard else {},
    )


def _states(monitor: Monitor) -> dict[Shard | None, JobState]:
    """What is known of earlier runs; nothing while the store is away, so that runs go on to keep their readings."""
    try:
        with monitor.session() as session:
            return reading_states(monitor.settings, session.store)
    except StoreError:
        if not keeps_readings(monitor.settings):
            raise
        return fresh_states(monitor.settings)


def _health_schedule(names: Names) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=names.name("health_schedule"),
        job_name=names.name(HEALTH),
        cron_schedule="2-59/5 * * * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Judge the monitor's own health, between two collections.",
    )
    def health_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        return _unless_running(context, names, HEALTH)

    return health_schedule


def _unless_running(
    context: dg.ScheduleEvaluationContext, names: Names, job: str, partition: date | None = None
) -> dg.RunRequest | dg.SkipReason:
    if running := run_in_progress(context.instance, names.name(job)):
        return dg.SkipReason(f"run {running} is still under way")
    return dg.RunRequest(partition_key=partition.isoformat() if partition else None, tags=names.job_tags(job))


def _daily(names: Names, job: str, at: time, lag: timedelta, what: str) -> dg.ScheduleDefinition:
    """Request the partition of the day `lag` ago, every day at that time."""

    @dg.schedule(
        name=names.name(job.removesuffix("_job") + "_schedule"),
        job_name=names.name(job),
        cron_schedule=cron_daily(at),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=what,
    )
    def daily(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        tick = context.scheduled_execution_time.astimezone(UTC)
        return _unless_running(context, names, job, (tick - lag).date())

    return daily
