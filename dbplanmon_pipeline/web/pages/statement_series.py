"""Cost of a statement over time and by plan, from its interval or hourly rows; pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from markupsafe import Markup

from dbplanmon_pipeline.core.incidents import Incident
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.plain_words import hash_words
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.core.ports.page_lists import PlanUse
from dbplanmon_pipeline.core.ports.pages import Normal
from dbplanmon_pipeline.web.charts.history import HistoryChart, Point, history_chart
from dbplanmon_pipeline.web.charts.plan_lanes import Lane, merged, plan_lanes, tone
from dbplanmon_pipeline.web.pages.spans import Metric, Span, count_words
from dbplanmon_pipeline.web.pages.words import counted, short_moment

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


def known_metrics(rows: pd.DataFrame) -> list[str]:
    """Columns of FIGURES that are known at all."""
    return [name for name in FIGURES if len(rows) and bool(np.isfinite(rows[name].to_numpy()).any())]


def statement_series(
    rows: pd.DataFrame,
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
        rows: of one statement, columns of FIGURES and the keys of interval rows.
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
    if not metric.per_execution and span.width and len(bins) and int(bins["end_us"].iloc[-1]) > _whole_us(end, span):
        bins = bins.iloc[:-1]
    troubles = [(one.began_at, one.last_bad_at if one.closed_at or one.calm_since else end) for one in incidents]
    points = [_point(row, troubles) for row in zip(bins["start_us"], bins["end_us"], bins["value"], strict=True)]
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
    letters = {row.plan_hash: row.letter for row in plans}
    return StatementSeries(
        history_chart(chart) if points else Markup(""),
        plan_lanes(_lanes(rows, plans, gap), start, end),
        ("Interval (UTC)", metric.unit, "Executions", "Plan"),
        tuple(
            (int(point.middle.timestamp()), _cells(point, metric, executions, letters.get(plan, ""), plan))
            for point, executions, plan in zip(points, bins["execution_count"], bins["plan_hash"], strict=True)
        ),
        _cost(rows),
        plans,
        band is not None,
        newest is not None,
        bool(shown),
    )


def _plans(rows: pd.DataFrame, uses: Sequence[PlanUse]) -> tuple[PlanRow, ...]:
    """Those that ran in the span first, by the moment of their last execution, then all others."""
    known = {use.plan_hash: use for use in uses}
    last = rows.groupby("plan_hash")["interval_end_us"].max().sort_values(ascending=False, kind="stable")
    ran = [int(value) for value in last.index]
    found = []
    for place, plan_hash in enumerate(ran):
        has_lane = place < MOST_LANES
        cost = _cost(rows[rows["plan_hash"] == plan_hash])
        letter = _LETTERS[place] if has_lane else ""
        found.append(PlanRow(plan_hash, cost, letter, tone(place) if has_lane else "", known.get(plan_hash)))
    nothing = Cost(0.0, math.nan, math.nan, math.nan)
    return (*found, *(PlanRow(use.plan_hash, nothing, use=use) for use in uses if use.plan_hash not in set(ran)))


def _cost(rows: pd.DataFrame) -> Cost:
    executions = float(np.nansum(rows["execution_count"].to_numpy()))
    return Cost(executions, *(_mean(rows, name) for name in FIGURES[1:]))


def _mean(rows: pd.DataFrame, name: str) -> float:
    values, counts = rows[name].to_numpy(), rows["execution_count"].to_numpy()
    known = np.isfinite(values) & (counts > 0)
    executions = float(counts[known].sum())
    return float(values[known].sum()) / executions if executions > 0 else math.nan


def _binned(rows: pd.DataFrame, metric: Metric, width: timedelta) -> pd.DataFrame:
    known = rows[(rows["execution_count"] > 0) & rows[metric.column].notna()]
    width_us = max(int(width / timedelta(microseconds=1)), 1)
    ordered = known.assign(bin=(known["interval_end_us"] - 1) // width_us).sort_values(["bin", "execution_count"])
    totals = ordered.groupby("bin").agg(
        start_us=("interval_start_us", "min"),
        end_us=("interval_end_us", "max"),
        execution_count=("execution_count", "sum"),
        total=(metric.column, "sum"),
        plan_hash=("plan_hash", "last"),
    )
    value = totals["total"] / totals["execution_count"] if metric.per_execution else totals["total"]
    return totals.assign(value=value)


def _whole_us(end: datetime, span: Span) -> int:
    """End of the last whole step before `end` [us]."""
    step = int(span.width / timedelta(microseconds=1))
    return int(end.timestamp() * 1_000_000) // step * step


def _point(row: tuple[int, int, float], troubles: Sequence[tuple[datetime, datetime]]) -> Point:
    start, end = from_epoch_us(int(row[0])), from_epoch_us(int(row[1]))
    return Point(start, end, float(row[2]), any(first < end and start < last for first, last in troubles))


def _lanes(rows: pd.DataFrame, plans: Sequence[PlanRow], gap: timedelta) -> list[Lane]:
    lanes = []
    for plan in plans:
        if not plan.letter:
            continue
        own = rows[(rows["plan_hash"] == plan.plan_hash) & (rows["execution_count"] > 0)].sort_values("interval_end_us")
        pairs = zip(own["interval_start_us"].tolist(), own["interval_end_us"].tolist(), strict=True)
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


def _cells(point: Point, metric: Metric, executions: float, letter: str, plan_hash: int) -> tuple[str, ...]:
    plan = " ".join(filter(None, (letter, hash_words(plan_hash)[:8] if plan_hash else "")))
    return (
        f"{short_moment(point.start)} to {point.end:%H:%M}"
        if point.end - point.start < timedelta(days=1)
        else f"{short_moment(point.start)} to {short_moment(point.end)}",
        metric.words(point.value),
        count_words(float(executions)),
        plan,
    )


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
