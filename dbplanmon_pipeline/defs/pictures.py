"""Pictures of incidents, drawn only when one opens or changes: a picture in every event would fill gigabytes."""

import base64
import io
from datetime import timedelta

import dagster as dg
import numpy as np

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentEvent
from dbplanmon_pipeline.core.model import DatabaseRef, hash_text
from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.ports import AnalysisStore
from dbplanmon_pipeline.services.analyse import AnalysisReport

DRAWN = (IncidentEvent.OPENED, IncidentEvent.REOPENED, IncidentEvent.ESCALATED)
MOST_PICTURES = 3
BEFORE = 12
"""How many times the length of the incident is shown before it, at the least half an hour."""


def incident_pictures(store: AnalysisStore, report: AnalysisReport) -> dict[str, dg.MarkdownMetadataValue]:
    """Before and after of the dearest incidents that opened or got worse in this analysis, by metadata name."""
    news = [c.incident for c in report.changes if c.event in DRAWN and c.incident.query_hash]
    news.sort(key=lambda incident: -incident.extra_seconds_per_hour)
    return {f"incident {i.incident_id}": dg.MetadataValue.md(_picture(store, i)) for i in news[:MOST_PICTURES]}


def _picture(store: AnalysisStore, incident: Incident) -> str:
    ref = DatabaseRef(incident.instance, incident.database)
    bad = incident.updated_at - incident.began_at
    start = incident.began_at - max(bad * BEFORE, timedelta(minutes=30))
    metric = "elapsed_time_us" if incident.failing else incident.metric
    columns = (metric, "execution_count")
    frame = store.interval_frame(
        start, incident.updated_at, columns=columns, databases=[ref], query_hash=incident.query_hash
    )
    rows = frame.rows[frame.rows["execution_count"] > 0]
    cost_ms = (rows[metric] / rows["execution_count"] / 1000).to_numpy()
    ends = (rows["interval_end_us"].to_numpy() - epoch_us(incident.began_at)) / 60e6
    title = f"{ref}  {hash_text(incident.query_hash)}  x{incident.effect_ratio:.1f}"
    return f"![{title}](data:image/png;base64,{_draw(ends, cost_ms, incident, title)})"


def _draw(minutes: np.ndarray, cost_ms: np.ndarray, incident: Incident, title: str) -> str:
    # Importing matplotlib costs seconds; most runs draw nothing.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    figure = Figure(figsize=(7, 2.6), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    bad = minutes > 0
    axes.plot(minutes[~bad], cost_ms[~bad], ".", color="#4477aa", label="before")
    axes.plot(minutes[bad], cost_ms[bad], ".", color="#cc3311", label="since")
    axes.axhline(incident.baseline_us / 1000, color="#4477aa", linewidth=1, linestyle="--", label="normal")
    axes.axvline(0, color="#888888", linewidth=1)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("minutes from the start of the incident")
    axes.set_ylabel("ms per execution")
    # Dollar signs in the name of a database are no formula.
    axes.set_title(title, fontsize=9, loc="left", family="monospace", parse_math=False)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    buffer = io.BytesIO()
    figure.set_canvas(FigureCanvasAgg(figure))
    figure.savefig(buffer, format="png")
    return base64.b64encode(buffer.getvalue()).decode()
