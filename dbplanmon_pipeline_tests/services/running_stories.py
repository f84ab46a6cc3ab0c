"""A store that gets the rows of a made-up workload tick by tick, and an analysis that checks every step it takes."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from dbplanmon_pipeline.core.arrivals import fresh_rows_of, rows_of
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.plan_changes import plan_changes
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, IntervalRows
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.services.analyse import AnalysisReport, analyse
from dbplanmon_pipeline.services.analyse_step import RunningSteps
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline.store import SqlStore, StateFolder
from dbplanmon_pipeline_tests.core.verdict.verdicts import said
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload
from dbplanmon_pipeline_tests.services.stories import policy

LOOKBACK = 60
DETECTOR = StatisticalDetector(DetectorPolicy(lookback_intervals=LOOKBACK))
POLICY = policy(lookback=DETECTOR.policy.lookback)


class CheckedSteps(RunningSteps):
    """Compares what it says with what the whole lookback says, and counts."""

    stepped = 0

    def parts(self, group, judged, newest, lookback):
        found = super().parts(group, judged, newest, lookback)
        for part in found or ():
            since = min(judged.until, part.ticks[0] - timedelta(microseconds=1)) - lookback
            frame = rows_of(
                self.store.interval_frame(since, newest, columns=DETECTOR_COLUMNS, databases=group), part.instances
            )
            baselines = self.store.baselines(newest, self.layout)
            for tick, evaluation in zip(part.ticks, part.evaluations, strict=True):
                assert said(evaluation) == said(DETECTOR.evaluate(frame, baselines, tick))
            assert new_plans(part.frame, judged) == new_plans(frame, judged)
            type(self).stepped += 1
        return found


def new_plans(frame, judged):
    """Plan changes in rows that were not judged yet."""
    rows = frame.rows.loc[fresh_rows_of(frame, judged), ["database_id", "query_hash", "interval_start_us"]]
    fresh = {(frame.databases[d], q, start) for d, q, start in rows.itertuples(index=False)}
    return [one for one in plan_changes(frame, {}) if (one.ref, one.query_hash, epoch_us(one.changed_at)) in fresh]


class RunningStory:
    """Writes ticks of a workload and judges them.

    Args:
        store: empty.
        folder: of the state.
        workload: what happens.
        databases: the statements are dealt out to so many, two to an instance.
    """

    def __init__(self, store: SqlStore, folder: Path, workload: Workload, databases: int = 3) -> None:
        frame = workload.frame(databases)
        refs = {number: DatabaseRef(f"host{number // 2}", f"db{number}") for number in range(databases)}
        self.store, self.folder, self.workload = store, folder, workload
        self.frame = IntervalFrame(frame.rows, refs)

    def write(self, first: int, last: int | None = None, databases=None, **changes) -> None:
        """Record the rows of the ticks `first` to `last`, or altered ones."""
        rows, workload = self.frame.rows, self.workload
        ends = rows["interval_end_us"]
        after, until = epoch_us(workload.moment(first - 1)), epoch_us(workload.moment(first if last is None else last))
        self.record(rows[(ends > after) & (ends <= until)].assign(**changes), databases)

    def record(self, rows, databases=None) -> None:
        """Record rows of a frame."""
        collected = []
        for number, own in rows.groupby("database_id"):
            if databases is not None and number not in databases:
                continue
            ref, keys = self.frame.databases[int(number)], own.iloc[:, 1:5].to_numpy(np.int64).T
            metrics = (own[list(names)].to_numpy(float) for names in (COUNTERS, EXTREMA))
            work = IntervalRows(*keys, *metrics, own["counter_reset"].to_numpy(bool))
            outcome = CollectionOutcome(ref, self.workload.moment(0), CollectionStatus.OK, rows=len(own))
            collected.append(CollectedDatabase(outcome, Engine.POSTGRES, rows=work))
        self.store.record(collected)

    def learn(self, as_of: datetime) -> None:
        rebuild_baselines(self.store, DETECTOR, as_of=as_of, days=7)

    def steps(self, kind=CheckedSteps, detector=DETECTOR) -> RunningSteps:
        return kind(self.store, StateFolder(self.folder), detector.policy, detector.layout, "store")

    def analyse(self, kind=CheckedSteps) -> tuple[AnalysisReport, int]:
        """Judge what is new; the report, and how many groups were judged by their state."""
        CheckedSteps.stepped = 0
        report = analyse(self.store, DETECTOR, policy=POLICY, steps=self.steps(kind))
        return report, CheckedSteps.stepped

    def us(self, tick: int) -> int:
        """End of a tick [epoch microseconds]."""
        return epoch_us(self.workload.moment(tick))
