"""Assets by UTC day, worth a backfill: baselines, rollups and the archive; their decorator serves the summary too."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import dagster as dg

from dbplanmon_pipeline.defs.naming import BASELINES, ROLLUPS, SUMMARY, AssetJob, Names
from dbplanmon_pipeline.defs.tables import Cell, short_table

DayResult = dg.MaterializeResult[None]
ComputeDays = Callable[..., DayResult]
DecorateAsset = Callable[[ComputeDays], dg.AssetsDefinition]

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", timezone="UTC", end_offset=1)
"""The present day is there as well, so that a baseline can be learnt on the first day."""


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """Days of this run, oldest first: one, or a range of a backfill."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def end_of(day: date) -> datetime:
    """The first moment after a UTC day."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def daily_assets(names: Names) -> list[dg.AssetsDefinition]:
    """All but the summary; a backfill of many days is one run."""

    @daily_asset(
        names,
        "baselines",
        ("query_metrics", "query_store_history"),
        "What is normal for each statement, learnt from the week before the end of the day.",
    )
    def baselines(context: dg.AssetExecutionContext) -> DayResult:
        monitor = names.monitor(context)
        with monitor.session() as session:
            reports = [session.rebuild_baselines(as_of=min(end_of(day), monitor.clock())) for day in days_of(context)]
        return by_day(
            context,
            [
                {"statements": r.statements, "frozen_by_incidents": r.frozen, "intervals_read": r.intervals}
                for r in reports
            ],
        )

    @daily_asset(
        names,
        "hourly_rollups",
        ("query_metrics",),
        "Totals of every statement and plan by hour, kept for more than a year.",
    )
    def hourly_rollups(context: dg.AssetExecutionContext) -> DayResult:
        with names.monitor(context).session() as session:
            return by_day(context, [{"rows": session.store.roll_up_day(day)} for day in days_of(context)])

    @daily_asset(
        names,
        "metrics_archive",
        ("hourly_rollups",),
        "A finished day as Parquet, sorted by statement; its hot rows leave the store.",
    )
    def metrics_archive(context: dg.AssetExecutionContext) -> DayResult:
        with names.monitor(context).session() as session:
            sealed = [session.store.seal_day(day) for day in days_of(context)]
        return by_day(
            context,
            [
                {"rows": day.rows, "bytes": day.bytes, "location": day.location}
                if day
                else {"rows": 0, "bytes": 0, "location": "no rows that day"}
                for day in sealed
            ],
        )

    return [baselines, hourly_rollups, metrics_archive]


def daily_asset(names: Names, name: str, upstream: Sequence[str], what: str) -> DecorateAsset:
    """The decorator of a daily asset; a backfill of many days is one run."""
    with warnings.catch_warnings():
        # Single-run backfills carry a beta mark; their behaviour is pinned by a test.
        warnings.simplefilter("ignore", dg.BetaWarning)
        policy = dg.BackfillPolicy.single_run()

    def decorate(compute: ComputeDays) -> dg.AssetsDefinition:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)
            return dg.asset(
                key=names.key(name),
                deps=[names.key(asset) for asset in upstream],
                required_resource_keys={names.resource},
                partitions_def=DAYS,
                backfill_policy=policy,
                group_name="daily",
                description=what,
            )(compute)

    return decorate


def by_day(context: dg.AssetExecutionContext, facts: Sequence[Mapping[str, Cell]]) -> DayResult:
    """Facts of one day as metadata of their own; a backfill of several days shows them as one table.

    Dagster gives every partition of a single-run backfill the metadata of the one result.
    """
    if len(facts) == 1:
        metadata: dict[str, Any] = dict(facts[0])
        rows = next(iter(facts[0].values()))
        if isinstance(rows, int):
            metadata["dagster/row_count"] = rows
        return dg.MaterializeResult(metadata=metadata)
    table = [{"day": day.isoformat(), **fact} for day, fact in zip(days_of(context), facts, strict=True)]
    return dg.MaterializeResult(metadata={"days": short_table(table)})


def baselines_job(names: Names) -> AssetJob:
    """The job of the baselines; an import of history asks for it too."""
    return _job(names, BASELINES, "Learn what is normal.", "baselines")


def daily_jobs(names: Names) -> list[AssetJob]:
    """The other ones, one per schedule."""
    return [
        _job(names, ROLLUPS, "Roll a finished day up and move it to the archive.", "hourly_rollups", "metrics_archive"),
        _job(names, SUMMARY, "Sum up yesterday.", "daily_summary"),
    ]


def _job(names: Names, name: str, what: str, *assets: str) -> AssetJob:
    return dg.define_asset_job(
        names.name(name),
        selection=dg.AssetSelection.assets(*(names.key(asset) for asset in assets)),
        description=what,
        tags=names.job_tags(name),
        executor_def=dg.in_process_executor,
    )
