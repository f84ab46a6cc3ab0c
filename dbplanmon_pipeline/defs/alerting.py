"""Alerts between analyses: reminders that are due, messages whose wait is over, deliveries that are tried again."""

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.defs.naming import ALERTS, ANALYSIS, AssetJob, Names
from dbplanmon_pipeline.defs.runs import run_in_progress
from dbplanmon_pipeline.defs.ticks import skips_without_store

LOOK_EVERY_SECONDS = 30


def alerts_job(names: Names) -> AssetJob:
    """One step without assets: a run of it is eight events."""

    @dg.op(
        name=names.name("process_alerts"),
        required_resource_keys={names.resource},
        description="Decide about queued alerts and send what is due.",
    )
    def process_alerts(context: dg.OpExecutionContext) -> None:
        with names.monitor(context).session() as session:
            decided = session.decide_alerts()
            report = session.process_alerts()
        moved = ", ".join(f"{count} {state.value}" for state, count in sorted(decided.states.items()))
        context.log.info(
            f"alerts: {decided.let_through} let through, {moved or 'none'} otherwise; "
            f"{report.sent} sent, {report.failed} to be tried again, {report.dropped} given up"
        )

    @dg.job(
        name=names.name(ALERTS),
        description="Decide about queued alerts and send what is due.",
        tags=names.job_tags(ALERTS),
        executor_def=dg.in_process_executor,
    )
    def job() -> None:
        process_alerts()

    return job


def alerts_sensor(names: Names, monitor: Monitor) -> dg.SensorDefinition:
    """Ask for a run only while there is something to decide or to send."""

    @dg.sensor(
        name=names.name("alerts_sensor"),
        job_name=names.name(ALERTS),
        minimum_interval_seconds=LOOK_EVERY_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Send what became due since the last analysis: reminders, held messages, further attempts.",
    )
    @skips_without_store
    def alerts_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with monitor.session() as session:
            if not session.alerts_due():
                return dg.SkipReason("no alert is due")
        for job in (ALERTS, ANALYSIS):
            if running := run_in_progress(context.instance, names.name(job)):
                return dg.SkipReason(f"run {running} is still under way")
        return dg.RunRequest(tags=names.job_tags(ALERTS))

    return alerts_sensor
