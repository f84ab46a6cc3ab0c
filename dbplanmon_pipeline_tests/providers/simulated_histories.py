"""Histories of simulated databases, and whether what was recorded of one is what it really did."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.ports import Budget
from dbplanmon_pipeline.core.readings.counters import ELAPSED, EXECUTIONS, READS, WORKER
from dbplanmon_pipeline.core.readings.plan_cache import plan_cache_reading
from dbplanmon_pipeline.providers.simulated import FaultKind, SimulatedFault, SimulatedProvider
from dbplanmon_pipeline.providers.simulated.history import DatabaseHistory

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def minutes(count):
    return timedelta(minutes=count)


def budget(seconds=60.0, cancelled=lambda: False):
    return Budget(time.monotonic() + seconds, time.monotonic, cancelled)


def fault(kind, *, at=NOON, until=None, factor=5.0, statement=7, database="sim0001"):
    return SimulatedFault(f"a {kind}", database, statement, FaultKind(kind), at, until, factor)


def history(*faults, seed=1, database="sim0001"):
    return DatabaseHistory(seed, "fleet", database, 50, faults)


def fleet(*faults, at=NOON, **options):
    return SimulatedProvider("fleet", options.pop("databases", 4), clock=lambda: at, faults=faults, **options)


def reading_of(same, moment):
    """The plan cache as a reading."""
    return plan_cache_reading(same.plan_cache(moment), read_at=moment)


def read(provider, database="sim0001"):
    with provider.open(database, budget()) as reader:
        return reader.read_counters()


def work_between(before, after):
    """What a collector would record from two readings: differences within a life, whole values of a new life."""
    known = {key: (life, row) for key, life, row in zip(before.keys, before.lives, before.values, strict=True)}
    found = {}
    for i, key in enumerate(after.keys):
        life, row = known.get(key, ("", None))
        increment = after.values[i] - row if life == after.lives[i] else after.values[i]
        name = (int(after.query_hash[i]), int(after.plan_hash[i]))
        found[name] = increment[[EXECUTIONS, ELAPSED, WORKER, READS]]
    return {name: row for name, row in found.items() if row[0] > 0}


def added(parts):
    total = {}
    for part in parts:
        for name, row in part.items():
            total[name] = total.get(name, 0.0) + row
    return total


def assert_same_work(recorded, truth):
    assert recorded.keys() == truth.keys()
    for name, work in truth.items():
        expected = [work.executions, work.elapsed_us, work.worker_us, work.reads_pages]
        np.testing.assert_allclose(recorded[name], expected, rtol=1e-6, err_msg=str(name))
        assert recorded[name][0] == work.executions
