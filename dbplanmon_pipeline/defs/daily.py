"""Assets by UTC day, worth a backfill: baselines, rollups, the archive and the daily summary."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.summary import render_markdown
from dbplanmon_pipeline.defs.naming import BASELINES, ROLLUPS, SUMMARY, Names
from dbplanmon_pipeline.defs.tables import Cell, short_table

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01", timezone="UTC", end_offset=1)
"""The present day is there as well, so that a baseline can be learnt on the first day."""


def days_of(context: dg.AssetExecutionContext) -> list[date]:
    """Days of this run, oldest first: one, or a range of a backfill."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def end_of(day: date) -> datetime:
    """The first moment after a UTC day."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def daily_assets(names: Names) -> list[dg.AssetsDefinition]:
    """The four of them; a backfill of many days is one run."""
    every_day = {"partitions_def": DAYS, "backfill_policy": dg.BackfillPolicy.single_run(), "group_name": "daily"}

    @dg.asset(
        key=names.key("baselines"),
        deps=[names.key("query_metrics")],
        description="What is normal for each statement, learnt from the week before the end of the day.",
        **every_day,
    )
    def baselines(context: dg.AssetExecutionContext, dbplanmon: dg.ResourceParam[Monitor]) -> dg.MaterializeResult:
        with dbplanmon.session() as session:
            reports = [session.rebuild_baselines(as_of=min(end_of(day), dbplanmon.clock())) for day in days_of(context)]
        return _by_day(
            context,
            [
                {"statements": r.statements, "frozen_by_incidents": r.frozen, "intervals_read": r.intervals}
                for r in reports
            ],
        )

    @dg.asset(
        key=names.key("hourly_rollups"),
        deps=[names.key("query_metrics")],
        description="Totals of every statement and plan by hour, kept for more than a year.",
        **every_day,
    )
    def hourly_rollups(context: dg.AssetExecutionContext, dbplanmon: dg.ResourceParam[Monitor]) -> dg.MaterializeResult:
        with dbplanmon.session() as session:
            return _by_day(context, [{"rows": session.store.roll_up_day(day)} for day in days_of(context)])

    @dg.asset(
        key=names.key("metrics_archive"),
        deps=[names.key("hourly_rollups")],
        description="A finished day as Parquet, sorted by statement; its hot rows leave the store.",
        **every_day,
    )
    def metrics_archive(
        context: dg.AssetExecutionContext, dbplanmon: dg.ResourceParam[Monitor]
    ) -> dg.MaterializeResult:
        with dbplanmon.session() as session:
            sealed = [session.store.seal_day(day) for day in days_of(context)]
        return _by_day(
            context,
            [
                {"rows": day.rows, "bytes": day.bytes, "location": day.location}
                if day
                else {"rows": 0, "bytes": 0, "location": "no rows that day"}
                for day in sealed
            ],
        )

    @dg.asset(
        key=names.key("daily_summary"),
        deps=[names.key("regressions"), names.key("hotspots"), names.key("plan_changes")],
        description="The day in one page: incidents, plan changes, dearest statements, and how well we watched.",
        **every_day,
    )
    def daily_summary(context: dg.AssetExecutionContext, dbplanmon: dg.ResourceParam[Monitor]) -> dg.MaterializeResult:
        with dbplanmon.session() as session:
            summaries = [session.summarise(day) for day in days_of(context)]
        result = _by_day(
            context,
            [
                {
                    "grade": s.grade.value,
                    "opened": len(s.opened),
                    "closed": len(s.closed),
                    "ongoing": len(s.ongoing),
                    "plan_changes": len(s.plan_changes),
                    "databases_read": s.databases_read,
                }
                for s in summaries
            ],
        )
        page = dg.MetadataValue.md(render_markdown(summaries[-1]))
        return result._replace(metadata={**(result.metadata or {}), "page": page})

    return [baselines, hourly_rollups, metrics_archive, daily_summary]


def _by_day(context: dg.AssetExecutionContext, facts: Sequence[Mapping[str, Cell]]) -> dg.MaterializeResult:
    """Facts of one day as metadata of their own; a backfill of several days shows them as one table.

    Dagster gives every partition of a single-run backfill the metadata of the one result.
    """
    if len(facts) == 1:
        metadata: dict[str, object] = dict(facts[0])
        rows = next(iter(facts[0].values()))
        if isinstance(rows, int):
            metadata["dagster/row_count"] = rows
        return dg.MaterializeResult(metadata=metadata)
    table = [{"day": day.isoformat(), **fact} for day, fact in zip(days_of(context), facts, strict=True)]
    return dg.MaterializeResult(metadata={"days": short_table(table)})


def daily_jobs(names: Names) -> list[dg.UnresolvedAssetJobDefinition]:
    """One job per schedule."""

    def job(name: str, what: str, *assets: str) -> dg.UnresolvedAssetJobDefinition:
        return dg.define_asset_job(
            names.name(name),
            selection=dg.AssetSelection.assets(*(names.key(asset) for asset in assets)),
            description=what,
            tags=names.job_tags(name),
        )

    return [
        job(BASELINES, "Learn what is normal.", "baselines"),
        job(ROLLUPS, "Roll a finished day up and move it to the archive.", "hourly_rollups", "metrics_archive"),
        job(SUMMARY, "Sum up yesterday.", "daily_summary"),
    ]
