"""Charts of a back-test: alerts by day, and the cost of a statement around an alert."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta

import numpy as np
from markupsafe import Markup

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentScope
from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.moments import from_epoch_us
from dbplanmon_pipeline.core.plain_words import cost_words, hash_words, moment_words, ratio_words, seconds_words
from dbplanmon_pipeline.core.readings.failures import FAILED_EXECUTIONS, failing_words
from dbplanmon_pipeline.core.records import place
from dbplanmon_pipeline.services.backtest import BacktestReport
from dbplanmon_pipeline.services.backtest_curves import Curve
from dbplanmon_pipeline.web.charts.history import HistoryChart, Point, history_chart
from dbplanmon_pipeline.web.charts.scales import TimeScale, value_scale
from dbplanmon_pipeline.web.charts.svg import element

METRICS = {"worker_time_us": "CPU time", "elapsed_time_us": "elapsed time", FAILED_EXECUTIONS: "failed executions"}
MOST_MARKS = 8
_WIDTH, _HEIGHT = 800, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 790, 24, 140
_MARK_ROOM = 0.14
"""Share of the width that the word of a mark takes."""

_DAY = timedelta(days=1)


def days_chart(reports: Sequence[BacktestReport], names: Sequence[str]) -> Markup:
    """Alerts of each report by UTC day as bars beside each other; empty where nothing was judged."""
    first, last = reports[0].first, reports[0].last
    if first is None or last is None:
        return Markup("")
    start = datetime.combine(first.date(), time(), first.tzinfo)
    days = max(1, math.ceil((last - start) / _DAY))
    counts = [_by_day(report, first) for report in reports]
    values = value_scale(
        [float(count) for one in counts for count in one.values()], _BOTTOM, _TOP, may_be_logarithmic=False
    )
    times = TimeScale(start, start + days * _DAY, _LEFT, _RIGHT)
    parts: list[Markup] = [element("title", f"Alerts by day: {', '.join(names)}", id="days-title")]
    for value in values.ticks():
        y = values(value)
        parts.append(element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="chart-grid"))
        if value == int(value):
            parts.append(element("text", f"{value:.0f}", x=_LEFT - 8, y=y + 4, class_="chart-label", text_anchor="end"))
    for moment, label in times.ticks():
        x = times(moment)
        if moment < start + days * _DAY:
            parts.append(element("text", label, x=x, y=_BOTTOM + 20, class_="chart-label", text_anchor="middle"))
    width = (_RIGHT - _LEFT) / days * 0.8 / len(reports)
    for side, (name, count) in enumerate(zip(names, counts, strict=True)):
        for day, number in sorted(count.items()):
            x = times(datetime.combine(day, time(), first.tzinfo)) + width / 8 + side * width
            parts.append(_bar(f"{day:%Y-%m-%d}, {name}: {number}", x, values(float(number)), width, side))
    parts.append(element("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="chart-axis"))
    return element(
        "svg", *parts, class_="chart", view_box=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_labelledby="days-title"
    )


def _bar(title: str, x: float, y: float, width: float, side: int) -> Markup:
    shape = {"x": x, "y": y, "width": max(width - 1, 1.0), "height": _BOTTOM - y}
    return element("rect", element("title", title), class_=f"day-bar side{side}", **shape)


def _by_day(report: BacktestReport, first: datetime) -> Counter[date]:
    """What ends at midnight belongs to the day before, but for the first moment of all."""
    moments = (max(one.raised_at - timedelta(microseconds=1), first) for one in report.notifications)
    return Counter(moment.date() for moment in moments)


def curve_chart(curve: Curve, name: str, other: datetime | None = None) -> Markup:
    """Time per execution before and during one alert, with the moment at which people would have been told.

    Args:
        curve: figures.
        name: makes ids unique on the page.
        other: when the other settings told of it.
    """
    one = curve.notification
    incident = one.incident
    is_query = incident.scope is IncidentScope.QUERY
    last = min(one.ended_at or curve.end, curve.end)
    words = METRICS["elapsed_time_us"] if incident.failing else METRICS.get(incident.metric, incident.metric)
    gap = _usual_gap(curve)
    chart = HistoryChart(
        title=f"{place(incident)} {hash_words(incident.query_hash) if is_query else ''}".strip(),
        description=_description(incident, one.raised_at),
        unit=f"{words} per execution" if is_query else f"seconds of {words} per hour, all statements",
        words=cost_words if is_query else seconds_words,
        start=curve.start,
        end=max(curve.end, curve.start + timedelta(minutes=5)),
        points=list(_points(curve, last)),
        normal=incident.baseline_us if is_query and incident.baseline_us > 0 else None,
        span=(max(incident.began_at, curve.start), last) if last > curve.start else None,
        marks=sorted(_marks(curve, other)),
        longest_gap=gap * 6,
    )
    return history_chart(chart, name)


def _points(curve: Curve, last: datetime) -> Iterator[Point]:
    begun = curve.notification.incident.began_at
    columns = (curve.start_us.tolist(), curve.end_us.tolist(), curve.values.tolist())
    for start_us, end_us, value in zip(*columns, strict=True):
        start, end = from_epoch_us(start_us), from_epoch_us(end_us)
        yield Point(start, end, value, begun < end and start < last)


def _marks(curve: Curve, other: datetime | None) -> Iterator[tuple[datetime, str]]:
    """Alerts and changes of plan; a change that would take the room of the word for the alert is named there."""
    told = curve.notification.raised_at
    room = (curve.end - curve.start) * _MARK_ROOM
    word = "alert"
    for moment, plan in _plan_changes(curve):
        if abs(moment - told) < room:
            word = f"alert, {plan}"
        elif other is None or abs(moment - other) >= room:
            yield moment, plan
    yield told, word
    if other is not None:
        yield other, "alert, other settings"


def _plan_changes(curve: Curve) -> list[tuple[datetime, str]]:
    """None of an instance or database, nor of a statement that changes plans all the time."""
    known = np.flatnonzero(curve.plan_hash)
    plans = curve.plan_hash[known]
    changed = known[1:][plans[1:] != plans[:-1]].tolist()
    if curve.notification.incident.scope is not IncidentScope.QUERY or len(changed) > MOST_MARKS:
        return []
    return [
        (from_epoch_us(int(curve.start_us[at])), f"plan {hash_text(int(curve.plan_hash[at]))[:8]}") for at in changed
    ]


def _usual_gap(curve: Curve) -> timedelta:
    lengths = curve.end_us - curve.start_us
    return timedelta(microseconds=int(np.median(lengths))) if len(lengths) else timedelta(minutes=5)


def _description(incident: Incident, raised_at: datetime) -> str:
    costs = ""
    if incident.scope is IncidentScope.QUERY:
        costs = f" from {cost_words(incident.baseline_us)} to {cost_words(incident.observed_us)}"
    if incident.failing:
        since, told = moment_words(incident.began_at), moment_words(raised_at)
        return (
            f"Failing since {since}: {failing_words(incident.failing)}; told at {told}. Regular executions are shown."
        )
    return (
        f"Slower since {moment_words(incident.began_at)}{costs}, {ratio_words(incident.effect_ratio)}; "
        f"told at {moment_words(raised_at)}."
    )
