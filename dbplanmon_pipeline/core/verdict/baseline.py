"""What the statistical detector remembers of each statement, and how it lies in `BaselineSet.parameters`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.counters import Floats, Longs
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.verdict.common_mode import common_mode
from dbplanmon_pipeline.core.verdict.model import ExcludedSpan
from dbplanmon_pipeline.core.verdict.null import null_of_means
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.season import HOURS, hour_offsets
from dbplanmon_pipeline.core.verdict.series import METRICS, SeriesRows
from dbplanmon_pipeline.core.verdict.sorted_groups import group_medians
from dbplanmon_pipeline.core.verdict.table import per_execution

_MEANS = ("logical_reads_pages", "rows", "io_time_us", "wait_time_us")
_HALF = 1 << 32


@dataclass(frozen=True)
class LearntMetric:
    """Normal of one metric, one row per statement; natural logarithms of microseconds per execution.

    Attributes:
        median: float64 [n], NaN where the metric is unknown.
        offsets: float64 [n, 24], by hour of day.
        centre / spread: float64 [n, scales], of the window means while all is well; NaN: not enough history.
    """

    median: Floats
    offsets: Floats
    centre: Floats
    spread: Floats

    def normal(self, rows: SeriesRows) -> Floats:
        """Expected ln cost of each row [rows]; row i of this belongs to series i."""
        expected: Floats = self.median[rows.series] + self.offsets[rows.series, rows.hour]
        return expected

    def at(self, statements: Longs) -> "LearntMetric":
        """The given statements, in that order."""
        return LearntMetric(*(part[statements] for part in (self.median, self.offsets, self.centre, self.spread)))


@dataclass(frozen=True)
class Learnt:
    """Everything learnt, one row per statement.

    Attributes:
        metrics: normal of each metric.
        means: float64 [n] per execution, by column name; NaN unknown.
        variation: float64 [n] by metric, standard deviation over mean of single executions; NaN unknown.
        plan_hash: int64 [n], plan of the last interval with a known one; 0 unknown.
        flip_share: float64 [n], plan changes per active interval.
    """

    metrics: dict[str, LearntMetric]
    means: dict[str, Floats]
    variation: dict[str, Floats]
    plan_hash: Longs
    flip_share: Floats

    def at(self, statements: Longs) -> "Learnt":
        """The given statements, in that order."""
        return Learnt(
            {name: metric.at(statements) for name, metric in self.metrics.items()},
            {name: mean[statements] for name, mean in self.means.items()},
            {name: values[statements] for name, values in self.variation.items()},
            self.plan_hash[statements],
            self.flip_share[statements],
        )


def layout_of(policy: DetectorPolicy) -> str:
    """Name of the parameter layout; it changes with the window lengths."""
    return "statistical/1/" + "-".join(str(scale.intervals) for scale in policy.scales)


def pack(learnt: Learnt) -> Floats:
    """Lay everything out side by side [n, K]; a plan hash takes two columns, so that no bit is lost."""
    parts = [part for name in METRICS for part in _metric_columns(learnt.metrics[name])]
    parts += [learnt.means[name][:, None] for name in _MEANS] + [learnt.variation[name][:, None] for name in METRICS]
    high, low = np.divmod(learnt.plan_hash, _HALF)
    parts += [high.astype(np.float64)[:, None], low.astype(np.float64)[:, None], learnt.flip_share[:, None]]
    return np.concatenate(parts, axis=1)


def unpack(parameters: Floats, policy: DetectorPolicy) -> Learnt:
    """Read what `pack` laid out.

    Raises:
        ValueError: the number of columns is not that of this policy.
    """
    scales = len(policy.scales)
    widths = [1, HOURS, scales, scales] * len(METRICS) + [1] * (len(_MEANS) + len(METRICS) + 3)
    if not len(parameters):
        parameters = np.empty((0, sum(widths)))
    if parameters.shape[1] != sum(widths):
        raise ValueError(
            f"baseline has {parameters.shape[1]} parameters, {sum(widths)} expected; rebuild the baselines"
        )
    parts = np.split(parameters, np.cumsum(widths)[:-1], axis=1)
    metrics = {
        name: LearntMetric(parts[at][:, 0], parts[at + 1], parts[at + 2], parts[at + 3])
        for at, name in zip(range(0, 4 * len(METRICS), 4), METRICS, strict=True)
    }
    single = [part[:, 0] for part in parts[4 * len(METRICS) :]]
    means, variation = single[: len(_MEANS)], single[len(_MEANS) : len(_MEANS) + len(METRICS)]
    high, low, flip_share = single[-3:]
    plan_hash = high.astype(np.int64) * _HALF + low.astype(np.int64)
    return Learnt(
        metrics,
        dict(zip(_MEANS, means, strict=True)),
        dict(zip(METRICS, variation, strict=True)),
        plan_hash,
        flip_share,
    )


def learn_rows(rows: SeriesRows, as_of_us: int, policy: DetectorPolicy) -> Learnt:
    """Learn every series of `rows`; each needs at least one row."""
    return Learnt(
        metrics={metric: _learn_metric(rows, metric, as_of_us, policy) for metric in METRICS},
        means={name: per_execution(rows, name) for name in _MEANS},
        variation={metric: _variation(rows, metric) for metric in METRICS},
        plan_hash=_last_plans(rows),
        flip_share=_flip_shares(rows),
    )


def without_excluded(
    rows: SeriesRows, excluded: Sequence[ExcludedSpan], databases: Mapping[int, DatabaseRef]
) -> SeriesRows:
    """The rows that no excluded span of their statement touches."""
    if not excluded:
        return rows
    number = {ref: database_id for database_id, ref in databases.items()}
    statements = zip(rows.database_id.tolist(), rows.query_hash.tolist(), strict=True)
    series_of = {statement: series for series, statement in enumerate(statements)}
    keep = np.ones(len(rows.series), np.bool_)
    for span in excluded:
        series = series_of.get((number.get(span.ref, -1), span.query_hash))
        if series is not None:
            own = slice(rows.bounds[series], rows.bounds[series + 1])
            touched = (rows.end_us[own] > epoch_us(span.start)) & (rows.start_us[own] < epoch_us(span.end))
            keep[own] &= ~touched
    return rows.keep(keep)


def _learn_metric(rows: SeriesRows, metric: str, as_of_us: int, policy: DetectorPolicy) -> LearntMetric:
    log_cost = rows.log_cost[metric]
    median = group_medians(log_cost, rows.bounds)
    offsets = hour_offsets(rows, log_cost - median[rows.series], policy.season_samples)
    deviation = log_cost - median[rows.series] - offsets[rows.series, rows.hour]
    residual = deviation - common_mode(rows, deviation, as_of_us, policy).removed(policy)
    centre, spread = null_of_means(rows, residual, median, _variation(rows, metric), policy)
    return LearntMetric(median, offsets, centre, spread)


def _metric_columns(metric: LearntMetric) -> list[Floats]:
    return [metric.median[:, None], metric.offsets, metric.centre, metric.spread]


def _variation(rows: SeriesRows, metric: str) -> Floats:
    mean, square = per_execution(rows, metric), per_execution(rows, f"{metric}_sumsq")
    return np.sqrt(np.maximum(square - mean * mean, 0.0)) / np.maximum(mean, 1.0)


def _last_plans(rows: SeriesRows) -> Longs:
    plans = np.zeros(len(rows), np.int64)
    known = np.flatnonzero(rows.plan_hash)
    plans[rows.series[known]] = rows.plan_hash[known]
    return plans


def _flip_shares(rows: SeriesRows) -> Floats:
    known = np.flatnonzero(rows.plan_hash)
    series, plan = rows.series[known], rows.plan_hash[known]
    flips = series[1:][(plan[1:] != plan[:-1]) & (series[1:] == series[:-1])]
    return np.bincount(flips, minlength=len(rows)) / np.maximum(rows.counts, 1)
