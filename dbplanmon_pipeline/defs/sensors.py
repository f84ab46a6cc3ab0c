"""Sensors: what follows a collection, what follows a failure, and the partitions of single databases."""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.defs.history import history_sensor
from dbplanmon_pipeline.defs.naming import ANALYSIS, COLLECTION, INSIGHTS, SNAPSHOT, AssetJob, Names
from dbplanmon_pipeline.defs.runs import run_in_progress
from dbplanmon_pipeline.defs.snapshot import databases_partitions
from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline.services.remember_collection import collection_state

POLL_SECONDS = 5
"""The daemon's own loop; a slower sensor would add to the delay it keeps."""


def sensors(
    names: Names,
    monitor: Monitor,
    loaded_at: datetime,
    followers: Sequence[AssetJob],
    first_day: Sequence[AssetJob],
) -> list[dg.SensorDefinition]:
    """Those the settings leave on."""
    on = monitor.settings.schedules
    chosen = [
        (on.analysis, _analysis_sensor(names, monitor, followers)),
        (on.retry, _retry_sensor(names, monitor)),
        (on.collection, _start_sensor(names, monitor, loaded_at)),
        (on.baselines, history_sensor(names, monitor, first_day)),
        (True, _databases_sensor(names, monitor)),
    ]
    return [sensor for wanted, sensor in chosen if wanted]


def _analysis_sensor(names: Names, monitor: Monitor, followers: Sequence[AssetJob]) -> dg.SensorDefinition:
    @dg.sensor(
        name=names.name("analysis_sensor"),
        jobs=followers,
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Analyse a while after a collection ended, however it was started.",
    )
    def analysis_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        with monitor.session() as session:
            ended = _last_reading(collection_state(session.store), monitor)
        if ended is None or context.cursor == ended.isoformat():
            return dg.SkipReason("no collection since the last analysis")
        due = ended + monitor.settings.analysis.delay
        if monitor.clock() < due:
            return dg.SkipReason(f"analysis is due at {due:%H:%M:%S} UTC")
        if running := run_in_progress(context.instance, names.name(ANALYSIS)):
            return dg.SkipReason(f"analysis {running} is still under way")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=f"{job}:{ended.isoformat()}", job_name=names.name(job), tags=names.job_tags(job))
                for job in (ANALYSIS, INSIGHTS)
            ],
            cursor=ended.isoformat(),
        )

    return analysis_sensor


def _last_reading(state: JobState, monitor: Monitor) -> datetime | None:
    """End of the last collection that may have stored something: a failed one has, unless only all targets fail it."""
    ends = [state.last_success_at]
    if monitor.settings.collection.failure_threshold < 1:
        ends.append(state.last_failure_at)
    return max((end for end in ends if end), default=None)


def _retry_sensor(names: Names, monitor: Monitor) -> dg.SensorDefinition:
    @dg.sensor(
        name=names.name("collection_retry_sensor"),
        job_name=names.name(COLLECTION),
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Try a failed collection again, waiting twice as long each time.",
    )
    def collection_retry_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        with monitor.session() as session:
            state = collection_state(session.store)
        if not state.consecutive_failures or state.next_attempt_at is None:
            return dg.SkipReason("the last collection went well")
        if monitor.clock() < state.next_attempt_at:
            return dg.SkipReason(f"next attempt at {state.next_attempt_at:%H:%M:%S} UTC")
        if running := run_in_progress(context.instance, names.name(COLLECTION)):
            return dg.SkipReason(f"run {running} is still under way")
        return dg.RunRequest(
            run_key=f"retry:{state.next_attempt_at.isoformat()}",
            tags={**names.job_tags(COLLECTION), "dbplanmon/attempt": str(state.consecutive_failures + 1)},
        )

    return collection_retry_sensor


def _start_sensor(names: Names, monitor: Monitor, loaded_at: datetime) -> dg.SensorDefinition:
    delay = monitor.settings.collection.startup_delay

    @dg.sensor(
        name=names.name("collection_start_sensor"),
        job_name=names.name(COLLECTION),
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Read every target once after a start, without waiting for the next tick of the schedule.",
    )
    def collection_start_sensor(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not monitor.settings.instances:
            return dg.SkipReason("no instances in the settings")
        if monitor.clock() - loaded_at < delay:
            return dg.SkipReason(f"started less than {delay.total_seconds():.0f} s ago")
        with monitor.session() as session:
            state = collection_state(session.store)
        if state.last_success_at and monitor.clock() - state.last_success_at < monitor.settings.collection.interval:
            return dg.SkipReason("the last collection is recent enough")
        if state.consecutive_failures:
            return dg.SkipReason("the retry sensor takes care of failed collections")
        if running := run_in_progress(context.instance, names.name(COLLECTION)):
            return dg.SkipReason(f"run {running} is under way")
        return dg.RunRequest(run_key=f"start:{loaded_at.isoformat()}", tags=names.job_tags(COLLECTION))

    return collection_start_sensor


def _databases_sensor(names: Names, monitor: Monitor) -> dg.SensorDefinition:
    partitions = databases_partitions(names)
    partitions_name = partitions.name or ""

    @dg.sensor(
        name=names.name("databases_sensor"),
        job_name=names.name(SNAPSHOT),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Keep the partitions of `database_snapshot` in step with the settings.",
    )
    def databases_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            with monitor.session() as session:
                found = session.targets()
        except DbPlanMonError as error:
            return dg.SkipReason(str(error))
        present = set(context.instance.get_dynamic_partitions(partitions_name))
        # A server that does not answer now has not lost its databases.
        silent = {outcome.ref.instance for outcome in found.unlisted}
        wanted = {str(target.ref) for target in found.targets}
        wanted |= {key for key in present if DatabaseRef.parse(key).instance in silent}
        if wanted == present:
            return dg.SkipReason(f"{len(present)} databases, none new, none gone")
        return dg.SensorResult(
            dynamic_partitions_requests=[
                request
                for request in (
                    partitions.build_add_request(sorted(wanted - present)) if wanted - present else None,
                    partitions.build_delete_request(sorted(present - wanted)) if present - wanted else None,
                )
                if request
            ]
        )

    return databases_sensor
