"""The cost of one more tick of a large fleet, with and without what the tick before left behind.

python -m dbplanmon_pipeline_tests.bench --only bench_analysis

Rows lie in a real store on SQLite. Every analysis runs in a process of its own, so that the peak of memory is its own
too, as it is in production; figures are those of `analyse` alone, without the start of the program.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from dbplanmon_pipeline.core.incidents.machine import IncidentPolicy
from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.model import BaselineSet
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline.services.analyse import JOB, AnalysisPolicy, analyse
from dbplanmon_pipeline.services.analyse_step import RunningSteps
from dbplanmon_pipeline.store import SqlStore, StateFolder, open_store
from dbplanmon_pipeline.store.collecting.counter_states import move_newest_ends
from dbplanmon_pipeline.store.intervals.days import day_number, day_of, ensure_day, table_name
from dbplanmon_pipeline.store.intervals.write import IntervalBatch, write_intervals
from dbplanmon_pipeline.store.targets import ensure_databases
from dbplanmon_pipeline_tests.bench.bench_verdict import made_up_frame
from dbplanmon_pipeline_tests.bench.figures import Row, peak_memory_mb, spend

NAME = "Analysis of one tick"
SERIES = 100_000
STATEMENTS = 200
"""Per database; four databases to an instance."""

NOW = datetime(2026, 1, 5, 22, tzinfo=UTC)
STEP = timedelta(minutes=5)
HOUR = 12
BROKEN = 0.002
"""Share of the statements that take twice as long since an hour."""


@dataclass(frozen=True)
class World:
    """A fleet of which every database has statements of the same costs, each with noise of its own."""

    series: int
    intervals: int

    @property
    def refs(self) -> list[DatabaseRef]:
        """Its databases."""
        return [DatabaseRef(f"host{i // 4:03d}", f"db{i:04d}") for i in range(self.series // STATEMENTS)]

    @property
    def detector(self) -> StatisticalDetector:
        """Looks at all intervals."""
        return StatisticalDetector(DetectorPolicy(step=STEP, lookback_intervals=self.intervals))


def run() -> list[Row]:
    return [
        row for world in (World(SERIES, 36), World(SERIES // 10, 48), World(SERIES // 10, 240)) for row in _rows(world)
    ]


def _rows(world: World) -> Iterator[Row]:
    what = f"{world.series:,} statements, lookback of {world.intervals} intervals"
    with tempfile.TemporaryDirectory() as folder:
        figures = measured(world, Path(folder))
    for name, how in (("whole", "without a state"), ("begin", "and begin a state"), ("step", "with the state")):
        step = name == "step"
        yield Row(f"{what}: judge {how}, CPU", figures[name]["cpu"], "s", "<= 5 s" if step else "")
        yield Row("the same, wall", figures[name]["wall"], "s")
        yield Row("the same, peak memory", figures[name]["peak_mb"], "MB", "<= 500 MB" if step else "")
    yield Row("size of the states", figures["state_mb"], "MB")


def measured(world: World, folder: Path) -> dict[str, Any]:
    """Figures of three kinds of analysis, each of a new tick."""
    found = {}
    _in_a_process("build", world, folder)
    for number, name in enumerate(("begin", "step", "whole")):
        if number:
            _in_a_process("tick", world, folder, number)
        found[name] = _in_a_process("whole" if name == "whole" else "steps", world, folder)
    size = sum(file.stat().st_size for file in (folder / "state").iterdir())
    return {**found, "state_mb": size / 1e6}


def _in_a_process(act: str, world: World, folder: Path, number: int = 0) -> dict[str, Any]:
    numbers = [str(value) for value in (world.series, world.intervals, number)]
    command = [sys.executable, "-m", "dbplanmon_pipeline_tests.bench.bench_analysis", act, str(folder), *numbers]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _build(store: SqlStore, world: World) -> None:
    """The last hour in full; before that one hour over and over, as writing all of it takes long."""
    store.upgrade()
    store.save_baselines(_baselines(store, world))
    hours = world.intervals // HOUR
    for number in (*range(1 - hours * HOUR, 1 - (hours - 1) * HOUR), *range(1 - HOUR, 1)):
        _write(store, world, number)
    hour_us = HOUR * (STEP // timedelta(microseconds=1))
    last = epoch_us(NOW) - (hours - 1) * hour_us
    first_day = _day_that_ends(last)
    with store._database.write() as connection:
        names = [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table_name(first_day)})")]
        for hour in range(1, hours - 1):
            day = _day_that_ends(last + hour * hour_us)
            ensure_day(connection, day, hour_us // HOUR, NOW)
            columns = ", ".join(
                f"{name} + {hour * hour_us}" if name.startswith("interval_") else name for name in names
            )
            copied = f"SELECT {columns} FROM {table_name(first_day)} WHERE interval_end_us <= {last}"
            connection.exec_driver_sql(f"INSERT INTO {table_name(day)} {copied}")
    judged = replace(store.job_states([JOB])[JOB], detail=(NOW - STEP).isoformat())
    store.save_job_states([judged])


def _day_that_ends(end_us: int) -> date:
    """The day whose table holds intervals that end then."""
    return day_of(int(day_number(np.array([end_us]))[0]))


def _baselines(store: SqlStore, world: World) -> BaselineSet:
    """Those of one database for all of them: learning from so many takes minutes."""
    detector = world.detector
    frame = made_up_frame(STATEMENTS, 288, NOW - STEP * world.intervals)
    learnt = detector.learn(IntervalFrame(frame.rows, {0: DatabaseRef("host", "db")}), NOW - STEP * world.intervals)
    with store._database.write() as connection:
        ids = ensure_databases(connection, dict.fromkeys(world.refs, "postgres"), NOW)
    table = learnt.table.loc[np.tile(np.arange(STATEMENTS), len(ids))].reset_index(drop=True)
    table["database_id"] = np.repeat(sorted(ids.values()), STATEMENTS)
    return BaselineSet(learnt.as_of, table, np.tile(learnt.parameters, (len(ids), 1)), learnt.layout)


def _write(store: SqlStore, world: World, number: int) -> None:
    """One tick of all statements, with the costs of `made_up_frame`."""
    rng = np.random.default_rng(1000 + number)
    levels = np.random.default_rng(1)
    levels.poisson(20, STATEMENTS * 288)
    level = np.tile(levels.normal(8, 1, STATEMENTS), len(world.refs))
    broken = np.random.default_rng(2).random(len(level)) < BROKEN
    executions = rng.poisson(20, len(level)) + 1.0
    cost = np.exp(level + rng.normal(0, 0.2, len(level)) + broken * (number > -HOUR) * np.log(2))
    values, extrema = np.full((len(level), len(COUNTERS)), np.nan), np.full((len(level), len(EXTREMA)), np.nan)
    figures = {"execution_count": executions, "logical_reads_pages": executions * 10}
    for metric in ("elapsed_time_us", "worker_time_us"):
        figures[metric] = np.round(executions * cost)
        extrema[:, EXTREMA.index(f"{metric}_max")] = 3 * cost
    for name, column in figures.items():
        values[:, COUNTERS.index(name)] = column
    end = epoch_us(NOW + STEP * number)
    with store._database.write() as connection:
        ids = ensure_databases(connection, {}, NOW)
        database = np.repeat([ids[ref] for ref in world.refs], STATEMENTS)
        query = np.tile(np.arange(STATEMENTS) + 1, len(world.refs))
        ends = np.full(len(level), end)
        keys = np.column_stack([database, query, query, ends - epoch_us(NOW) + epoch_us(NOW - STEP), ends])
        batch = IntervalBatch.sorted(keys, np.hstack([values, extrema]), np.zeros(len(level), np.bool_))
        write_intervals(connection, batch, NOW)
        move_newest_ends(connection, batch.newest_ends())


def _analysed(store: SqlStore, world: World, state: Path | None) -> dict[str, float]:
    detector = world.detector
    policy = AnalysisPolicy(detector.policy.lookback, IncidentPolicy(step=STEP), lambda _: Engine.POSTGRES)
    files = StateFolder(state) if state else None
    open_now = []

    def judge() -> None:
        steps = RunningSteps(store, files, detector.policy, detector.layout, "bench") if files else None
        open_now.extend(analyse(store, detector, policy=policy, steps=steps).open_incidents)

    spent = spend(judge)
    return {"cpu": spent.cpu, "wall": spent.wall, "peak_mb": peak_memory_mb(), "open": len(open_now)}


def _act(act: str, folder: Path, world: World, number: int) -> dict[str, float]:
    store = open_store(f"sqlite:///{folder}/store.db", clock=lambda: NOW + STEP * number)
    if act == "build":
        _build(store, world)
    elif act == "tick":
        _write(store, world, number)
    else:
        return _analysed(store, world, folder / "state" if act == "steps" else None)
    return {}


if __name__ == "__main__":
    chosen = World(int(sys.argv[3]), int(sys.argv[4]))
    sys.stdout.write(json.dumps(_act(sys.argv[1], Path(sys.argv[2]), chosen, int(sys.argv[5]))) + "\n")
