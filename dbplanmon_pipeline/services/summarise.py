"""Sum up one UTC day from what the store holds."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from dbplanmon_pipeline.core.hotspots import HOTSPOT_COLUMNS, hotspots
from dbplanmon_pipeline.core.ports import AnalysisStore, PlanChange, UpkeepStore
from dbplanmon_pipeline.core.summary import DaySummary, summarise_day

RANKED_BY = "elapsed_time_us"


class SummaryStore(AnalysisStore, UpkeepStore, Protocol):
    """What a summary reads."""

    def plan_changes(self, since: datetime) -> list[PlanChange]:
        """Plan changes since then."""
        ...


def summarise(store: SummaryStore, day: date, *, top_n: int) -> DaySummary:
    """The summary of one day; repeating it later gives the same page, but for incidents that have closed since."""
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    frame = store.interval_frame(start, end, columns=HOTSPOT_COLUMNS)
    ranked = [h for h in hotspots(frame, top_n=top_n) if h.rank_by == RANKED_BY]
    log = [outcome for outcome in store.collection_log(start) if outcome.started_at < end]
    incidents = [*store.open_incidents(), *store.recent_incidents(start)]
    return summarise_day(day, start, incidents, ranked, store.plan_changes(start), log)
