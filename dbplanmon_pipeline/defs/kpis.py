"""KPIs: figures of users, read when they are due, with a check that tells which are out of their limits."""

from collections.abc import Iterator, Sequence

import dagster as dg
from pydantic import Field

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.composition.kpis import kpi_specs
from dbplanmon_pipeline.core.health import Finding
from dbplanmon_pipeline.core.kpis.health import kpis_within_limits
from dbplanmon_pipeline.core.kpis.rules import KpiState
from dbplanmon_pipeline.defs.naming import KPIS, AssetJob, Names
from dbplanmon_pipeline.defs.runs import run_in_progress
from dbplanmon_pipeline.defs.tables import check_result, short_table
from dbplanmon_pipeline.defs.ticks import skips_without_store
from dbplanmon_pipeline.services.run_kpis import KpiReport, unwatched_kpis

WITHIN_LIMITS = "kpis_are_within_limits"
EVERY_MINUTE = "* * * * *"


class KpiConfig(dg.Config):
    """Which KPIs to read."""

    names: list[str] = Field(default=[], description="Read these now; empty reads those that are due.")


def kpis_asset(names: Names) -> dg.AssetsDefinition:
    """`kpis`, with its check in the same step."""

    @dg.multi_asset(
        name=names.name("read_kpis"),
        required_resource_keys={names.resource},
        specs=[
            dg.AssetSpec(
                names.key("kpis"),
                description="Figures of your own, each with its history and what people were told of it.",
                group_name="kpis",
                kinds={"sql", "python"},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                WITHIN_LIMITS,
                asset=names.key("kpis"),
                description="Every KPI could be read, and its last value is within its limits.",
            )
        ],
    )
    def read_kpis(context: dg.AssetExecutionContext, config: KpiConfig) -> Iterator[dg.MaterializeResult[None]]:
        with names.monitor(context).session() as session:
            report = session.run_kpis(config.names)
            finding = kpis_within_limits(session.kpi_status())
        yield _result(names, report, finding)

    return read_kpis


def _result(names: Names, report: KpiReport, finding: Finding) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        asset_key=names.key("kpis"),
        metadata={
            "dagster/row_count": len(report.results),
            "breaches": report.count(KpiState.BREACH),
            "errors": report.count(KpiState.ERROR),
            "alerts": report.alerts,
            "left_alone": report.count(KpiState.LEFT_ALONE),
            "under_way": len(report.under_way),
            "no_longer_watched": ", ".join(report.unwatched),
            "read": short_table(
                [
                    {"kpi": r.name, "state": r.state.value, "value": r.value, "ms": r.duration_ms, "why": r.message}
                    for r in report.results
                ],
                empty="nothing was due",
            ),
        },
        check_results=[check_result(names.key("kpis"), WITHIN_LIMITS, finding)],
    )


def kpis_job(names: Names) -> AssetJob:
    """The job of the schedule that looks every minute."""
    return dg.define_asset_job(
        names.name(KPIS),
        selection=dg.AssetSelection.assets(names.key("kpis")),
        description="Read the KPIs that are due.",
        tags=names.job_tags(KPIS),
        executor_def=dg.in_process_executor,
    )


def kpi_schedules(names: Names, monitor: Monitor) -> Sequence[dg.ScheduleDefinition]:
    """The one schedule, where the settings leave it on; a minute in which nothing is due costs no run."""

    @dg.schedule(
        name=names.name("kpis_schedule"),
        job_name=names.name(KPIS),
        cron_schedule=EVERY_MINUTE,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Read the KPIs that are due.",
    )
    @skips_without_store
    def kpis_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if running := run_in_progress(context.instance, names.name(KPIS)):
            return dg.SkipReason(f"run {running} is still under way, and takes up what becomes due")
        with monitor.session() as session:
            due = session.due_kpis() or unwatched_kpis(kpi_specs(session.settings), session.store)
        if not due:
            return dg.SkipReason("no KPI is due" if monitor.settings.kpis else "no KPIs in the settings")
        return dg.RunRequest(tags=names.job_tags(KPIS))

    return [kpis_schedule] if monitor.settings.schedules.kpis else []
