"""A record with trouble in it: two instances, seven databases, a step of an hour, and the same rows in a store."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy
from dbplanmon_pipeline.core.model import CollectionOutcome, CollectionStatus, DatabaseRef, Engine
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.ports import CollectedDatabase
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading, IntervalRows
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.services.analyse import AnalysisPolicy, analyse
from dbplanmon_pipeline.services.analyse_step import RunningSteps
from dbplanmon_pipeline.services.backtest import BacktestPolicy
from dbplanmon_pipeline.services.rebuild_baselines import rebuild_baselines
from dbplanmon_pipeline.store import StateFolder
from dbplanmon_pipeline.store.intervals.parquet import public_table
from dbplanmon_pipeline_tests.core.verdict.workloads import Workload

STEP = timedelta(hours=1)
A_DAY = 24
DAYS = 4
LEARNT = 2
BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
FIRST = BEGIN + timedelta(days=LEARNT)
POLICY = BacktestPolicy(
    IncidentPolicy(step=STEP, calm_after=6 * STEP, instance_calm_after=4 * STEP), timedelta(hours=12), LEARNT
)
SLOW_AT = 3 * A_DAY + 10
"""Tick at which the instance `depot` is slow."""


def detector():
    return StatisticalDetector(DetectorPolicy(step=STEP, days=LEARNT, lookback_intervals=12, min_intervals=20))


def troubled(seed=1):
    """Statements 1 to 12 of shop and depot; some break, rest, come back, or suffer with their instance."""
    rng = np.random.default_rng(seed)
    shop, depot = (Workload(12, DAYS * A_DAY, step=STEP, calls=400, noise=0.05, seed=seed + n) for n in range(2))
    shop.slow_down(2, slice(2 * A_DAY + 4, 2 * A_DAY + 14), 5)
    shop.plan[2, 2 * A_DAY + 4 : 2 * A_DAY + 14] = 77
    shop.slow_down(2, slice(3 * A_DAY + 8, None), 6)
    shop.plan[2, 3 * A_DAY + 8 :] = 77
    shop.slow_down(4, slice(2 * A_DAY + 21, 3 * A_DAY + 6), 8)
    shop.slow_down(6, slice(2 * A_DAY - 6, 2 * A_DAY + 18), 2.5)
    shop.slow_down(0, slice(3 * A_DAY + 1, None), 6)
    shop.calls[8, 2 * A_DAY + 10 :] = 0
    shop.calls[9][rng.random(DAYS * A_DAY) < 0.4] = 0
    shop.fail(10, slice(2 * A_DAY + 3, 3 * A_DAY), 0.7, 78)
    shop.fail(3, slice(3 * A_DAY + 2, None), 1.0, 79)
    shop.fail(11, slice(None), 0.1)
    depot.slow_down(1, slice(2 * A_DAY + 2, None), 8)
    depot.cost[:, SLOW_AT : SLOW_AT + 5] *= 3
    depot.slow_down(5, slice(SLOW_AT + 2, None), 5)
    return {"depot": depot, "shop": shop}


def recorded(seed=1, databases=(5, 2), jitter=True):
    """The rows as one frame; ticks are off a whole step by seconds, as collections are."""
    rng = np.random.default_rng(seed)
    moments = epoch_us(BEGIN) + np.arange(DAYS * A_DAY + 1) * (STEP // timedelta(microseconds=1))
    if jitter:
        moments = moments + rng.integers(0, 4_000_000, len(moments))
    parts, refs = [], {}
    for (instance, workload), count in zip(troubled(seed).items(), databases, strict=True):
        rows = workload.frame(count).rows
        tick = (rows["interval_end_us"].to_numpy() - epoch_us(workload.moment(0))) // (
            STEP // timedelta(microseconds=1)
        )
        number = rows["database_id"].to_numpy() + len(refs) + 1
        refs |= {len(refs) + 1 + n: DatabaseRef(instance, f"db{n}") for n in range(count)}
        parts.append(
            rows.assign(
                database_id=number.astype(np.int32),
                interval_start_us=moments[tick],
                interval_end_us=moments[tick + 1],
            )
        )
    order = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
    return IntervalFrame(pd.concat(parts).sort_values(order, ignore_index=True), refs)


class Collector:
    """Records rows of a frame, as the collections of that time would have."""

    def __init__(self, store, frame):
        self.store, self.frame = store, frame
        self.until = 0
        self.read_at = {}

    def record(self, until):
        """What ended since the last call and by `until`."""
        ends = self.frame.rows["interval_end_us"]
        chosen = self.frame.rows[(ends > self.until) & (ends <= epoch_us(until))]
        self.until = epoch_us(until)
        parts = [self._collected(number, part) for number, part in chosen.groupby("database_id")]
        assert not self.store.record(parts)

    def _collected(self, number, rows):
        end = int(rows["interval_end_us"].max())
        collected = _collected(self.frame.databases[number], rows, end, self.read_at.get(number))
        self.read_at[number] = collected.reading.read_at
        return collected


def _collected(ref, rows, end, previous):
    read_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=end)
    none = np.empty(0, np.int64)
    reading = CounterReading(
        read_at, (), (), none, none, np.empty((0, len(COUNTERS))), np.empty((0, len(EXTREMA))), none, none, none
    )
    columns = [rows[name].to_numpy() for name in ("query_hash", "plan_hash", "interval_start_us", "interval_end_us")]
    values, extrema = (rows[list(names)].to_numpy(float) for names in (COUNTERS, EXTREMA))
    intervals = IntervalRows(*columns, values, extrema, np.zeros(len(rows), bool))
    outcome = CollectionOutcome(ref, read_at, CollectionStatus.OK, rows=len(rows))
    return CollectedDatabase(outcome, Engine.POSTGRES, reading, previous, intervals)


class CountedSteps(RunningSteps):
    """Counts how often the state spared reading the lookback."""

    stepped = 0

    def parts(self, *args):
        found = super().parts(*args)
        self.stepped += found is not None
        return found


def in_production(store, clock, frame, folder, policy, collector=Collector):
    """Collect and analyse tick by tick, and learn as the back-test does; what each analysis said, and its steps."""
    rule, collecting = detector(), collector(store, frame)
    settings = AnalysisPolicy(policy.lookback, policy.incidents, lambda _: Engine.POSTGRES)
    collecting.record(FIRST - timedelta(microseconds=1))
    analyse(store, rule, policy=settings)
    learnt = FIRST - timedelta(days=1)
    rebuild_baselines(store, rule, as_of=learnt, days=LEARNT)
    reports, stepped = [], 0
    for end in [from_epoch_us(end) for end in np.unique(frame.rows["interval_end_us"])]:
        if end < FIRST:
            continue
        clock.moment = end
        if end >= learnt + timedelta(days=1) + policy.rebuild_at:
            learnt += timedelta(days=1)
            rebuild_baselines(store, rule, as_of=learnt, days=LEARNT)
        collecting.record(end)
        steps = CountedSteps(store, StateFolder(folder), rule.policy, rule.layout, "store")
        reports.append(analyse(store, rule, policy=settings, steps=steps))
        stepped += steps.stepped
    return reports, stepped


def of_shop(made, databases=2):
    """Rows of a workload whose tick 0 begins at BEGIN."""
    rows = made.frame(databases).rows
    shift = epoch_us(BEGIN) - epoch_us(made.moment(-1))
    rows = rows.assign(**{name: rows[name] + shift for name in ("interval_start_us", "interval_end_us")})
    return IntervalFrame(rows, {number: DatabaseRef("shop", f"db{number}") for number in range(databases)})


SETTINGS = """\
environment: development
collection: {interval: 1h}
baselines: {days: 2, min_intervals: 20}
analysis: {lookback: 12h, min_extra_seconds_per_hour: 0.1}
instances:
  - {name: shop, engine: simulated, databases: 1}
"""
"""What `POLICY` and `detector` are, as a settings file."""


def write_parquet(frame, path):
    """The rows in the public form of the archive."""
    columns = {str(name): frame.rows[name].to_numpy() for name in frame.rows}
    pq.write_table(public_table(columns, frame.databases), path)
    return path
