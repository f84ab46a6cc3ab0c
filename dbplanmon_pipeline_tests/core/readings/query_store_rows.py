"""A Query Store in memory: executions go in, rows of its views come out, readings follow as the provider makes them."""

import math
from dataclasses import dataclass, field

import numpy as np

from dbplanmon_pipeline.core.readings.counters import COUNTERS
from dbplanmon_pipeline.core.readings.deltas import difference, retained
from dbplanmon_pipeline.core.readings.query_store import PRIMARY_REPLICA, REGULAR, RuntimeStats, query_store_reading
from dbplanmon_pipeline.core.readings.query_store_span import EngineInterval, IntervalPolicy, reading_span, skew_between
from dbplanmon_pipeline_tests.core.readings.small_readings import at, us

MINUTE_US = 60_000_000


def stats_row(
    plan, start_us, end_us, durations, *, kind=REGULAR, replica=PRIMARY_REPLICA, pages=10.0, query=None, plan_hash=None
):
    """One row of ROW_COLUMNS for executions of these durations [microseconds]; CPU is half of each."""
    times = np.array(durations, float)
    cpu = times / 2
    means = (times.mean(), cpu.mean(), pages, 1.0, 0.0, 5.0, None)
    spread = (times.std(), cpu.std())
    query, plan_hash = query or 100 + plan, plan_hash or 200 + plan
    head = (plan, replica, kind, query, plan_hash, start_us, end_us, len(times))
    return (*head, *means, *spread, times.min(), cpu.min(), times.max(), cpu.max(), 16.0, 1)


@dataclass
class MemoryQueryStore:
    """Attributes: `length` of an interval and `flush` [minutes]; `ahead` is the server's clock minus ours [seconds]."""

    length: int = 60
    flush: int = 15
    ahead: int = 0
    executed: dict = field(default_factory=dict)
    state: object = None
    recorded: list = field(default_factory=list)

    def run(self, minute, *durations, plan=1, kind=REGULAR, replica=PRIMARY_REPLICA, copy="flushed"):
        """Executions at that minute; `copy` tells which row of the interval they are in."""
        length_us = self.length * MINUTE_US
        start = (us(at(minute)) + self.ahead * 1_000_000) // length_us * length_us
        self.executed.setdefault((plan, start, kind, replica, copy), []).extend(durations)

    def read(self, minute):
        """One reading, differenced against the last one; its interval rows are recorded and returned."""
        reading = self.reading(at(minute))
        delta = difference(self.state, reading)
        self.recorded.append(delta.rows)
        if delta.accepted:
            self.state = retained(reading)
        return delta.rows

    def reading(self, moment):
        length_us, ours = self.length * MINUTE_US, us(moment)
        now = ours + self.ahead * 1_000_000
        starts = sorted({start for _, start, *_ in self.executed})
        intervals = [EngineInterval(start, start + length_us, number) for number, start in enumerate(starts, 1)]
        policy = IntervalPolicy(length_us, self.flush * MINUTE_US)
        recent = [interval for interval in intervals if interval.end_us > now - 24 * 60 * MINUTE_US]
        skew = skew_between(now, ours)
        span = reading_span(recent, self.state, policy, now_us=now, skew_us=skew)
        held = {interval.start_us for interval in recent if interval.start_us >= span.covers_from_us}
        rows = [
            stats_row(plan, start, start + length_us, durations, kind=kind, replica=replica)
            for (plan, start, kind, replica, _), durations in self.executed.items()
            if start in held
        ]
        return query_store_reading(RuntimeStats.of_rows(rows), None, read_at=moment, span=span)

    def total(self, name):
        """Everything recorded so far of one counter."""
        column = COUNTERS.index(name)
        return math.fsum(float(np.nansum(rows.values[:, column])) for rows in self.recorded)
