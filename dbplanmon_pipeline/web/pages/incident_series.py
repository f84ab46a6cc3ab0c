"""Cost of a statement, or load of an instance, around an incident, as its chart shows it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import DatabaseRef, hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.plain_words import cost_words, counted, hash_words, seconds_words
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS, share_words
from dbplanmon_pipeline.core.verdict.failing.attempts import FAILED_COLUMNS
from dbplanmon_pipeline.web.charts.history import HistoryChart, Point
from dbplanmon_pipeline.web.context import WebContext
from dbplanmon_pipeline.web.pages.words import METRICS, incident_title, place_words, short_moment

MOST_POINTS = 240
BEFORE_TIMES = 3.0
LEAST_BEFORE, MOST_BEFORE, AFTER = timedelta(hours=6), timedelta(days=7), timedelta(hours=6)
"""How much is shown before and after an incident."""

MOST_MARKS = 12
_HOUR = timedelta(hours=1)
_ELAPSED, _CPU = 1, 2


@dataclass(frozen=True, slots=True)
class IncidentSeries:
    """The chart of an incident, and the same figures as rows of a table; empty without any."""

    chart: HistoryChart
    heads: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def shown_span(incident: Incident, now: datetime) -> tuple[datetime, datetime]:
    """From when to when the chart of an incident goes."""
    last = incident.last_bad_at if incident.closed_at else now
    before = min(max((last - incident.began_at) * BEFORE_TIMES, LEAST_BEFORE), MOST_BEFORE)
    end = min(now, last + AFTER) if incident.closed_at else now
    return incident.began_at - before, max(end, incident.began_at + timedelta(minutes=5))


def statement_series(context: WebContext, incident: Incident, changes: Sequence[PlanChange]) -> IncidentSeries:
    """Cost per execution by interval, means of neighbours where there are many."""
    store, now = context.session.store, context.clock()
    start, end = shown_span(incident, now)
    ref = DatabaseRef(incident.instance, incident.database)
    metric = incident.metric if incident.metric in METRICS else "elapsed_time_us"
    name = f"{METRICS[metric]} per execution"
    words: Callable[[float], str] = cost_words
    columns = FAILED_COLUMNS if incident.failing else (metric,)
    rows = store.interval_frame(
        start, end, columns=(*columns, "execution_count"), databases=[ref], query_hash=incident.query_hash
    ).rows
    if incident.failing:
        metric, name, words = FAILED_EXECUTIONS, "share of executions that fail", share_words
        rows = _with_failed(rows)
    width = max(timedelta(0), (end - start) / MOST_POINTS)
    table = _binned(rows, metric, width)
    last = _last_bad(incident, now)
    points = [_point(row, incident, last) for row in table.itertuples(index=False)]
    normal = store.normal(ref, incident.query_hash, context.session.detector.layout, incident.opened_at)
    median = normal.median_us.get(metric, np.nan) if normal else np.nan
    p95 = normal.p95_us.get(metric, np.nan) if normal else np.nan
    usual = median if np.isfinite(median) else incident.baseline_us
    if incident.failing:
        usual, p95 = incident.failing.share_before, np.nan
    chart = HistoryChart(
        title=f"{name}: {incident_title(incident)}",
        description=_description(incident, points, usual, words),
        unit=name,
        words=words,
        start=start,
        end=end,
        points=points,
        band=(usual, p95) if np.isfinite(p95) and p95 > usual > 0 else None,
        normal=usual if usual > 0 else None,
        span=(incident.began_at, last),
        marks=[(change.changed_at, f"plan {hash_text(change.plan_hash)[:8]}") for change in changes[:MOST_MARKS]],
        longest_gap=max(3 * context.settings.collection.interval, 3 * width),
    )
    found = tuple(
        (
            int(point.middle.timestamp()),
            (
                f"{short_moment(point.start)} to {short_moment(point.end)}",
                words(point.value),
                f"{count:,.0f} executions",
                plan,
            ),
        )
        for point, count, plan in zip(
            points, table["execution_count"], map(_plan_word, table["plan_hash"]), strict=True
        )
    )
    head = "Failed" if incident.failing else METRICS[metric]
    return IncidentSeries(chart, ("Interval (UTC)", head, "Executions", "Plan"), found)


def instance_series(context: WebContext, incident: Incident) -> IncidentSeries:
    """Seconds of work of the whole instance by hour."""
    now = context.clock()
    start, end = shown_span(incident, now)
    start, end = _hour(start - timedelta(hours=18)), _hour(end) + _HOUR
    works = [
        work
        for ref, work in context.session.store.database_hours(start, end).items()
        if ref.instance == incident.instance
    ]
    column = _CPU if incident.metric == "worker_time_us" else _ELAPSED
    seconds = np.nansum([work[:, column] for work in works], axis=0) / 1e6 if works else np.zeros(0)
    last = _last_bad(incident, now)
    points = []
    for place, value in enumerate(seconds.tolist()):
        hour = start + place * _HOUR
        # The running hour would look like a fall.
        if value > 0 and hour + _HOUR <= now:
            points.append(Point(hour, hour + _HOUR, value, incident.began_at < hour + _HOUR and hour < last))
    words = METRICS["worker_time_us" if column == _CPU else "elapsed_time_us"]
    chart = HistoryChart(
        title=f"{words} of all statements of {place_words(incident)} by hour",
        description=_description(incident, points, float("nan"), seconds_words),
        unit=f"{words} of all statements per hour",
        words=seconds_words,
        start=start,
        end=end,
        points=points,
        span=(incident.began_at, last),
        longest_gap=2 * _HOUR,
    )
    rows = tuple(
        (
            int(point.middle.timestamp()),
            (f"{short_moment(point.start)} to {short_moment(point.end)}", seconds_words(point.value)),
        )
        for point in points
    )
    return IncidentSeries(chart, ("Hour (UTC)", words), rows)


@dataclass(frozen=True, slots=True)
class DatabaseLoad:
    """Time per execution of one database in the day before an incident and since, and work per hour since."""

    ref: DatabaseRef
    before_us: float
    since_us: float
    ratio: float
    seconds_per_hour: float


def database_loads(context: WebContext, incident: Incident) -> list[DatabaseLoad]:
    """Databases of a slow instance, those first that became slower most."""
    now = context.clock()
    first, last = _hour(incident.began_at), _last_bad(incident, now)
    until = max(_hour(last) + _HOUR, first + _HOUR)
    column = _CPU if incident.metric == "worker_time_us" else _ELAPSED
    hours = context.session.store.database_hours(first - timedelta(days=1), until)
    found = []
    for ref, work in hours.items():
        if ref.instance == incident.instance:
            before, since = _per_execution(work[:24], column), _per_execution(work[24:], column)
            spent = float(np.nansum(work[24:, column])) / 1e6 / max((min(until, now) - first) / _HOUR, 1e-3)
            found.append(DatabaseLoad(ref, before, since, since / before if before > 0 else np.nan, spent))
    return sorted(found, key=lambda load: (not load.ratio > 0, -load.ratio, load.ref))


def _per_execution(work: np.ndarray, column: int) -> float:
    executions = float(np.nansum(work[:, 0]))
    return float(np.nansum(work[:, column])) / executions if executions > 0 else np.nan


def _with_failed(rows: pd.DataFrame) -> pd.DataFrame:
    """Failed executions as a figure of all that were tried."""
    failed = rows[list(FAILED_COLUMNS)].sum(axis=1, skipna=False)
    return rows.assign(**{FAILED_EXECUTIONS: failed, "execution_count": rows["execution_count"] + failed})


def _binned(rows: pd.DataFrame, metric: str, width: timedelta) -> pd.DataFrame:
    """Intervals of all plans together, neighbours within `width` added up; `cost` per execution [us]."""
    known = rows[(rows["execution_count"] > 0) & rows[metric].notna()]
    width_us = max(int(width / timedelta(microseconds=1)), 1)
    # Intervals that end together stay together, and the plan with most executions gives its name.
    ordered = known.assign(bin=known["interval_end_us"] // width_us).sort_values(["bin", "execution_count"])
    found = ordered.groupby("bin", as_index=False).agg(
        start_us=("interval_start_us", "min"),
        end_us=("interval_end_us", "max"),
        execution_count=("execution_count", "sum"),
        total=(metric, "sum"),
        plan_hash=("plan_hash", "last"),
    )
    return found.assign(cost=found["total"] / found["execution_count"])


def _point(row: object, incident: Incident, last: datetime) -> Point:
    start, end = from_epoch_us(int(row.start_us)), from_epoch_us(int(row.end_us))  # type: ignore[attr-defined]  # a row
    return Point(start, end, float(row.cost), incident.began_at < end and start < last)  # type: ignore[attr-defined]


def _last_bad(incident: Incident, now: datetime) -> datetime:
    """End of the span that was bad: still going on while nothing was calm."""
    return incident.last_bad_at if incident.closed_at or incident.calm_since else now


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _plan_word(plan_hash: int) -> str:
    return f"plan {hash_words(plan_hash)[:8]}" if plan_hash else ""


def _description(incident: Incident, points: Sequence[Point], usual: float, words: object = cost_words) -> str:
    say = words if callable(words) else cost_words
    if not points:
        return "There are no figures for this time."
    costs = [point.value for point in points]
    normal = f" Normal is {say(usual)}." if usual > 0 else ""
    return (
        f"{counted(len(points), 'value')} from {short_moment(points[0].start)} to {short_moment(points[-1].end)} UTC, "
        f"between {say(min(costs))} and {say(max(costs))}.{normal} "
        f"The incident began at {short_moment(incident.began_at)} UTC."
    )
