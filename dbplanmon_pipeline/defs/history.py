"""`query_store_history`: what engines still know from before we watched them, by UTC day, and what asks for it."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import ImportStatus
from dbplanmon_pipeline.defs.config import CollectionConfig
from dbplanmon_pipeline.defs.daily import DAYS, DayResult, daily_asset, days_of
from dbplanmon_pipeline.defs.naming import BASELINES, HISTORY, AssetJob, Names
from dbplanmon_pipeline.defs.runs import run_in_progress
from dbplanmon_pipeline.defs.tables import short_table
from dbplanmon_pipeline.defs.ticks import skips_without_store
from dbplanmon_pipeline.services.import_history import HistoryOutcome, HistoryReport

ASSET = "query_store_history"

LOOK_EVERY_SECONDS = 300

RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
"""Tags of a run over a range of partitions."""


def history_asset(names: Names) -> dg.AssetsDefinition:
    """The asset; days of many databases are one run, and a database that fails is a row of its table."""

    @daily_asset(
        names,
        ASSET,
        ("query_metrics",),
        "Work of every statement before the first reading, as far as the engine still knows it.",
    )
    def query_store_history(context: dg.AssetExecutionContext, config: CollectionConfig) -> DayResult:
        days = days_of(context)
        with names.monitor(context).session() as session:
            report = session.import_history(days, only=config.databases)
        return dg.MaterializeResult(metadata=_facts(report, days))

    return query_store_history


def _facts(report: HistoryReport, days: Sequence[date]) -> dict[str, Any]:
    return {
        "dagster/row_count": report.rows,
        "databases": len({outcome.ref for outcome in report.outcomes}),
        "failed": len(report.failed),
        "duration_seconds": round(report.duration_seconds, 2),
        "days": short_table([_day_row(day, report.outcomes) for day in reversed(days)]),
        "not_imported": short_table(
            [
                {
                    "database": str(outcome.ref),
                    "day": outcome.day.isoformat() if outcome.day else "",
                    "state": outcome.status.value,
                    "why": outcome.message,
                }
                for outcome in report.not_imported
            ],
            empty="every day of every database was imported",
        ),
    }


def _day_row(day: date, outcomes: Sequence[HistoryOutcome]) -> dict[str, str | int]:
    imported = [outcome for outcome in outcomes if outcome.day == day and outcome.status is ImportStatus.IMPORTED]
    return {"day": day.isoformat(), "databases": len(imported), "rows": sum(outcome.rows for outcome in imported)}


def history_job(names: Names) -> AssetJob:
    """The job of the sensor."""
    return dg.define_asset_job(
        names.name(HISTORY),
        selection=dg.AssetSelection.assets(names.key(ASSET)),
        description="Import what engines still know from before they were watched.",
        tags=names.job_tags(HISTORY),
        executor_def=dg.in_process_executor,
    )


def history_sensor(names: Names, monitor: Monitor, jobs: Sequence[AssetJob]) -> dg.SensorDefinition:
    """Ask once for the history of each database, and for baselines once there is some.

    Args:
        names: of everything.
        monitor: gives the store and the settings.
        jobs: the import and the rebuild of baselines.
    """

    @dg.sensor(
        name=names.name("history_sensor"),
        jobs=jobs,
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Import the history of databases that are new here, then learn what is normal from it.",
    )
    @skips_without_store
    def history_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        if running := run_in_progress(context.instance, names.name(HISTORY)):
            return dg.SkipReason(f"import {running} is still under way")
        with monitor.session() as session:
            missing = session.databases_without_history()
            imported_at = session.store.last_history_import()
        today = monitor.clock().astimezone(UTC).date()
        if missing:
            return dg.SensorResult([_import_request(names, missing, today, monitor.settings.baselines.days)])
        if imported_at is None or context.cursor == imported_at.isoformat():
            return dg.SkipReason("no database waits for its history")
        if running := run_in_progress(context.instance, names.name(BASELINES)):
            return dg.SkipReason(f"baselines are being learnt by run {running}")
        return dg.SensorResult([_baselines_request(names, imported_at, today)], cursor=imported_at.isoformat())

    return history_sensor


def _import_request(names: Names, missing: Sequence[DatabaseRef], today: date, days: int) -> dg.RunRequest:
    """Days of the baselines and today; the same databases are asked for once, even where the run is lost."""
    wanted = [str(ref) for ref in missing]
    first = max(today - timedelta(days=days), DAYS.start.date())
    config = {"ops": {names.name(ASSET): {"config": {"databases": wanted}}}}
    key = hashlib.blake2b("\n".join(wanted).encode(), digest_size=8).hexdigest()
    tags = {**names.job_tags(HISTORY), RANGE_START: first.isoformat(), RANGE_END: today.isoformat()}
    return dg.RunRequest(run_key=f"history:{key}", job_name=names.name(HISTORY), run_config=config, tags=tags)


def _baselines_request(names: Names, imported_at: datetime, today: date) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"history:{imported_at.isoformat()}",
        job_name=names.name(BASELINES),
        partition_key=today.isoformat(),
        tags=names.job_tags(BASELINES),
    )
