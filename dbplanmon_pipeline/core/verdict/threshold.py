"""The plain rule: percentiles of the last hour against fixed percentages over the baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.model import DatabaseRef, Label
from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.comparison import active_series, baseline_rows
from dbplanmon_pipeline.core.verdict.model import BaselineSet, Evaluation, ExcludedSpan, Known, Verdict, nothing_known
from dbplanmon_pipeline.core.verdict.normal.baseline import without_excluded
from dbplanmon_pipeline.core.verdict.normal.table import (
    high_average,
    middle_average,
    per_execution,
    readable_table,
    total,
)
from dbplanmon_pipeline.core.verdict.rows.series import SeriesRows, series_rows
from dbplanmon_pipeline.core.verdict.telling.evidence import count_text, duration_text
from dbplanmon_pipeline.core.verdict.telling.severity import severity_of

_LAYOUT = "threshold/1"
_ELAPSED, _WORKER, _READS = "elapsed_time_us", "worker_time_us", "logical_reads_pages"
_P95_COLUMNS = {_ELAPSED: "elapsed_p95_us", _WORKER: "worker_p95_us"}


@dataclass(frozen=True, slots=True)
class ThresholdPolicy:
    """When the plain rule fires.

    Attributes:
        step: collection cadence.
        window: recent time that is compared.
        days: how many days a baseline looks back.
        duration_percent / cpu_percent: rise of the 95th percentile of the interval averages.
        reads_percent: rise of the mean of reads per execution.
        min_executions: in the window.
        min_samples: intervals a baseline needs.
        material_seconds_per_hour: below this cost the severity is one step lower.
    """

    step: timedelta = timedelta(minutes=5)
    window: timedelta = timedelta(hours=1)
    days: int = 7
    duration_percent: float = 50.0
    cpu_percent: float = 50.0
    reads_percent: float = 100.0
    min_executions: int = 5
    min_samples: int = 10
    material_seconds_per_hour: float = 10.0

    @property
    def lookback(self) -> timedelta:
        """Span of recent intervals that `evaluate` wants to get."""
        return self.window


@dataclass(frozen=True)
class _Window:
    """The recent window per series with a baseline: figures now, normal, and their ratio, by column name."""

    rows: SeriesRows
    executions: Floats
    now: dict[str, Floats]
    normal: dict[str, Floats]
    means: dict[str, Floats]

    def ratio(self, name: str) -> Floats:
        return self.now[name] / np.maximum(self.normal[name], 1.0)


class ThresholdDetector:
    """Implements `Detector` by fixed percentages; knows neither noise nor season nor cost. A yardstick.

    Its percentiles are of interval averages, not of single executions: no engine keeps those.
    """

    def __init__(self, policy: ThresholdPolicy | None = None) -> None:
        self.policy = policy or ThresholdPolicy()

    @property
    def layout(self) -> str:
        """Layout of the baselines that this detector writes and reads."""
        return _LAYOUT

    def learn(self, history: IntervalFrame, as_of: datetime, excluded: Sequence[ExcludedSpan] = ()) -> BaselineSet:
        """Baselines of statements with enough intervals within `policy.days`; see `Detector.learn`.

        `parameters` holds the means of elapsed and CPU time per execution [microseconds].
        """
        until = epoch_us(as_of)
        rows = series_rows(history, epoch_us(as_of - timedelta(days=self.policy.days)), until)
        rows = without_excluded(rows, excluded, history.databases)
        rows = rows.keep(rows.counts[rows.series] >= self.policy.min_samples)
        medians = (middle_average(rows, _ELAPSED), middle_average(rows, _WORKER))
        means = np.stack([per_execution(rows, _ELAPSED), per_execution(rows, _WORKER)], axis=1)
        return BaselineSet(as_of, readable_table(rows, medians, until), means, _LAYOUT)

    def evaluate(self, recent: IntervalFrame, baselines: BaselineSet, as_of: datetime) -> Evaluation:
        """Compare the window before `as_of`; see `Detector.evaluate`.

        Raises:
            ValueError: the baselines have another layout.
        """
        if baselines.layout != _LAYOUT:
            raise ValueError(f"baselines of layout {baselines.layout!r} given, {_LAYOUT!r} needed; rebuild them")
        now = epoch_us(as_of)
        rows = series_rows(recent, epoch_us(as_of - self.policy.window), now)
        active = active_series(rows, now, self.policy.step // timedelta(microseconds=1))
        known = baseline_rows(rows, baselines.table)
        window = _window(rows.keep(known[rows.series] >= 0), baselines, known[known >= 0])
        refs = recent.databases
        fires = self._fires(window) & active[known >= 0]
        verdicts = tuple(
            self._verdict(window, int(series), refs[int(window.rows.database_id[series])])
            for series in np.flatnonzero(fires)
        )
        names = zip(rows.database_id[active].tolist(), rows.query_hash[active].tolist(), strict=True)
        return Evaluation(
            as_of=as_of,
            verdicts=verdicts,
            instance_verdicts=(),
            active=frozenset((refs[database], query) for database, query in names),
            judged=int(np.count_nonzero(active & (known >= 0))),
            unjudged=int(np.count_nonzero(active & (known < 0))),
        )

    def evaluate_span(
        self, recent: IntervalFrame, baselines: BaselineSet, ticks: Sequence[datetime], known: Known = nothing_known
    ) -> Iterator[Evaluation]:
        """Judge several moments; see `Detector.evaluate_span`. Every finding is given in full."""
        del known
        for tick in ticks:
            yield self.evaluate(recent, baselines, tick)

    def _rises(self, window: _Window) -> dict[str, Floats]:
        """Each ratio as a multiple of what is tolerated [series]; NaN unknown."""
        tolerated = {
            _ELAPSED: self.policy.duration_percent,
            _WORKER: self.policy.cpu_percent,
            _READS: self.policy.reads_percent,
        }
        return {name: window.ratio(name) / (1 + percent / 100) for name, percent in tolerated.items()}

    def _fires(self, window: _Window) -> np.ndarray:
        worst = np.fmax.reduce(list(self._rises(window).values()))
        fires: np.ndarray = (np.nan_to_num(worst) >= 1) & (window.executions >= self.policy.min_executions)
        return fires

    def _verdict(self, window: _Window, series: int, ref: DatabaseRef) -> Verdict:
        rises = {name: float(np.nan_to_num(rise[series])) for name, rise in self._rises(window).items()}
        name = max(rises, key=rises.__getitem__)
        metric = _WORKER if name == _WORKER else _ELAPSED
        rows = window.rows
        own = slice(int(rows.bounds[series]), int(rows.bounds[series + 1]))
        hours = (rows.end_us[own.stop - 1] - rows.start_us[own.start]) / 3.6e9
        ratio = float(window.ratio(name)[series])
        totals = np.nan_to_num(rows.sums[metric][own])
        normal = float(window.means[metric][series])
        observed = float(totals.sum() / rows.executions[own].sum())
        extra = max(float((totals - rows.executions[own] * normal).sum()) / 1e6 / float(hours), 0.0)
        high = np.flatnonzero(totals > rows.executions[own] * normal)
        began = own.start + (int(high[0]) if len(high) else 0)
        return Verdict(
            ref=ref,
            query_hash=int(rows.query_hash[series]),
            plan_hash=int(rows.plan_hash[own.stop - 1]),
            previous_plan_hash=0,
            label=Label.UNKNOWN,
            severity=severity_of(ratio, extra, self.policy.material_seconds_per_hour),
            metric=metric,
            effect_ratio=ratio,
            extra_seconds_per_hour=extra,
            extra_seconds_low=extra,
            extra_seconds_high=extra,
            baseline_us=normal,
            observed_us=observed,
            score=rises[name],
            window_intervals=own.stop - own.start,
            began_at=from_epoch_us(int(rows.start_us[began])),
            evidence=(_sentence(name, float(window.normal[name][series]), float(window.now[name][series]), ratio),),
        )


def _window(rows: SeriesRows, baselines: BaselineSet, places: Longs) -> _Window:
    table = baselines.table.iloc[places]
    now = {metric: high_average(rows, metric) for metric in _P95_COLUMNS} | {_READS: per_execution(rows, _READS)}
    normal = {metric: table[column].to_numpy(np.float64) for metric, column in _P95_COLUMNS.items()}
    normal[_READS] = table["reads_mean_pages"].to_numpy(np.float64)
    means = dict(zip((_ELAPSED, _WORKER), baselines.parameters[places].T, strict=True))
    return _Window(rows, total(rows, rows.executions), now, normal, means)


def _sentence(name: str, normal: float, now: float, ratio: float) -> str:
    if name == _READS:
        return f"Mean reads per execution {count_text(normal)} -> {count_text(now)} pages (x{ratio:.2f})."
    what = "CPU time" if name == _WORKER else "elapsed time"
    return f"95th percentile of {what} {duration_text(normal)} -> {duration_text(now)} (x{ratio:.2f})."
