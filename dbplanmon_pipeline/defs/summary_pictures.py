"""Pictures of a summary: load, incidents by hour, dearest statements; small PNGs."""

import base64
import io
import warnings
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from dbplanmon_pipeline.core.model import hash_text
from dbplanmon_pipeline.core.plain_words import one_line
from dbplanmon_pipeline.core.summary.period import DaySummary

MOST_BYTES = 100_000
"""A larger picture is left out; usual ones take a tenth of it."""

_BARS = 10
_LABEL = 34
_BLUE, _RED, _GREEN = "#4477aa", "#cc3311", "#228833"
_HOUR = timedelta(hours=1)


def summary_pictures(summary: DaySummary) -> dict[str, str]:
    """PNGs in base64 by the names of `PICTURES`; what has nothing to show is not drawn."""
    drawn = {}
    if any(load.elapsed_seconds for load in summary.loads):
        drawn["load"] = _picture(summary, _draw_load)
    if summary.opened or summary.closed:
        drawn["incidents"] = _picture(summary, _draw_incidents)
    if summary.hotspots:
        drawn["statements"] = _picture(summary, _draw_statements)
    return {name: base64.b64encode(png).decode("ascii") for name, png in drawn.items() if len(png) <= MOST_BYTES}


def _picture(summary: DaySummary, draw: Callable[[Any, DaySummary], None]) -> bytes:
    # Importing matplotlib costs seconds; most runs draw nothing.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(7.5, 2.4), dpi=80, layout="constrained")
    axes = figure.add_subplot()
    draw(axes, summary)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    buffer = io.BytesIO()
    figure.set_canvas(FigureCanvasAgg(figure))
    with warnings.catch_warnings():
        # A letter the font lacks becomes a box; that is no reason to complain every day.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_load(axes: Any, summary: DaySummary) -> None:
    axes.bar(range(len(summary.loads)), [load.elapsed_seconds for load in summary.loads], color=_BLUE)
    axes.set_ylabel("seconds", fontsize=8)
    _name_hours(axes, summary)


def _draw_incidents(axes: Any, summary: DaySummary) -> None:
    opened = _by_hour(summary, [incident.opened_at for incident in summary.opened])
    closed = _by_hour(summary, [incident.closed_at for incident in summary.closed if incident.closed_at])
    axes.bar(range(len(opened)), opened, color=_RED, label="opened")
    axes.bar(range(len(closed)), -closed, color=_GREEN, label="closed")
    axes.axhline(0, color="#888888", linewidth=1)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.yaxis.set_major_formatter(lambda value, _position: f"{abs(value):g}")
    axes.legend(fontsize=8, frameon=False)
    _name_hours(axes, summary)


def _by_hour(summary: DaySummary, moments: list[datetime]) -> np.ndarray:
    hours = [(moment - summary.start) // _HOUR for moment in moments]
    return np.bincount(np.array(hours, np.int64), minlength=summary.days * 24)


def _draw_statements(axes: Any, summary: DaySummary) -> None:
    top = summary.hotspots[:_BARS][::-1]
    names = [f"{one_line(h.ref.database, _LABEL)}  {hash_text(h.query_hash)[:8]}" for h in top]
    axes.barh(range(len(top)), [h.elapsed_time_us / 1e6 for h in top], color=_BLUE)
    axes.set_yticks(range(len(top)))
    # Dollar signs in the name of a database are no formula.
    axes.set_yticklabels(names, parse_math=False, fontsize=7)
    axes.set_xlabel("seconds", fontsize=8)


def _name_hours(axes: Any, summary: DaySummary) -> None:
    hours = summary.days * 24
    axes.set_xlim(-0.5, hours - 0.5)
    ticks = range(0, hours, 3 if summary.days == 1 else 24)
    shape = "%H:%M" if summary.days == 1 else "%a %d"
    axes.set_xticks(list(ticks), [f"{summary.start + number * _HOUR:{shape}}" for number in ticks])
