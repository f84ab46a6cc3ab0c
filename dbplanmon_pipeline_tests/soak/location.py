"""The code location of a soak run: ours, over the servers of the plan, collected every 30 seconds."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.defs.location import build_definitions
from dbplanmon_pipeline.defs.naming import COLLECTION, Names
from dbplanmon_pipeline.defs.runs import run_in_progress
from dbplanmon_pipeline.settings import load_settings
from dbplanmon_pipeline_tests.soak.plan import PLAN, Plan, read_plan
from dbplanmon_pipeline_tests.soak.targets import provider_maker

HALF_A_MINUTE = timedelta(seconds=30)


def half_minute_sensor(monitor: Monitor) -> dg.SensorDefinition:
    """Between two ticks of `collection_schedule`, whose cron knows no half minutes."""

    @dg.sensor(
        name="half_minute_sensor",
        job_name=COLLECTION,
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = monitor.clock()
        if now.second < HALF_A_MINUTE.total_seconds():
            return dg.SkipReason("the schedule has this half of the minute")
        if running := run_in_progress(context.instance, COLLECTION):
            return dg.SkipReason(f"run {running} is still under way")
        return dg.RunRequest(run_key=f"half:{now:%Y-%m-%dT%H:%M}", tags=Names().job_tags(COLLECTION))

    return sensor


def soak_definitions(plan: Plan) -> dg.Definitions:
    """Everything the package gives to Dagster, and the sensor above."""
    settings = load_settings()
    monitor = Monitor(settings, make_provider=provider_maker(plan))
    extra: Sequence[dg.SensorDefinition] = [half_minute_sensor(monitor)]
    return dg.Definitions.merge(build_definitions(settings, monitor=monitor), dg.Definitions(sensors=extra))


defs = soak_definitions(read_plan(Path(os.environ[PLAN])))
