"""Old runs and ticks of our own jobs, schedules and sensors in the Dagster instance, and their removal.

Dagster keeps runs for ever. Runs of other code locations are none of our business, nor is a run that has not ended.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from dbplanmon_pipeline.defs.naming import BASELINES, HISTORY, JOB_TAG, ROLLUPS, SUMMARY, Names
from dbplanmon_pipeline.defs.runs import UNFINISHED

ENDED = [status for status in dg.DagsterRunStatus if status not in (*UNFINISHED, dg.DagsterRunStatus.MANAGED)]
DAILY = (BASELINES, HISTORY, ROLLUPS, SUMMARY)
"""Jobs whose runs make the assets of a day: a day without its run looks undone."""

BATCH = 100
MOST_RUNS = 5_000
"""A run takes up to 0.2 s to delete; what is beyond this goes tomorrow."""

_ASSETS_BY_HAND = "__ASSET_JOB"
_PARTITION_TAGS = ("dagster/partition", "dagster/asset_partition_range_start")


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """Moments before which runs, and runs that made the assets of a day, are superfluous."""

    runs: datetime
    daily_runs: datetime


@dataclass(frozen=True, slots=True)
class OurHistory:
    """What of the instance is ours: names of jobs, of those that make a day, of schedules and sensors; assets."""

    jobs: frozenset[str]
    daily_jobs: frozenset[str]
    instigators: frozenset[str]
    assets: frozenset[dg.AssetKey]

    @classmethod
    def of(
        cls, names: Names, jobs: Iterable[str], instigators: Iterable[str], assets: Iterable[dg.AssetsDefinition]
    ) -> "OurHistory":
        """From the parts of the definitions."""
        daily = frozenset(names.name(job) for job in DAILY)
        keys = frozenset(key for asset in assets for key in asset.keys)
        return cls(frozenset(jobs) - daily, daily, frozenset(instigators), keys)


def remove_old_runs(instance: dg.DagsterInstance, ours: OurHistory, limits: HistoryLimits) -> dict[str, int]:
    """Delete ended runs with their events and logs; returns how many of each job."""
    removed: dict[str, int] = {}
    for run in _old_runs(instance, ours, limits):
        instance.delete_run(run.run_id)
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
        removed[run.job_name] = removed.get(run.job_name, 0) + 1
        if sum(removed.values()) >= MOST_RUNS:
            break
    return removed


def remove_old_ticks(instance: dg.DagsterInstance, ours: OurHistory, before: datetime) -> int:
    """Delete the ticks of our schedules and sensors; returns of how many of them."""
    found = [state for state in instance.all_instigator_state() if state.instigator_name in ours.instigators]
    for state in found:
        instance.purge_ticks(state.instigator_origin_id, state.selector_id, before.timestamp())
    return len(found)


def _old_runs(instance: dg.DagsterInstance, ours: OurHistory, limits: HistoryLimits) -> Iterator[dg.DagsterRun]:
    yield from _until_empty(instance, ours.jobs, limits.runs)
    yield from _until_empty(instance, ours.daily_jobs, limits.daily_runs)
    by_hand = dg.RunsFilter(job_name=_ASSETS_BY_HAND, statuses=ENDED, updated_before=limits.runs)
    for record in instance.get_run_records(by_hand, limit=MOST_RUNS, ascending=True):
        run = record.dagster_run
        selected = run.asset_selection or frozenset()
        is_young = record.update_timestamp >= limits.daily_runs
        if selected and selected <= ours.assets and not (is_young and any(tag in run.tags for tag in _PARTITION_TAGS)):
            yield run


def _until_empty(instance: dg.DagsterInstance, jobs: Iterable[str], before: datetime) -> Iterator[dg.DagsterRun]:
    """Every run is deleted by the caller before the next batch is asked for."""
    chosen = dg.RunsFilter(tags={JOB_TAG: sorted(jobs)}, statuses=ENDED, updated_before=before)
    while runs := instance.get_runs(chosen, limit=BATCH):
        yield from runs
