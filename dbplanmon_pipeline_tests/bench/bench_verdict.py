"""The cost of judging and of learning, and a replay of the detector over recorded intervals.

python -m dbplanmon_pipeline_tests.bench --only bench_verdict
python -m dbplanmon_pipeline_tests.bench.bench_verdict replay INTERVALS.parquet ALERTS.csv [lookback_intervals]

`replay` reads rows in the columns of the archive, learns every day at 02:00 UTC and judges every five minutes from the
seventh day on; the alerts are those that the incident machine would open. `run` times one judgement of a made-up fleet
in a process of its own, so that the peak of memory is its own too. The yardstick of learning is the mean, median and
95th percentile of each statement by `pandas.groupby`, each call over all statements.
"""

import csv
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.counters import COUNTERS, EXTREMA
from dbplanmon_pipeline.core.incident_machine import IncidentPolicy, advance
from dbplanmon_pipeline.core.incidents import Incident, IncidentEvent
from dbplanmon_pipeline.core.intervals import INTERVAL_COLUMNS, KEY_COLUMNS, IntervalFrame
from dbplanmon_pipeline.core.model import DatabaseRef, hash_int, hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.verdict.model import BaselineSet
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.core.verdict.statistical import StatisticalDetector
from dbplanmon_pipeline_tests.bench.figures import Row, peak_memory_mb, spend

NAME = "Verdict"
PLAIN_PART = 20
"""The yardstick runs on every twentieth statement; its time grows with their number."""

STEP = timedelta(minutes=5)
DAY_US = 86_400_000_000
STEP_US = STEP // timedelta(microseconds=1)


def interval_frame(path: Path) -> IntervalFrame:
    """Recorded rows in the archive's columns as the frame that detectors take."""
    recorded = pd.read_parquet(path)
    names = recorded["instance"] + "/" + recorded["database"]
    number, found = pd.factorize(names)
    rows = {name: np.full(len(recorded), np.nan) for name in (*COUNTERS, *EXTREMA)}
    rows |= {name: recorded[name].to_numpy(np.float64) for name in rows if name in recorded}
    frame = pd.DataFrame(rows)
    frame["database_id"] = number.astype(np.int32)
    for name in ("query_hash", "plan_hash"):
        codes, texts = pd.factorize(recorded[name])
        frame[name] = np.array([hash_int(text) for text in texts], np.int64)[codes]
    for name in ("start", "end"):
        moments = recorded[f"interval_{name}"].dt.as_unit("us").astype("int64")
        frame[f"interval_{name}_us"] = moments.to_numpy()
    frame["counter_reset"] = recorded["counter_reset"].to_numpy(bool)
    frame = frame.sort_values(["database_id", "query_hash", "interval_end_us", "plan_hash"], ignore_index=True)
    return IntervalFrame(frame[list(INTERVAL_COLUMNS)], {i: DatabaseRef.parse(text) for i, text in enumerate(found)})


