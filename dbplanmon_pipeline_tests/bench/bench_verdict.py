"""The cost of judging and of learning. Quality is measured on recorded intervals with `dbplanmon backtest`.

python -m dbplanmon_pipeline_tests.bench --only bench_verdict

`run` times one judgement of a made-up fleet
in a process of its own, so that the peak of memory is its own too. The yardstick of learning is the mean, median and
95th percentile of each statement by `pandas.groupby`, each call over all statements.
"""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.intervals import KEY_COLUMNS, IntervalFrame
from dbplanmon_pipeline.core.verdict.model import BaselineSet
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.bench.figures import Row, peak_memory_mb, spend

NAME = "Verdict"
PLAIN_PART = 20
"""The yardstick runs on every twentieth statement; its time grows with their number."""

STEP = timedelta(minutes=5)
STEP_US = STEP // timedelta(microseconds=1)


def run() -> list[Row]:
    day, fleet = (_in_a_process(*size) for size in ((10_000, 288), (100_000, 36)))
    rows = f"{int(day['rows']):,} rows, 10,000 statements with 288 intervals each"
    statements = "100,000 statements that run now, 36 intervals with executions each"
    return [
        Row(f"learn from {rows}, CPU", day["learn_cpu"], "s", ">= 20 x", day["plain_cpu"] / day["learn_cpu"]),
        Row("the same, per million rows, CPU", day["learn_cpu"] / day["rows"] * 1e6, "s", "<= 0.7 s"),
        Row("the same, peak memory", day["learn_peak_mb"], "MB", "<= 700 MB"),
        Row(f"judge {statements}, CPU", fleet["judge_cpu"], "s", "<= 5 s"),
        Row("the same, peak memory", fleet["judge_peak_mb"], "MB"),
    ]


def _in_a_process(series: int, intervals: int) -> dict[str, Any]:
    command = [
        sys.executable,
        "-m",
        "dbplanmon_pipeline_tests.bench.bench_verdict",
        "step",
        str(series),
        str(intervals),
    ]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def step(series: int, intervals: int) -> dict[str, float]:
    """Learn from the rows and judge their last interval."""
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    frame = made_up_frame(series, intervals, now)
    detector = StatisticalDetector(DetectorPolicy())
    learnt: list[BaselineSet] = []
    learn = spend(lambda: learnt.append(detector.learn(frame, now)))
    learn_peak = peak_memory_mb()
    judge = spend(lambda: detector.evaluate(frame, learnt[0], now))
    judge_peak = peak_memory_mb()
    part = frame.rows[: len(frame.rows) // PLAIN_PART]
    plain = spend(lambda: _plain_baseline(part))
    return {
        "rows": len(frame.rows),
        "learn_cpu": learn.cpu,
        "judge_cpu": judge.cpu,
        "learn_peak_mb": learn_peak,
        "judge_peak_mb": judge_peak,
        "plain_cpu": plain.cpu * PLAIN_PART,
    }


def made_up_frame(series: int, intervals: int, now: datetime) -> IntervalFrame:
    """Statements with costs of their own and even noise; each ran in every interval up to `now`."""
    rng = np.random.default_rng(1)
    end = int(now.timestamp() * 1e6)
    number = np.repeat(np.arange(series), intervals)
    executions = rng.poisson(20, series * intervals) + 1.0
    cost = np.exp(rng.normal(8, 1, series)[number] + rng.normal(0, 0.2, series * intervals))
    start = end - (intervals - np.tile(np.arange(intervals), series)) * STEP_US
    # Column by column, none of them copied: the peak of memory is to be that of learning.
    columns = {name: np.full(series * intervals, np.nan) for name in DETECTOR_COLUMNS[len(KEY_COLUMNS) :]}
    keys = (number // 500, number + 1, number + 1, start, start + STEP_US)
    columns |= dict(zip(KEY_COLUMNS, keys, strict=True))
    columns |= {"execution_count": executions, "logical_reads_pages": executions * 10}
    for metric in ("elapsed_time_us", "worker_time_us"):
        columns |= {metric: executions * cost, f"{metric}_max": 3 * cost}
    rows = pd.DataFrame(columns, copy=False)
    return IntervalFrame(rows, {i: DatabaseRef(f"i{i // 4}", f"d{i}") for i in range(series // 500 + 1)})


def _plain_baseline(rows: pd.DataFrame) -> pd.DataFrame:
    """What a plain pipeline would learn: three figures of three metrics per statement."""

    def figures(group: pd.DataFrame) -> pd.Series:
        found = {}
        for metric in ("elapsed_time_us", "worker_time_us", "logical_reads_pages"):
            cost = group[metric] / group["execution_count"]
            found |= {
                f"{metric} mean": cost.mean(),
                f"{metric} median": cost.median(),
                f"{metric} p95": cost.quantile(0.95),
            }
        return pd.Series(found)

    return rows.groupby(["database_id", "query_hash"]).apply(figures, include_groups=False)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(step(int(sys.argv[2]), int(sys.argv[3]))) + "\n")
