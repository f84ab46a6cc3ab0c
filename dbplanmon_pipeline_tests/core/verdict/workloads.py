"""Made-up workloads: matrices [statement, tick] that a test alters before it asks for the interval frame."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.intervals import INTERVAL_COLUMNS, IntervalFrame

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLS_VARY = 0.5
CALM = 48


class Workload:
    """Statements 1..n of one database, plan 1000 + query; `cost` and `worker` are microseconds per execution.

    `calm_before` such days come before tick 0: its first 48 ticks over and over.
    """

    def __init__(
        self,
        statements=12,
        ticks=60,
        *,
        step=timedelta(minutes=5),
        cost=5000.0,
        calls=40,
        noise=0.1,
        seed=1,
        calm_before=0,
    ):
        rng = np.random.default_rng(seed)
        shape = (statements, ticks)
        self.step = step
        self.calm_before = calm_before
        self.calls = rng.poisson(np.broadcast_to(np.asarray(calls, float).reshape(-1, 1), shape)).astype(float)
        jitter = np.exp(rng.normal(0, noise, shape))
        self.cost = np.broadcast_to(np.asarray(cost, float).reshape(-1, 1), shape) * jitter
        self.worker = 0.8 * self.cost
        self.reads = np.full(shape, 50.0)
        self.rows = np.full(shape, 10.0)
        self.io = np.zeros(shape)
        self.wait = np.zeros(shape)
        self.variation = np.full(shape, CALLS_VARY)
        self.dear = np.zeros(shape)
        self.plan = np.repeat(1000 + np.arange(1, statements + 1)[:, None], ticks, axis=1)
        self.gap_before = np.zeros(ticks, int)
        self.failed = None
        self.knows_cpu = True
        self.knows_largest = True

    def on_postgres(self):
        """CPU and the largest execution of an interval are unknown."""
        self.knows_cpu = self.knows_largest = False
        return self

    def fail(self, statement, ticks, share, plan=0):
        """Of the executions such a share is cut short, with another plan where one is given."""
        if self.failed is None:
            self.failed = np.zeros(self.calls.shape)
        lost = np.floor(self.calls[statement, ticks] * share)
        self.failed[statement, ticks] += lost
        self.calls[statement, ticks] -= lost
        self.plan[statement, ticks] = plan or self.plan[statement, ticks]

    def slow_down(self, statement, ticks, factor):
        """More work per execution: CPU and elapsed time alike, reads unchanged."""
        self.cost[statement, ticks] *= factor
        self.worker[statement, ticks] *= factor

    def one_dear(self, statement, ticks, times):
        """One execution of each interval costs so many times what the others do."""
        self.dear[statement, ticks] = times

    def moment(self, tick):
        """End of a tick."""
        return NOON + (tick + 1) * self.step

    def frame(self, databases=1):
        """Interval rows; statements are dealt out to the databases of one instance."""
        calm = int(self.calm_before * timedelta(days=1) / self.step) // CALM * CALM
        chosen = np.concatenate([np.arange(-calm, 0) % CALM, np.arange(self.cost.shape[1])])
        number = np.concatenate([np.arange(-calm, 0), np.arange(self.cost.shape[1])])
        query, at = (matrix.ravel() for matrix in np.meshgrid(range(len(self.cost)), range(len(number)), indexing="ij"))
        tick, column = number[at], chosen[at]
        gaps = np.where(tick < 0, 0, self.gap_before[column])
        step_us = self.step // timedelta(microseconds=1)
        calls = self.calls[query, column]
        data = dict.fromkeys(INTERVAL_COLUMNS, np.full(len(query), np.nan))
        data |= {
            "database_id": (query % databases).astype(np.int32),
            "query_hash": query + 1,
            "plan_hash": self.plan[query, column],
            "interval_start_us": epoch_us(NOON) + (tick - gaps) * step_us,
            "interval_end_us": epoch_us(NOON) + (tick + 1) * step_us,
            "execution_count": calls,
            "logical_reads_pages": calls * self.reads[query, column],
            "rows": calls * self.rows[query, column],
            "io_time_us": calls * self.io[query, column],
            "wait_time_us": calls * self.wait[query, column],
            "counter_reset": np.zeros(len(query), bool),
        }
        if self.failed is not None:
            data |= {"aborted_count": self.failed[query, column], "exception_count": np.zeros(len(query))}
        known = {"elapsed_time_us": self.cost} | ({"worker_time_us": self.worker} if self.knows_cpu else {})
        for metric, costs in known.items():
            mean = costs[query, column]
            dear = np.where(calls > 1, self.dear[query, column], 0) * mean
            data[metric] = calls * mean + dear
            data[f"{metric}_sumsq"] = calls * mean**2 * (1 + self.variation[query, column] ** 2) + dear**2
            if self.knows_largest:
                data[f"{metric}_max"] = np.maximum(np.where(calls > 1, 2 * mean, mean), dear)
        order = ["database_id", "query_hash", "interval_end_us", "plan_hash"]
        table = pd.DataFrame(data)[list(INTERVAL_COLUMNS)]
        table = table[table["execution_count"] + table["aborted_count"].fillna(0) > 0].sort_values(
            order, ignore_index=True
        )
        return IntervalFrame(table, {number: DatabaseRef("shop", f"db{number}") for number in range(databases)})
