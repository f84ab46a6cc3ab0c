"""A small line of the last hours: its shape, without axes; the words beside it tell the figures."""

import math
from collections.abc import Iterator, Sequence
from functools import cache

from markupsafe import Markup

from dbplanmon_pipeline.web.charts.svg import element

WIDTH, HEIGHT, MARGIN = 112, 28, 2.5


def sparkline(values: Sequence[float], label: str) -> Markup:
    """A line with an area below it; unknown values are gaps, a single one is a dot.

    Args:
        values: at equal distances, NaN unknown.
        label: what a screen reader says instead.
    """
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return Markup("")
    highest = max(known) or 1.0
    columns = _columns(len(values))
    floor = HEIGHT - MARGIN
    parts = []
    for first, last in _runs(values):
        heights = (floor - value / highest * (floor - MARGIN) for value in values[first : last + 1])
        places = [f"{x} {y:.1f}" for x, y in zip(columns[first:], heights, strict=False)]
        line = f"M{'L'.join(places)}"
        if len(places) > 1:
            area = f"{line}V{floor}H{columns[first]}Z"
            parts += [element("path", d=area, class_="spark-area"), element("path", d=line, class_="spark-line")]
    end = max(index for index, value in enumerate(values) if math.isfinite(value))
    x, y = columns[end], floor - values[end] / highest * (floor - MARGIN)
    parts.append(element("circle", cx=x, cy=y, r=2, class_="spark-end"))
    return element(
        "svg",
        *parts,
        class_="spark",
        view_box=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_label=label,
    )


def _runs(values: Sequence[float]) -> Iterator[tuple[int, int]]:
    """First and last index of each stretch of known values."""
    first = None
    for index, value in enumerate([*values, math.nan]):
        if math.isfinite(value):
            first = index if first is None else first
        elif first is not None:
            yield first, index - 1
            first = None


@cache
def _columns(count: int) -> tuple[str, ...]:
    """Coordinates of so many values, as text: they are the same for every line of a fleet."""
    step = (WIDTH - 2 * MARGIN) / max(count - 1, 1)
    return tuple(f"{MARGIN + index * step:.1f}" for index in range(count))
