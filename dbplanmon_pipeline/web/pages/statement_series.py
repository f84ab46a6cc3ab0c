"""Cost of a statement over time and by plan, from its interval or hourly rows; pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from markupsafe import Markup

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.plain_words import counted, hash_words
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.core.ports.page_lists import PlanUse
from dbplanmon_pipeline.core.ports.pages import Normal
from dbplanmon_pipeline.web.charts.history import HistoryChart, Point, history_chart
from dbplanmon_pipeline.web.charts.plan_lanes import Lane, merged, plan_lanes, tone
from dbplanmon_pipeline.web.pages.spans import Metric, Span, count_words
from dbplanmon_pipeline.web.pages.words import short_moment

MOST_LANES = 6
MOST_MARKS = 12
FIGURES = ("execution_count", "elapsed_time_us", "worker_time_us", "logical_reads_pages")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Cost:
    """Executions within a span, and means of one of them; NaN unknown."""

    executions: float
    elapsed_us: float
    cpu_us: float
    reads_pages: float


@dataclass(frozen=True, slots=True)
class PlanRow:
    """One plan of a statement with what it cost in the span that is shown.

    Attributes:
        letter / tone: of its lane; empty where it has none.
        use: None for a plan that is only known by its work.
    """

    plan_hash: int
    cost: Cost
    letter: str = ""
    tone: str = ""
    use: PlanUse | None = None


@dataclass(frozen=True, slots=True)
class StatementSeries:
    """What the chart of a statement shows, and the same as a table; `chart` is empty without figures."""

    chart: Markup
    lanes: Markup
    heads: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    whole: Cost
    plans: tuple[PlanRow, ...]
    has_band: bool = False
    has_incident: bool = False
    has_marks: bool = False


Rows = Mapping[str, np.ndarray]
"""Rows of one statement as columns: FIGURES, plan and interval; frames take several times as long for so few."""


def columns_of(rows: pd.DataFrame) -> Rows:
    """The columns that are needed here, ordered by the end of the interval."""
    names = ("plan_hash", "interval_start_us", "interval_end_us", *FIGURES)
    columns = {name: rows[name].to_numpy() for name in names}
    order = np.argsort(columns["interval_end_us"], kind="stable")
    return {name: column[order] for name, column in columns.items()}


def known_metrics(rows: Rows) -> list[str]:
    """Columns of FIGURES that are known at all."""
    return [name for name in FIGURES if bool(np.isfinite(rows[name]).any())]


def statement_series(
    rows: Rows,
    span: Span,
    metric: Metric,
    *,
    start: datetime,
    end: datetime,
    cadence: timedelta,
    uses: Sequence[PlanUse] = (),
    changes: Sequence[PlanChange] = (),
    incidents: Sequence[Incident] = (),
    normal: Normal | None = None,
) -> StatementSeries:
    """Put a chart together.

    Args:
        rows: of one statement, as `columns_of` gives them.
        span: what is shown.
        metric: of the line.
        start: beginning of the time axis, aware UTC.
        end: of the time axis.
        cadence: between two readings.
        uses: plans of the statement.
        changes: of its plan, oldest first.
        incidents: of it.
        normal: what is normal per execution.
    """
    plans = _plans(rows, uses)
    width = max(span.width, cadence)
    gap = 3 * width
    bins = _binned(rows, metric, span.width)
    if not metric.per_execution and span.width and bins and bins[-1].end_us > _whole_us(end, span):
        bins = bins[:-1]
    troubles = [(one.began_at, one.last_bad_at if one.closed_at or one.calm_since else end) for one in incidents]
    points = [_point(one, troubles) for one in bins]
    newest = max((trouble for trouble in troubles if trouble[1] > start), default=None)
    band, usual = _normal(normal, metric)
    shown = [change for change in changes if start <= change.changed_at <= end][:MOST_MARKS]
    chart = HistoryChart(
        title=f"{metric.unit} by {_step_words(span)}",
        description=_described(points, metric, usual),
        unit=metric.unit + ("" if metric.per_execution else f" per {_step_words(span)}"),
        words=metric.words,
        start=start,
        end=end,
        points=points,
        band=band,
        normal=usual,
        span=(max(newest[0], start), newest[1]) if newest else None,
        marks=[(change.changed_at, f"plan {hash_text(change.plan_hash)[:8]}") for change in shown],
        longest_gap=gap,
    )
    letters = {row.plan_hash: f"{row.letter} {hash_words(row.plan_hash)[:8]}".strip() for row in plans}
    return StatementSeries(
        history_chart(chart) if points else Markup(""),
        plan_lanes(_lanes(rows, plans, gap), start, end),
        ("Interval (UTC)", metric.unit, "Executions", "Plan"),
        tuple(
            (int(point.middle.timestamp()), _cells(point, metric, one.executions, letters.get(one.plan_hash, "")))
            for point, one in zip(points, bins, strict=True)
        ),
        _cost(rows),
        plans,
        band is not None,
        newest is not None,
        bool(shown),
    )


@dataclass(frozen=True, slots=True)
class _Bin:
    """Intervals that end together, added up; `plan_hash` is that with most executions."""

    start_us: int
    end_us: int
    executions: float
    value: float
    plan_hash: int


def _plans(rows: Rows, uses: Sequence[PlanUse]) -> tuple[PlanRow, ...]:
    """Those that ran in the span first, by the moment of their last execution, then all others."""
    known = {use.plan_hash: use for use in uses}
    # The last one first: of rows that end together the order does not matter.
    ran = list(dict.fromkeys(rows["plan_hash"][::-1].tolist()))
    found = []
    for place, plan_hash in enumerate(ran):
        has_lane = place < MOST_LANES
        own = rows["plan_hash"] == plan_hash
        cost = _cost({name: column[own] for name, column in rows.items()})
        letter = _LETTERS[place] if has_lane else ""
        found.append(PlanRow(plan_hash, cost, letter, tone(place) if has_lane else "", known.get(plan_hash)))
    nothing = Cost(0.0, math.nan, math.nan, math.nan)
    return (*found, *(PlanRow(use.plan_hash, nothing, use=use) for use in uses if use.plan_hash not in set(ran)))


def _cost(rows: Rows) -> Cost:
    return Cost(float(np.nansum(rows["execution_count"])), *(_mean(rows, name) for name in FIGURES[1:]))


def _mean(rows: Rows, name: str) -> float:
    values, counts = rows[name], rows["execution_count"]
    known = np.isfinite(values) & (counts > 0)
    executions = float(counts[known].sum())
    return float(values[known].sum()) / executions if executions > 0 else math.nan


def _binned(rows: Rows, metric: Metric, width: timedelta) -> list[_Bin]:
    """Oldest first; intervals whose figure is unknown are left out."""
    known = (rows["execution_count"] > 0) & np.isfinite(rows[metric.column])
    if not known.any():
        return []
    width_us = max(int(width / timedelta(microseconds=1)), 1)
    counts, ends = rows["execution_count"][known], rows["interval_end_us"][known]
    bins = (ends - 1) // width_us
    order = np.lexsort((counts, bins))
    begins = np.flatnonzero(np.r_[True, np.diff(bins[order]) != 0])
    last = np.r_[begins[1:], len(order)] - 1
    executions = np.add.reduceat(counts[order], begins)
    totals = np.add.reduceat(rows[metric.column][known][order], begins)
    columns = (
        np.minimum.reduceat(rows["interval_start_us"][known][order], begins).tolist(),
        np.maximum.reduceat(ends[order], begins).tolist(),
        executions.tolist(),
        (totals / executions if metric.per_execution else totals).tolist(),
        rows["plan_hash"][known][order][last].tolist(),
    )
    return [_Bin(*values) for values in zip(*columns, strict=True)]


def _whole_us(end: datetime, span: Span) -> int:
    """End of the last whole step before `end` [us]."""
    step = int(span.width / timedelta(microseconds=1))
    return int(end.timestamp() * 1_000_000) // step * step


def _point(one: _Bin, troubles: Sequence[tuple[datetime, datetime]]) -> Point:
    start, end = from_epoch_us(one.start_us), from_epoch_us(one.end_us)
    return Point(start, end, one.value, any(first < end and start < last for first, last in troubles))


def _lanes(rows: Rows, plans: Sequence[PlanRow], gap: timedelta) -> list[Lane]:
    lanes = []
    for plan in plans:
        if not plan.letter:
            continue
        own = (rows["plan_hash"] == plan.plan_hash) & (rows["execution_count"] > 0)
        pairs = zip(rows["interval_start_us"][own].tolist(), rows["interval_end_us"][own].tolist(), strict=True)
        spans = merged([(from_epoch_us(first), from_epoch_us(last)) for first, last in pairs], gap.total_seconds())
        title = f"plan {plan.letter}, {hash_words(plan.plan_hash)}: {count_words(plan.cost.executions)} executions"
        lanes.append(Lane(plan.letter, title, spans))
    return lanes


def _normal(normal: Normal | None, metric: Metric) -> tuple[tuple[float, float] | None, float | None]:
    if normal is None or not metric.per_execution:
        return None, None
    median, p95 = normal.median_us.get(metric.column, math.nan), normal.p95_us.get(metric.column, math.nan)
    if not median > 0:
        return None, None
    return ((median, p95) if p95 > median else None), median


def _cells(point: Point, metric: Metric, executions: float, plan: str) -> tuple[str, ...]:
    is_short = point.end - point.start < timedelta(days=1)
    until = f"{point.end:%H:%M}" if is_short else short_moment(point.end)
    return f"{short_moment(point.start)} to {until}", metric.words(point.value), count_words(executions), plan


def _step_words(span: Span) -> str:
    if not span.width:
        return "reading"
    return "day" if span.width >= timedelta(days=1) else "hour"


def _described(points: Sequence[Point], metric: Metric, usual: float | None) -> str:
    if not points:
        return "There are no figures for this time."
    values = [point.value for point in points]
    normal = f" Normal is {metric.words(usual)}." if usual else ""
    return (
        f"{counted(len(points), 'value')} from {short_moment(points[0].start)} to {short_moment(points[-1].end)} UTC, "
        f"between {metric.words(min(values))} and {metric.words(max(values))}.{normal}"
    )
