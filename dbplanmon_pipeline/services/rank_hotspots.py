"""The dearest statements of the last window."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from dbplanmon_pipeline.core.hotspots import HOTSPOT_COLUMNS, hotspots
from dbplanmon_pipeline.core.ports import AnalysisStore, Hotspot


@dataclass(frozen=True, slots=True)
class HotspotReport:
    """Window (aware UTC) and its hotspots; both None and empty in an empty store."""

    window_start: datetime | None
    window_end: datetime | None
    hotspots: tuple[Hotspot, ...]


def rank_hotspots(
    store: AnalysisStore, *, window: timedelta, top_n: int, as_of: datetime | None = None
) -> HotspotReport:
    """Rank the statements of the `window` that ends with the newest interval, and keep the result."""
    end = as_of or store.latest_interval_end()
    if end is None:
        return HotspotReport(None, None, ())
    found = hotspots(store.interval_frame(end - window, end, columns=HOTSPOT_COLUMNS), top_n=top_n)
    store.save_hotspots(end - window, end, found)
    return HotspotReport(end - window, end, tuple(found))
