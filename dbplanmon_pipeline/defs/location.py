"""Settings in, one explicit `Definitions` out: for a code location of its own, or to be merged into another."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.shards import shards_of
from dbplanmon_pipeline.defs.alerting import alerts_job, alerts_sensor
from dbplanmon_pipeline.defs.analysis import analysis_assets, analysis_jobs
from dbplanmon_pipeline.defs.backtest import backtest_asset, backtest_job
from dbplanmon_pipeline.defs.checks import health_checks, health_job
from dbplanmon_pipeline.defs.collection import collection_assets, collection_job
from dbplanmon_pipeline.defs.dagster_history import OurHistory
from dbplanmon_pipeline.defs.daily import baselines_job, daily_assets, daily_jobs
from dbplanmon_pipeline.defs.history import history_asset, history_job
from dbplanmon_pipeline.defs.job_failures import job_failures_sensor
from dbplanmon_pipeline.defs.kpis import kpi_schedules, kpis_asset, kpis_job
from dbplanmon_pipeline.defs.lost_runs import lost_runs_sensor
from dbplanmon_pipeline.defs.naming import COLLECTION, JOB_TAG, RETENTION, AssetJob, Names
from dbplanmon_pipeline.defs.retention import retention_job, retention_schedules, store_maintenance_job
from dbplanmon_pipeline.defs.schedules import schedules
from dbplanmon_pipeline.defs.sensors import sensors
from dbplanmon_pipeline.defs.snapshot import snapshot_asset, snapshot_job
from dbplanmon_pipeline.defs.summary import summary_asset
from dbplanmon_pipeline.settings import Settings

STALE_AFTER_INTERVALS = 3


def build_definitions(
    settings: Settings, key_prefix: str | Sequence[str] | None = None, *, monitor: Monitor | None = None
) -> dg.Definitions:
    """Everything this package gives to Dagster.

    Args:
        settings: as `load_settings` returns them; nothing is opened here.
        key_prefix: goes before every asset key and, joined by two underscores, before every job, schedule and
            sensor name, so that the result can be merged into a code location that already exists, also twice under two
            prefixes. The executor of that location stays its own; our jobs bring theirs.
        monitor: in place of the one made from the settings, for a story with a clock or a source of its own.
    """
    names = Names.under(key_prefix)
    monitor = monitor or Monitor(settings)
    stale = max(settings.collection.interval * STALE_AFTER_INTERVALS, timedelta(minutes=2))
    checks = health_checks(names)
    followers = analysis_jobs(names)
    first_day = [history_job(names), baselines_job(names)]
    assets = [
        collection_assets(names, dg.FreshnessPolicy.time_window(fail_window=stale)),
        *analysis_assets(names),
        history_asset(names),
        *daily_assets(names),
        summary_asset(names),
        snapshot_asset(names),
        backtest_asset(names),
        kpis_asset(names),
    ]
    jobs: list[AssetJob] = [
        collection_job(names),
        *followers,
        alerts_job(names),
        health_job(names, checks),
        *first_day,
        *daily_jobs(names),
        snapshot_job(names),
        backtest_job(names),
        kpis_job(names),
        store_maintenance_job(names),
    ]
    all_schedules = [*schedules(names, monitor, monitor.clock()), *retention_schedules(names, monitor)]
    all_schedules += kpi_schedules(names, monitor)
    all_sensors = [*sensors(names, monitor, monitor.clock(), followers, first_day), alerts_sensor(names, monitor)]
    # Runs of a shard are found by a name of their own.
    shards = shards_of(monitor.settings.collection.shards, monitor.settings.collection.shards)
    job_names = [names.name(RETENTION), *(job.name for job in jobs)]
    job_names += [names.job_tags(COLLECTION, shard)[JOB_TAG] for shard in shards]
    all_sensors.append(lost_runs_sensor(names, job_names))
    if monitor.settings.schedules.job_failures:
        all_sensors.append(job_failures_sensor(names, monitor, job_names))
    ours = OurHistory.of(
        names,
        job_names,
        [*(schedule.name for schedule in all_schedules), *(sensor.name for sensor in all_sensors)],
        assets,
    )
    return dg.Definitions(
        assets=assets,
        asset_checks=[checks],
        jobs=[*jobs, retention_job(names, ours)],
        schedules=all_schedules,
        sensors=all_sensors,
        resources={names.resource: monitor},
        executor=dg.in_process_executor if key_prefix is None else None,
    )
