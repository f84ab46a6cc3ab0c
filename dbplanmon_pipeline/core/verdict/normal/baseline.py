"""What the statistical detector remembers of each statement, and how it lies in `BaselineSet.parameters`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.common.scopes import scopes_of
from dbplanmon_pipeline.core.verdict.model import ExcludedSpan
from dbplanmon_pipeline.core.verdict.normal.history import history_of
from dbplanmon_pipeline.core.verdict.normal.learning import learn_view, nothing_shared
from dbplanmon_pipeline.core.verdict.normal.null import StrayingMeans, inflation_of
from dbplanmon_pipeline.core.verdict.normal.table import per_execution
from dbplanmon_pipeline.core.verdict.normal.view import Normal, from_columns, joined, widths
from dbplanmon_pipeline.core.verdict.policy import DetectorPolicy
from dbplanmon_pipeline.core.verdict.rows.calendar import HOURS, HOURS_OF_PART, series_sums
from dbplanmon_pipeline.core.verdict.rows.pooled import PooledRows
from dbplanmon_pipeline.core.verdict.rows.pooled_lines import INTERVALS
from dbplanmon_pipeline.core.verdict.rows.series import ELAPSED_PER_WORKER, METRICS, VIEWS, SeriesRows
from dbplanmon_pipeline.core.verdict.rows.single_executions import execution_variance

_MEANS = ("logical_reads_pages", "rows", "io_time_us", "wait_time_us")
_HALF = 1 << 32
_FLIP_PRIOR = 20.0
"""Two changes of plan within half an hour of intervals are no habit yet."""

_RATIO_VARIANCE = 0.01


@dataclass(frozen=True)
class Learnt:
    """Everything learnt, one row per statement.

    Attributes:
        views: normal of each view.
        samples: float64 [n, 24], independent samples of each hour of the day and its neighbours.
        unsteady: float64 [n, 8], variance beyond the usual in parts of the day; see `unsteady_hours`.
        unsteady_modes: float64 [n, 8], variance of what is common to its database then; see `unsteady_modes`.
        means: float64 [n] per execution, by column name; NaN unknown.
        variation: float64 [n] by metric, standard deviation over mean of single executions; NaN unknown.
        plan_hash: int64 [n], plan of the last interval with a known one; 0 unknown.
        flip_share: float64 [n], plan changes per active interval, fewer where few intervals were seen.
    """

    views: dict[str, Normal]
    samples: Floats
    unsteady: Floats
    unsteady_modes: Floats
    means: dict[str, Floats]
    variation: dict[str, Floats]
    plan_hash: Longs
    flip_share: Floats

    def unsteady_at(self, rows: SeriesRows) -> Floats | None:
        """Variance beyond the usual at the hours of rows whose series these are [rows]; None where no hour has any."""
        return self.unsteady[rows.series, rows.hour // HOURS_OF_PART] if self.unsteady.any() else None

    def at(self, statements: Longs) -> "Learnt":
        """The given statements, in that order."""
        return Learnt(
            {name: normal.at(statements) for name, normal in self.views.items()},
            self.samples[statements],
            self.unsteady[statements],
            self.unsteady_modes[statements],
            {name: mean[statements] for name, mean in self.means.items()},
            {name: values[statements] for name, values in self.variation.items()},
            self.plan_hash[statements],
            self.flip_share[statements],
        )


def layout_of(policy: DetectorPolicy) -> str:
    """Name of the parameter layout; it changes with the window lengths."""
    return "statistical/5/" + "-".join(str(scale.intervals) for scale in policy.scales)


def pack(learnt: Learnt) -> Floats:
    """Lay everything out side by side [n, K]; a plan hash takes two columns, so that no bit is lost."""
    parts = [part for name in VIEWS for part in learnt.views[name].columns()] + [learnt.samples]
    parts += [learnt.unsteady, learnt.unsteady_modes]
    parts += [learnt.means[name][:, None] for name in _MEANS] + [learnt.variation[name][:, None] for name in METRICS]
    high, low = np.divmod(learnt.plan_hash, _HALF)
    parts += [high.astype(np.float64)[:, None], low.astype(np.float64)[:, None], learnt.flip_share[:, None]]
    return np.concatenate(parts, axis=1)


def unpack(parameters: Floats, policy: DetectorPolicy) -> Learnt:
    """Read what `pack` laid out.

    Raises:
        ValueError: the number of columns is not that of this policy.
    """
    one = widths(len(policy.scales))
    columns = one * len(VIEWS) + [HOURS] + [HOURS // HOURS_OF_PART] * 2 + [1] * (len(_MEANS) + len(METRICS) + 3)
    if not len(parameters):
        parameters = np.empty((0, sum(columns)))
    if parameters.shape[1] != sum(columns):
        raise ValueError(
            f"baseline has {parameters.shape[1]} parameters, {sum(columns)} expected; rebuild the baselines"
        )
    parts = np.split(parameters, np.cumsum(columns)[:-1], axis=1)
    views = {name: from_columns(parts[len(one) * at : len(one) * (at + 1)]) for at, name in enumerate(VIEWS)}
    samples, unsteady, of_modes, *rest = parts[len(one) * len(VIEWS) :]
    single = [part[:, 0] for part in rest]
    means, variation = single[: len(_MEANS)], single[len(_MEANS) : len(_MEANS) + len(METRICS)]
    high, low, flip_share = single[-3:]
    plan_hash = high.astype(np.int64) * _HALF + low.astype(np.int64)
    return Learnt(
        views,
        samples,
        unsteady,
        of_modes,
        dict(zip(_MEANS, means, strict=True)),
        dict(zip(METRICS, variation, strict=True)),
        plan_hash,
        flip_share,
    )


def learn_rows(instances: Iterable[PooledRows], policy: DetectorPolicy) -> Learnt:
    """Learn every series of some whole instances after the other; each series needs at least one pool."""
    parts = [_learn_part(rows, policy) for rows in instances]
    learnt = [part for part, _ in parts]
    views = {}
    for view in VIEWS:
        normal = joined([part.views[view] for part in learnt])
        views[view] = replace(normal, inflation=inflation_of([means[view] for _, means in parts], policy))
    return Learnt(
        views=views,
        samples=np.concatenate([part.samples for part in learnt]),
        unsteady=np.concatenate([part.unsteady for part in learnt]),
        unsteady_modes=np.concatenate([part.unsteady_modes for part in learnt]),
        means={name: np.concatenate([part.means[name] for part in learnt]) for name in _MEANS},
        variation={metric: np.concatenate([part.variation[metric] for part in learnt]) for metric in METRICS},
        plan_hash=np.concatenate([part.plan_hash for part in learnt]),
        flip_share=np.concatenate([part.flip_share for part in learnt]),
    )


def _learn_part(rows: PooledRows, policy: DetectorPolicy) -> tuple[Learnt, dict[str, StrayingMeans]]:
    """Learn whole instances, all but inflation; and by view what that is found from."""
    history = history_of(rows, scopes_of(rows, rows.tick(policy.step_us), policy), policy)
    variance = {
        metric: np.concatenate([execution_variance(one.rows, metric) for one in history.stretches])
        for metric in METRICS
    }
    variance[ELAPSED_PER_WORKER] = np.full(len(rows), _RATIO_VARIANCE)
    # How long statements wait comes first: what they were held up together is taken out of elapsed time as well.
    shared = nothing_shared(rows)
    first = (ELAPSED_PER_WORKER, *METRICS)
    views = {view: learn_view(history, view, variance[view], policy, shared) for view in first}
    learnt = Learnt(
        views={view: normal for view, (normal, _) in views.items()},
        samples=history.samples,
        unsteady=shared.unsteady,
        unsteady_modes=shared.unsteady_modes,
        means={name: per_execution(rows, name) for name in _MEANS},
        variation={metric: _variation(rows, metric) for metric in METRICS},
        plan_hash=_last_plans(rows),
        flip_share=_flip_shares(rows),
    )
    return learnt, {view: means for view, (_, means) in views.items()}


def without_excluded(
    rows: SeriesRows, excluded: Sequence[ExcludedSpan], databases: Mapping[int, DatabaseRef]
) -> SeriesRows:
    """The rows that no excluded span of their statement touches."""
    return rows.keep(_is_normal(rows, excluded, databases)) if excluded else rows


def rows_to_learn(
    rows: PooledRows, excluded: Sequence[ExcludedSpan], databases: Mapping[int, DatabaseRef], least: int
) -> NDArray[np.bool_]:
    """True for pools that no excluded span of their statement touches, of statements with so many intervals or more."""
    kept = _is_normal(rows, excluded, databases)
    many = np.bincount(rows.series, rows.figures[INTERVALS] * kept, minlength=len(rows))
    kept &= rows.spread(many >= least)
    return kept


def _is_normal(
    rows: SeriesRows, excluded: Sequence[ExcludedSpan], databases: Mapping[int, DatabaseRef]
) -> NDArray[np.bool_]:
    """True for rows that no excluded span of their statement touches."""
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
    _blank_databases(rows, [(number.get(span.ref, -1), span) for span in excluded if not span.query_hash], keep)
    return keep


def _blank_databases(rows: SeriesRows, spans: Sequence[tuple[int, ExcludedSpan]], keep: NDArray[np.bool_]) -> None:
    """Leave out what ran in spans of whole databases, given with their numbers."""
    for database_id in {number for number, _ in spans}:
        own = np.flatnonzero((rows.database_id == database_id)[rows.series])
        end_us, start_us = rows.end_us[own], rows.start_us[own]
        for number, span in spans:
            if number == database_id:
                keep[own[(end_us > epoch_us(span.start)) & (start_us < epoch_us(span.end))]] = False


def _variation(rows: SeriesRows, metric: str) -> Floats:
    mean, square = per_execution(rows, metric), per_execution(rows, f"{metric}_sumsq")
    return np.sqrt(np.maximum(square - mean * mean, 0.0)) / np.maximum(mean, 1.0)


def _last_plans(rows: SeriesRows) -> Longs:
    plans = np.zeros(len(rows), np.int64)
    known = np.flatnonzero(rows.plan_hash)
    end = np.searchsorted(known, rows.bounds)
    told = np.flatnonzero(end[1:] > end[:-1])
    plans[told] = rows.plan_hash[known[end[told + 1] - 1]]
    return plans


def _flip_shares(rows: PooledRows) -> Floats:
    known = np.flatnonzero(rows.plan_hash)
    other = np.flatnonzero(rows.first_plan[known[1:]] != rows.plan_hash[known[:-1]])
    series, before = rows.series[known[other + 1]], rows.series[known[other]]
    changes = np.bincount(series[series == before], minlength=len(rows)) + np.add.reduceat(
        rows.changes, rows.bounds[:-1]
    )
    shares: Floats = changes / (series_sums(rows.figures[INTERVALS], rows.bounds) + _FLIP_PRIOR)
    return shares
