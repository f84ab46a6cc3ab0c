"""A statement that runs with several plans side by side, as Query Store shows variants for parameter values."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.plan_changes import TURNS, plan_changes
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.core.readings.intervals import INTERVAL_COLUMNS, IntervalFrame
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.core.readings.query_store_rows import MemoryQueryStore
from dbplanmon_pipeline_tests.core.readings.small_readings import at

STEP, TICKS, LEARNT = 5, 288, 191
PARENT = 7
SHARES = {
    "even": (0.34, 0.33, 0.33),
    "two": (0.5, 0.5, 0.0),
    "one leads": (0.85, 0.1, 0.05),
    "rare": (0.5, 0.497, 0.003),
}
COSTS = (2_000.0, 20_000.0, 200_000.0)


def frame_of(store):
    """What the store recorded, all plans as those of one statement."""
    parts = []
    for rows in store.recorded:
        data = {
            "database_id": np.zeros(len(rows), np.int32),
            "query_hash": np.full(len(rows), PARENT),
            "plan_hash": rows.plan_hash,
            "interval_start_us": rows.interval_start_us,
            "interval_end_us": rows.interval_end_us,
            **dict(zip(COUNTERS, rows.values.T, strict=True)),
            **dict(zip(EXTREMA, rows.extrema.T, strict=True)),
            "counter_reset": rows.counter_reset,
        }
        parts.append(pd.DataFrame(data)[list(INTERVAL_COLUMNS)])
    order = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
    table = pd.concat([part for part in parts if len(part)]).sort_values(order, ignore_index=True)
    return IntervalFrame(table, {0: DatabaseRef("sql1", "shop")})


def recorded(shares, *, seed=1, executions=60, alter=lambda tick, counts: counts):
    """A day of readings, the executions of each tick dealt out to the plans at random."""
    rng, store = np.random.default_rng(seed), MemoryQueryStore()
    store.read(0)
    for tick in range(TICKS):
        minute = tick * STEP
        counts = alter(tick, rng.multinomial(rng.poisson(executions), np.array(shares) / sum(shares)))
        for plan, count in enumerate(counts, 1):
            if count:
                store.run(minute, *(COSTS[plan - 1] * np.exp(rng.normal(0, 0.1, int(count)))), plan=plan)
        store.read(minute + STEP)
    return frame_of(store)


def verdicts_of(frame, ticks=range(LEARNT + 1, TICKS, 3)):
    detector = StatisticalDetector(DetectorPolicy(step=timedelta(minutes=STEP)))
    baselines = detector.learn(frame, at((LEARNT + 1) * STEP))
    found = [detector.evaluate(frame, baselines, at((tick + 1) * STEP)) for tick in ticks]
    assert sum(evaluation.judged for evaluation in found) > 0
    return [verdict for evaluation in found for verdict in evaluation.verdicts]


@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
@pytest.mark.parametrize("seed", range(2))
def test_plans_that_run_side_by_side_make_no_stream_of_changes_and_no_incident(shares, seed):
    frame = recorded(shares, seed=seed)
    changes = plan_changes(frame, {})
    assert len(changes) <= 2 * TURNS
    assert all(change.changed_at < at(4 * 60) for change in changes)
    assert verdicts_of(frame) == []


def test_few_executions_per_interval_make_no_incident_either():
    frame = recorded((0.6, 0.4, 0.0), executions=4)
    assert len(plan_changes(frame, {})) <= TURNS
    assert verdicts_of(frame) == []


def test_a_plan_that_was_never_among_them_is_still_a_change():
    def late(tick, counts):
        return counts if tick < 200 else [0, 0, counts.sum()]

    changes = plan_changes(recorded((0.5, 0.5, 0.0), alter=late), {})
    assert Counter(change.plan_hash for change in changes)[203] == 1
    assert changes[-1].plan_hash == 203


def test_a_flip_and_its_way_back_are_two_changes():
    def flipped(tick, counts):
        return [0, counts.sum(), 0] if 100 <= tick < 150 else [counts.sum(), 0, 0]

    changes = plan_changes(recorded((1.0, 0.0, 0.0), alter=flipped), {})
    assert [(change.previous_plan_hash, change.plan_hash) for change in changes] == [(201, 202), (202, 201)]


def test_a_plan_that_comes_back_after_a_day_is_a_change_again():
    store = MemoryQueryStore()
    store.read(0)
    for hour in range(60):
        plan = 2 if hour in (1, 3, 5, 50) else 1
        store.run(hour * 60 + 5, 100.0, plan=plan)
        store.read(hour * 60 + 10)
    changes = plan_changes(frame_of(store), {})
    assert [change.plan_hash for change in changes if change.changed_at > at(24 * 60)] == [202, 201]


def test_a_dear_variant_that_takes_over_is_an_incident():
    def taken_over(tick, counts):
        return counts if tick <= LEARNT else [counts.sum() // 10, counts.sum() - counts.sum() // 10, 0]

    assert verdicts_of(recorded((0.9, 0.1, 0.0), alter=taken_over)) != []
