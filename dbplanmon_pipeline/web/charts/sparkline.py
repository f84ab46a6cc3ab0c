"""A small line of the last hours: its shape, without axes; the words beside it tell the figures."""

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from dbplanmon_pipeline.web.charts.svg import element, number

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
    step = (WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    floor = HEIGHT - MARGIN

    def place(index: int) -> tuple[float, float]:
        return MARGIN + index * step, floor - values[index] / highest * (floor - MARGIN)

    parts = []
    for first, last in _runs(values):
        points = [place(index) for index in range(first, last + 1)]
        line = _line(points)
        if len(points) > 1:
            area = f"{line}V{number(floor)}H{number(points[0][0])}Z"
            parts += [element("path", d=area, class_="spark-area"), element("path", d=line, class_="spark-line")]
    x, y = place(max(index for index, value in enumerate(values) if math.isfinite(value)))
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


def _line(points: Sequence[tuple[float, float]]) -> str:
    (x, y), *rest = points
    return f"M{number(x)} {number(y)}" + "".join(f"L{number(right)} {number(down)}" for right, down in rest)
