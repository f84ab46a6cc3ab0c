"""Which plan ran when: a lane for each plan, on the time axis of the chart above it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from dbplanmon_pipeline.web.charts.scales import TimeScale
from dbplanmon_pipeline.web.charts.svg import element

WIDTH, LEFT, RIGHT = 800, 62, 790
LANE, BAND = 18, 10
TONES = 6
"""So many plans have a colour of their own; the letter of a lane tells them apart as well."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One plan: its letter, what a screen reader says, and the spans in which it ran."""

    letter: str
    title: str
    spans: Sequence[tuple[datetime, datetime]]


def tone(place: int) -> str:
    """Colour class of the plan at a place."""
    return f"plan-tone-{place % TONES}"


def plan_lanes(lanes: Sequence[Lane], start: datetime, end: datetime) -> Markup:
    """The lanes below each other; empty without any."""
    if not lanes:
        return Markup("")
    times = TimeScale(start, end, LEFT, RIGHT)
    height = LANE * len(lanes) + 4
    parts = []
    for place, lane in enumerate(lanes):
        top = place * LANE + 4
        middle = top + BAND / 2
        parts += [
            element("text", lane.letter, x=LEFT - 8, y=middle + 4, class_="chart-label", text_anchor="end"),
            element("line", x1=LEFT, x2=RIGHT, y1=middle, y2=middle, class_="chart-grid"),
        ]
        for first, last in lane.spans:
            x = times(first)
            width = max(times(last) - x, 1.5)
            parts.append(element("rect", x=x, y=top, width=width, height=BAND, rx=2, class_=f"plan-lane {tone(place)}"))
    label = "; ".join(lane.title for lane in lanes)
    return element("svg", *parts, class_="chart lanes", view_box=f"0 0 {WIDTH} {height}", role="img", aria_label=label)


def merged(spans: Sequence[tuple[datetime, datetime]], longest_gap_s: float) -> list[tuple[datetime, datetime]]:
    """Spans in order, those closer than so many seconds as one."""
    found: list[tuple[datetime, datetime]] = []
    for first, last in spans:
        if found and (first - found[-1][1]).total_seconds() <= longest_gap_s:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found
