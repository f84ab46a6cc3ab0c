"""`/kpis`: figures of your own, and `/kpis/{name}`: one of them over time."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dbplanmon_pipeline.core.kpis.health import KpiStatus
from dbplanmon_pipeline.core.kpis.rules import KpiLimits, KpiMemory, KpiResult, KpiSpec, KpiState, number_words
from dbplanmon_pipeline.core.plain_words import duration_words, one_line
from dbplanmon_pipeline.web.access.guard import require
from dbplanmon_pipeline.web.access.user import Role
from dbplanmon_pipeline.web.charts.history import HistoryChart, Point, history_chart
from dbplanmon_pipeline.web.charts.sparkline import sparkline
from dbplanmon_pipeline.web.context import context_of
from dbplanmon_pipeline.web.pages.spans import DAY, Option, Span, chosen_span
from dbplanmon_pipeline.web.pages.templating import link, render, with_query
from dbplanmon_pipeline.web.pages.words import Badge, short_moment

SPANS = (Span("24h", "24 hours", DAY), Span("7d", "7 days", 7 * DAY), Span("30d", "30 days", 30 * DAY))
MOST_LINES = 60
"""So many KPIs of the list have a line of their day."""

MOST_SPARK, MOST_POINTS, MOST_READINGS = 96, 480, 20_000
MOST_TOLD = 50

BADGES = {
    KpiState.OK: Badge("good", "tick", "Within limits"),
    KpiState.BREACH: Badge("high", "triangle", "Out of limits"),
    KpiState.ERROR: Badge("medium", "diamond", "Cannot be read"),
    KpiState.UNKNOWN: Badge("unknown", "ring", "Not judged yet"),
    KpiState.LEFT_ALONE: Badge("unknown", "ring", "Left alone"),
}
NEVER = Badge("unknown", "ring", "Not read yet")


@dataclass(frozen=True, slots=True)
class KpiRow:
    """One KPI of the list; `since` is when its trouble began."""

    spec: KpiSpec
    badge: Badge
    value: str
    limits: str
    since: datetime | None
    read_at: datetime | None
    message: str
    spark: Markup


@require(Role.VIEWER)
def kpis(request: Request) -> Response:
    """The list, those in trouble first."""
    context = context_of(request)
    store, now = context.session.store, context.clock()
    status = sorted(context.session.kpi_status(), key=_trouble)
    lines = {
        spec.name: _spark(spec.name, store.kpi_results(spec.name, now - DAY, limit=2_000))
        for spec, _, result in status[:MOST_LINES]
        if result is not None
    }
    rows = [_row(one, lines.get(one[0].name, Markup(""))) for one in status]
    return render(request, "kpis.html", rows=rows, wrong=sum(_trouble(one)[0] < 0 for one in status))


@require(Role.VIEWER)
def kpi(request: Request) -> Response:
    """One KPI with its limits as a band."""
    context = context_of(request)
    found = named_kpi(request)
    name = found[0].name
    span, now = chosen_span(SPANS, request.query_params.get("span", "")), context.clock()
    results = context.session.store.kpi_results(name, now - span.length, limit=MOST_READINGS)
    path = link(request, "kpi", kpi=name)
    points = _points(found[0], results[::-1], span)
    return render(
        request,
        "kpi.html",
        row=_row(found, Markup("")),
        memory=found[1],
        result=found[2],
        span=span,
        spans=[Option(one.words, with_query(path, span=one.key), one is span) for one in SPANS],
        chart=_chart(found[0], points, span, now) if points else Markup(""),
        heads=("Reading (UTC)", "Value"),
        values=tuple((int(point.middle.timestamp()), _cells(point)) for point in points),
        readings=[(one, BADGES[one.state], _value(one)) for one in results[:MOST_TOLD]],
        statement_kind="procedure" if found[0].statement.procedure else "statement",
        every="on its own schedule" if found[0].cron else f"every {duration_words(found[0].interval.total_seconds())}",
    )


def named_kpi(request: Request) -> KpiStatus:
    """The KPI a path names.

    Raises:
        HTTPException: 404, there is none.
    """
    name = request.path_params["kpi"]
    found = next((one for one in context_of(request).session.kpi_status() if one[0].name == name), None)
    if found is None:
        raise HTTPException(404, f"no KPI of the settings is called {one_line(name, 80)}")
    return found


def _trouble(status: KpiStatus) -> tuple[int, str]:
    """Smaller is worse."""
    spec, memory, result = status
    wrong = _standing(memory, result)
    order = {KpiState.BREACH: -1 - spec.severity.rank, KpiState.ERROR: -1}
    return (order.get(wrong, 0) if wrong else 1, spec.name)


def _standing(memory: KpiMemory, result: KpiResult | None) -> KpiState | None:
    """One that is left alone is as it was before."""
    if result is None:
        return None
    return memory.trouble if result.state is KpiState.LEFT_ALONE else result.state


def _row(status: KpiStatus, spark: Markup) -> KpiRow:
    spec, memory, result = status
    return KpiRow(
        spec,
        BADGES[result.state] if result else NEVER,
        _value(result) if result else "",
        limit_words(spec.limits, result),
        memory.began_at if memory.trouble is not KpiState.OK else None,
        result.started_at if result else None,
        one_line(result.message, 300) if result else "",
        spark,
    )


def _value(result: KpiResult) -> str:
    return number_words(result.value) if result.value is not None else "none"


def limit_words(limits: KpiLimits, result: KpiResult | None) -> str:
    """What it is compared with: `at least 200, at most 900, within 30 % of the 420 that is normal now`."""
    parts = [
        f"{word} {number_words(limit)}"
        for word, limit in (("exactly", limits.expected), ("at least", limits.minimum), ("at most", limits.maximum))
        if limit is not None
    ]
    if limits.deviation_percent is not None:
        usual = f"the {number_words(result.normal)} that is" if result and result.normal is not None else "what is"
        parts.append(f"within {limits.deviation_percent:g} % of {usual} normal at this hour of the week")
    return ", ".join(parts) or "nothing"


def _spark(name: str, results: Sequence[KpiResult]) -> Markup:
    values = [one.value if one.value is not None else math.nan for one in reversed(results)]
    step = max(1, math.ceil(len(values) / MOST_SPARK))
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Markup("")
    # A line of the last day: what matters is the shape, so it begins at the lowest value where none is below 0.
    floor = min(*known, 0.0) if min(known) < 0 else 0.0
    words = f"{name}: from {number_words(min(known))} to {number_words(max(known))} in 24 hours"
    return sparkline([value - floor for value in values[::step]], words)


def _points(spec: KpiSpec, results: Sequence[KpiResult], span: Span) -> list[Point]:
    """Oldest first; means of neighbours where there are many."""
    known = [one for one in results if one.value is not None]
    width = max(spec.interval, span.length / MOST_POINTS)
    if len(known) <= MOST_POINTS:
        return [_point([one], width) for one in known]
    bins: dict[int, list[KpiResult]] = {}
    for one in known:
        bins.setdefault(int(one.started_at.timestamp() // width.total_seconds()), []).append(one)
    return [_point(found, width) for _, found in sorted(bins.items())]


def _point(found: Sequence[KpiResult], width: timedelta) -> Point:
    values = [one.value for one in found if one.value is not None]
    is_bad = any(one.state is KpiState.BREACH for one in found)
    return Point(found[0].started_at, found[0].started_at + width, sum(values) / len(values), is_bad)


def _chart(spec: KpiSpec, points: Sequence[Point], span: Span, now: datetime) -> Markup:
    values = [point.value for point in points]
    limits = spec.limits
    # One limit alone has no other end; its band goes as far as the values do.
    low = limits.minimum if limits.minimum is not None else min(*values, 0.0) if limits.maximum is not None else None
    high = limits.maximum if limits.maximum is not None else max(values) if limits.minimum is not None else None
    band = (low, high) if low is not None and high is not None and high > low else None
    chart = HistoryChart(
        title=f"{spec.name} over {span.words}",
        description=f"From {number_words(min(values))} to {number_words(max(values))}; limits: "
        f"{limit_words(limits, None)}.",
        unit=spec.name,
        words=number_words,
        start=now - span.length,
        end=now,
        points=points,
        band=band,
        normal=limits.expected,
        longest_gap=max(3 * spec.interval, 3 * span.length / MOST_POINTS),
    )
    return history_chart(chart)


def _cells(point: Point) -> tuple[str, ...]:
    return short_moment(point.start), number_words(point.value)
