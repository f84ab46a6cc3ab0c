"""Cost over time: a line with the normal band below it, the span of an incident, and marks where a plan changed."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from markupsafe import Markup

from dbplanmon_pipeline.web.charts.scales import TimeScale, ValueScale, value_scale
from dbplanmon_pipeline.web.charts.svg import element, number

WIDTH, HEIGHT = 800, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 790, 34, 258
_MOST_DOTS = 160
_MARK_ROOM = 96
"""The word of a mark takes so much [px]; it stands where no other mark is."""

_LABEL_HALF = 24
"""Half of the longest word below the axis [px]."""


@dataclass(frozen=True, slots=True)
class Point:
    """One value of an interval; `is_bad` within the incident."""

    start: datetime
    end: datetime
    value: float
    is_bad: bool = False

    @property
    def middle(self) -> datetime:
        """Where it is drawn."""
        return self.start + (self.end - self.start) / 2


@dataclass(frozen=True, slots=True)
class HistoryChart:
    """What a chart of one value over time shows.

    Attributes:
        title / description: for screen readers.
        unit: what the values are, above the axis.
        words: how a value reads.
        points: oldest first.
        band: from and to what is normal; None where nobody knows.
        normal: the middle of it.
        span: when the incident was, None for none.
        marks: moments with a word, such as changes of plan.
        longest_gap: two points farther apart are not joined.
    """

    title: str
    description: str
    unit: str
    words: Callable[[float], str]
    start: datetime
    end: datetime
    points: Sequence[Point]
    band: tuple[float, float] | None = None
    normal: float | None = None
    span: tuple[datetime, datetime] | None = None
    marks: Sequence[tuple[datetime, str]] = field(default_factory=tuple)
    longest_gap: timedelta = timedelta(minutes=20)


def history_chart(chart: HistoryChart, name: str = "history") -> Markup:
    """The picture; `name` makes the ids of its title and description unique on a page."""
    known = [point for point in chart.points if math.isfinite(point.value)]
    limits = [point.value for point in known] + list(chart.band or ())
    times = TimeScale(chart.start, chart.end, _LEFT, _RIGHT)
    values = value_scale(limits, _BOTTOM, _TOP)
    parts = [
        element("title", chart.title, id=f"{name}-title"),
        element("desc", chart.description, id=f"{name}-desc"),
        *_axes(chart, times, values),
        *_normal(chart, values),
        *_span(chart, times),
        *_marks(chart, times),
        *_lines(known, times, values, chart.longest_gap),
        element("line", x1=_LEFT, x2=_LEFT, y1=_TOP, y2=_BOTTOM, class_="chart-cursor", visibility="hidden"),
    ]
    return element(
        "svg",
        *parts,
        class_="chart",
        view_box=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        data_left=_LEFT,
        data_right=_RIGHT,
        data_start=f"{chart.start.timestamp():.0f}",
        data_end=f"{chart.end.timestamp():.0f}",
    )


def _axes(chart: HistoryChart, times: TimeScale, values: ValueScale) -> Iterator[Markup]:
    for value in values.ticks():
        y = values(value)
        yield element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="chart-grid")
        yield element("text", chart.words(value), x=_LEFT - 8, y=y + 4, class_="chart-label", text_anchor="end")
    for moment, label in times.ticks():
        x = times(moment)
        yield element("line", x1=x, x2=x, y1=_BOTTOM, y2=_BOTTOM + 5, class_="chart-tick")
        is_last = x > WIDTH - _LABEL_HALF
        at, anchor = (WIDTH, "end") if is_last else (x, "middle")
        yield element("text", label, x=at, y=_BOTTOM + 20, class_="chart-label", text_anchor=anchor)
    yield element("line", x1=_LEFT, x2=_RIGHT, y1=_BOTTOM, y2=_BOTTOM, class_="chart-axis")
    scale = ", logarithmic" if values.logarithmic else ""
    yield element("text", f"{chart.unit}{scale}", x=4, y=14, class_="chart-unit")
    yield element("text", "UTC", x=_RIGHT, y=_BOTTOM + 36, class_="chart-unit", text_anchor="end")


def _normal(chart: HistoryChart, values: ValueScale) -> Iterator[Markup]:
    width = _RIGHT - _LEFT
    if chart.band is not None:
        low, high = (values(value) for value in chart.band)
        yield element("rect", x=_LEFT, y=high, width=width, height=max(low - high, 1.5), class_="chart-band")
    if chart.normal is not None:
        y = values(chart.normal)
        yield element("line", x1=_LEFT, x2=_RIGHT, y1=y, y2=y, class_="chart-normal")


def _span(chart: HistoryChart, times: TimeScale) -> Iterator[Markup]:
    if chart.span is None:
        return
    first, last = (times(moment) for moment in chart.span)
    width = max(last - first, 2.0)
    yield element("rect", x=first, y=_TOP, width=width, height=_BOTTOM - _TOP, class_="chart-span")
    yield element("line", x1=first, x2=first, y1=_TOP, y2=_BOTTOM, class_="chart-span-edge")


def _marks(chart: HistoryChart, times: TimeScale) -> Iterator[Markup]:
    shown = sorted((times(moment), word) for moment, word in chart.marks if chart.start <= moment <= chart.end)
    places = [-math.inf, *(x for x, _ in shown), math.inf]
    for place, (x, word) in enumerate(shown, start=1):
        yield element("line", x1=x, x2=x, y1=_TOP - 4, y2=_BOTTOM, class_="chart-mark")
        yield element("path", d=f"M{number(x)} {_TOP - 2}l-4 -6h8z", class_="chart-mark-head")
        before, after = x - places[place - 1], places[place + 1] - x
        if after >= _MARK_ROOM and x <= _RIGHT - _MARK_ROOM:
            yield element("text", word, x=x + 8, y=_TOP - 4, class_="chart-mark-label", text_anchor="start")
        # The mark before may have its word in the first half of the room between them.
        elif before >= 2 * _MARK_ROOM and x >= _LEFT + _MARK_ROOM:
            yield element("text", word, x=x - 8, y=_TOP - 4, class_="chart-mark-label", text_anchor="end")


def _lines(points: Sequence[Point], times: TimeScale, values: ValueScale, longest_gap: timedelta) -> Iterator[Markup]:
    for tone, run in _runs(points, longest_gap):
        places = [(times(point.middle), values(point.value)) for point in run]
        if len(places) > 1:
            steps = "L".join(f"{number(x)} {number(y)}" for x, y in places)
            yield element("path", d=f"M{steps}", class_=f"chart-line {tone}")
    if len(points) <= _MOST_DOTS:
        for point in points:
            tone = "bad" if point.is_bad else "good"
            yield element("circle", cx=times(point.middle), cy=values(point.value), r=2.2, class_=f"chart-dot {tone}")


def _runs(points: Sequence[Point], longest_gap: timedelta) -> Iterator[tuple[str, list[Point]]]:
    """Stretches without a gap; one that turns bad begins with the last good point, so that the line does not break."""
    run: list[Point] = []
    for point in points:
        if run and point.start - run[-1].end > longest_gap:
            yield _tone(run), run
            run = []
        elif run and point.is_bad != run[-1].is_bad:
            yield _tone(run), run
            run = [run[-1]]
        run.append(point)
    if run:
        yield _tone(run), run


def _tone(run: Sequence[Point]) -> str:
    return "bad" if run[-1].is_bad else "good"
