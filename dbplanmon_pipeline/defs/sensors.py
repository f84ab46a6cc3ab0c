"""Sensors: what follows a collection, what follows a failure, and the partitions of single databases."""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg

from dbplanmon_pipeline.composition import Monitor
from dbplanmon_pipeline.composition.fleet_parts import collection_shards, reading_states
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports import JobState
from dbplanmon_pipeline.core.shards import Shard
from dbplanmon_pipeline.defs.history import history_sensor
from dbplanmon_pipeline.defs.naming import ANALYSIS, COLLECTION, INSIGHTS, SNAPSHOT, AssetJob, Names
from dbplanmon_pipeline.defs.runs import run_in_progress
from dbplanmon_pipeline.defs.schedules import collection_request
from dbplanmon_pipeline.defs.snapshot import databases_partitions
from dbplanmon_pipeline.defs.ticks import skips_without_store
from dbplanmon_pipeline.errors import DbPlanMonError
from dbplanmon_pipeline.services.remember_collection import collection_states

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
    @skips_without_store
    def analysis_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        with monitor.session() as session:
            states = collection_states(session.store, collection_shards(monitor.settings))
        ends = sorted(end for state in states.values() if (end := _last_reading(state, monitor)))
        known = (context.cursor or "").split(",")
        fresh = [end for end in ends if end.isoformat() not in known]
        if not fresh:
            return dg.SkipReason("no collection since the last analysis")
        # From the first of them on: shards that end one after the other shall not put it off for ever.
        due = fresh[0] + monitor.settings.analysis.delay
        if monitor.clock() < due:
            return dg.SkipReason(f"analysis is due at {due:%H:%M:%S} UTC")
        if running := run_in_progress(context.instance, names.name(ANALYSIS)):
            return dg.SkipReason(f"analysis {running} is still under way")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"{job}:{fresh[-1].isoformat()}", job_name=names.name(job), tags=names.job_tags(job)
                )
                for job in (ANALYSIS, INSIGHTS)
            ],
            cursor=",".join(end.isoformat() for end in ends),
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
    @skips_without_store
    def collection_retry_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
        with monitor.session() as session:
            states = reading_states(monitor.settings, session.store)
        failing = {shard: s for shard, s in states.items() if s.consecutive_failures and s.next_attempt_at}
        asked, reasons = [], []
        for shard, state in failing.items():
            if state.next_attempt_at and monitor.clock() < state.next_attempt_at:
                reasons.append(f"next attempt at {state.next_attempt_at:%H:%M:%S} UTC")
            elif running := run_in_progress(context.instance, names.name(COLLECTION), shard):
                reasons.append(f"run {running} is still under way")
            else:
                asked.append(_retry(names, shard, state))
        return asked or dg.SkipReason("; ".join(sorted(set(reasons))) or "the last collection went well")

    return collection_retry_sensor


def _retry(names: Names, shard: Shard | None, state: JobState) -> dg.RunRequest:
    due = state.next_attempt_at.isoformat() if state.next_attempt_at else ""
    attempt = {"dbplanmon/attempt": str(state.consecutive_failures + 1)}
    return collection_request(names, shard, f"retry:{due}", attempt)


def _start_sensor(names: Names, monitor: Monitor, loaded_at: datetime) -> dg.SensorDefinition:
    delay = monitor.settings.collection.startup_delay

    @dg.sensor(
        name=names.name("collection_start_sensor"),
        job_name=names.name(COLLECTION),
        minimum_interval_seconds=POLL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Read every target once after a start, without waiting for the next tick of the schedule.",
    )
    @skips_without_store
    def collection_start_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason | list[dg.RunRequest]:
        if not monitor.settings.instances:
            return dg.SkipReason("no instances in the settings")
        if monitor.clock() - loaded_at < delay:
            return dg.SkipReason(f"started less than {delay.total_seconds():.0f} s ago")
        with monitor.session() as session:
            states = reading_states(monitor.settings, session.store)
        recent = monitor.clock() - monitor.settings.collection.interval
        asked, reasons = [], []
        for shard, state in states.items():
            if state.last_success_at and state.last_success_at > recent:
                reasons.append("the last collection is recent enough")
            elif state.consecutive_failures:
                reasons.append("the retry sensor takes care of failed collections")
            elif running := run_in_progress(context.instance, names.name(COLLECTION), shard):
                reasons.append(f"run {running} is under way")
            else:
                asked.append(collection_request(names, shard, f"start:{loaded_at.isoformat()}"))
        return asked or dg.SkipReason("; ".join(sorted(set(reasons))))

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
