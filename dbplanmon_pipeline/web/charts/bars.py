"""Shares as horizontal bars: how much of the longest one each row is."""

import math

from markupsafe import Markup

from dbplanmon_pipeline.web.charts.svg import element

WIDTH, HEIGHT = 120, 8


def bar(value: float, largest: float, tone: str = "accent") -> Markup:
    """A bar within its track; the figure stands beside it, so that a screen reader needs no other words.

    Args:
        value: an unknown one gives an empty track.
        largest: the value of a full bar, in the same unit.
        tone: colour class.
    """
    share = value / largest if largest > 0 and math.isfinite(value) else 0.0
    filled = min(max(share, 0.0), 1.0) * WIDTH
    return element(
        "svg",
        element("rect", width=WIDTH, height=HEIGHT, rx=2, class_="bar-track"),
        element("rect", width=max(filled, 2.0 if share > 0 else 0.0), height=HEIGHT, rx=2, class_=f"bar-fill {tone}"),
        class_="bar",
        view_box=f"0 0 {WIDTH} {HEIGHT}",
        width=WIDTH,
        height=HEIGHT,
        aria_hidden="true",
        focusable="false",
    )
