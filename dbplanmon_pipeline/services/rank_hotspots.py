"""The dearest statements of the last window."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from dbplanmon_pipeline.core.hotspots import HOTSPOT_COLUMNS, hotspots
from dbplanmon_pipeline.core.ports import AnalysisStore, Hotspot
from dbplanmon_pipeline.core.ports.workload import WorkloadStore
from dbplanmon_pipeline.core.workload.changes import WorkloadPolicy
from dbplanmon_pipeline.services.compare_workload import NO_WORKLOAD, Workload, compare_workload, dearest_of, totals_of


@dataclass(frozen=True, slots=True)
class HotspotReport:
    """Window (aware UTC), its hotspots, and what is more than usual; None and empty in an empty store."""

    window_start: datetime | None
    window_end: datetime | None
    hotspots: tuple[Hotspot, ...]
    workload: Workload = NO_WORKLOAD


class HotspotStore(AnalysisStore, WorkloadStore, Protocol):
    """What ranking needs."""


def rank_hotspots(
    store: HotspotStore,
    *,
    window: timedelta,
    top_n: int,
    as_of: datetime | None = None,
    workload: WorkloadPolicy | None = None,
) -> HotspotReport:
    """Rank the statements of the `window` that ends with the newest interval, and keep the result.

    With a policy for the workload the window is compared with those of earlier days as well.
    """
    end = as_of or store.latest_interval_end()
    if end is None:
        return HotspotReport(None, None, ())
    frame = store.work_by_statement(end - window, end, HOTSPOT_COLUMNS)
    found = hotspots(frame, top_n=top_n)
    store.save_hotspots(end - window, end, found)
    if workload is None:
        return HotspotReport(end - window, end, tuple(found))
    totals = [*totals_of(found), *dearest_of(frame)]
    return HotspotReport(end - window, end, tuple(found), compare_workload(store, totals, end - window, end, workload))