class Replay:
    """Runs learn, evaluate and the incident machine through recorded time."""

    def __init__(self, frame: IntervalFrame, policy: DetectorPolicy) -> None:
        self.detector = StatisticalDetector(policy)
        self.incidents = IncidentPolicy(step=STEP)
        self.by_time = frame.rows.sort_values("interval_end_us", kind="stable", ignore_index=True)
        self.ends = self.by_time["interval_end_us"].to_numpy()
        self.databases = frame.databases
        self.open: dict[str, Incident] = {}
        self.closed: list[Incident] = []
        self.alerts: list[dict[str, object]] = []

    def run(self) -> None:
        """Judge every tick from the seventh day on."""
        first = int(self.ends[0]) - int(self.ends[0]) % DAY_US
        baselines = self.learn(first + 6 * DAY_US + DAY_US // 12)
        for at in range(first + 7 * DAY_US, int(self.ends[-1]) + 1, STEP_US):
            if at % DAY_US == DAY_US // 12:
                baselines = self.learn(at)
            self.judge(at, baselines)

    def learn(self, at: int) -> BaselineSet:
        return self.detector.learn(self.between(at - 7 * DAY_US, at), from_epoch_us(at))

    def between(self, after: int, until: int) -> IntervalFrame:
        low, high = np.searchsorted(self.ends, [after, until], side="right")
        part = self.by_time.iloc[low:high].sort_values(
            ["database_id", "query_hash", "interval_end_us", "plan_hash"], ignore_index=True
        )
        return IntervalFrame(part, self.databases)

    def judge(self, at: int, baselines: BaselineSet) -> None:
        lookback = self.detector.policy.lookback // timedelta(microseconds=1)
        evaluation = self.detector.evaluate(self.between(at - lookback, at), baselines, from_epoch_us(at))
        for change in advance(list(self.open.values()), self.closed[-500:], evaluation, self.incidents):
            incident = change.incident
            self.open.pop(incident.incident_id, None)
            if incident.state.is_open:
                self.open[incident.incident_id] = incident
            else:
                self.closed.append(incident)
            if change.event in (IncidentEvent.OPENED, IncidentEvent.REOPENED):
                self.closed = [old for old in self.closed if old.incident_id != incident.incident_id]
                self.alerts.append(self.row(incident, from_epoch_us(at)))

    def row(self, incident: Incident, at: datetime) -> dict[str, object]:
        return {
            "raised_at": at.isoformat(),
            "scope": incident.scope,
            "instance": incident.instance,
            "database": incident.database,
            "query_hash": hash_text(incident.query_hash),
            "label": incident.label,
            "severity": incident.severity,
            "metric": incident.metric,
            "effect_ratio": incident.effect_ratio,
            "extra_seconds_per_hour": incident.extra_seconds_per_hour,
            "score": incident.score,
        }


def replay(source: Path, target: Path, lookback: int) -> None:
    replayed = Replay(interval_frame(source), DetectorPolicy(lookback_intervals=lookback))
    began = time.process_time()
    replayed.run()
    with target.open("w", newline="") as out:
        writer = csv.DictWriter(out, list(replayed.alerts[0]))
        writer.writeheader()
        writer.writerows(replayed.alerts)
    sys.stdout.write(f"{len(replayed.alerts)} alerts, {time.process_time() - began:.1f} CPU s\n")


def run() -> list[Row]:
    day, fleet = (_in_a_process(*size) for size in ((10_000, 288), (100_000, 36)))
    rows = f"{int(day['rows']):,} rows, 10,000 statements with 288 intervals each"
    statements = "100,000 statements that run now, 36 intervals with executions each"
    return [
        Row(f"learn from {rows}, CPU", day["learn_cpu"], "s", ">= 20 x", day["plain_cpu"] / day["learn_cpu"]),
        Row("the same, per million rows, CPU", day["learn_cpu"] / day["rows"] * 1e6, "s", "<= 0.7 s"),
        Row("the same, peak memory", day["peak_mb"], "MB", "<= 700 MB"),
        Row(f"judge {statements}, CPU", fleet["judge_cpu"], "s", "<= 5 s"),
        Row("the same, peak memory", fleet["peak_mb"], "MB"),
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
    judge = spend(lambda: detector.evaluate(frame, learnt[0], now))
    peak = peak_memory_mb()
    part = frame.rows[: len(frame.rows) // PLAIN_PART]
    plain = spend(lambda: _plain_baseline(part))
    return {
        "rows": len(frame.rows),
        "learn_cpu": learn.cpu,
        "judge_cpu": judge.cpu,
        "peak_mb": peak,
        "plain_cpu": plain.cpu * PLAIN_PART,
    }


def made_up_frame(series: int, intervals: int, now: datetime) -> IntervalFrame:
    """Statements with costs of their own and even noise; each ran in every interval up to `now`."""
    rng = np.random.default_rng(1)
    end = int(now.timestamp() * 1e6)
    number = np.repeat(np.arange(series), intervals)
    tick = np.tile(np.arange(intervals), series)
    executions = rng.poisson(20, series * intervals) + 1.0
    cost = np.exp(rng.normal(8, 1, series)[number] + rng.normal(0, 0.2, series * intervals))
    unknown = np.full(series * intervals, np.nan)
    rows = pd.DataFrame(dict.fromkeys(DETECTOR_COLUMNS, unknown))
    keys = (number // 500, number.astype(np.int64) + 1, number + 1, end - (intervals - tick) * STEP_US)
    for name, values in zip(KEY_COLUMNS, keys, strict=False):
        rows[name] = values
    rows["interval_end_us"] = rows["interval_start_us"] + STEP_US
    rows["execution_count"] = executions
    rows["logical_reads_pages"] = executions * 10
    for metric in ("elapsed_time_us", "worker_time_us"):
        rows[metric] = executions * cost
        rows[f"{metric}_max"] = 3 * cost
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
    if sys.argv[1] == "replay":
        replay(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if len(sys.argv) > 4 else 144)
    else:
        sys.stdout.write(json.dumps(step(int(sys.argv[2]), int(sys.argv[3]))) + "\n")
