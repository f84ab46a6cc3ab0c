"""Sum up one UTC day from what the store holds."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from dbplanmon_pipeline.core.hotspots import hotspots
from dbplanmon_pipeline.core.incidents import Incident
from dbplanmon_pipeline.core.intervals import IntervalFrame
from dbplanmon_pipeline.core.model import CollectionOutcome, DatabaseRef
from dbplanmon_pipeline.core.ports import PlanChange
from dbplanmon_pipeline.core.summary import DaySummary, summarise_day

RANKED_BY = "elapsed_time_us"


class SummaryStore(Protocol):
    """What a summary reads."""

    def open_incidents(self) -> list[Incident]:
        """Incidents open now."""
        ...

    def recent_incidents(self, since: datetime) -> list[Incident]:
        """Incidents closed since then."""
        ...

    def plan_changes(self, since: datetime) -> list[PlanChange]:
        """Plan changes since then."""
        ...

    def collection_log(self, since: datetime) -> list[CollectionOutcome]:
        """Outcomes since then."""
        ...

    def interval_frame(
        self,
        start: datetime,
        end: datetime,
        *,
        columns: Sequence[str] | None = None,
        databases: Sequence[DatabaseRef] | None = None,
        query_hash: int | None = None,
    ) -> IntervalFrame:
        """Interval rows."""
        ...


def summarise(store: SummaryStore, day: date, *, top_n: int) -> DaySummary:
    """The summary of one day; repeating it later gives the same page, but for incidents that have closed since."""
    start = datetime.combine(day, time(), UTC)
    end = start + timedelta(days=1)
    ranked = [h for h in hotspots(store.interval_frame(start, end), top_n=top_n) if h.rank_by == RANKED_BY]
    log = [outcome for outcome in store.collection_log(start) if outcome.started_at < end]
    incidents = [*store.open_incidents(), *store.recent_incidents(start)]
    return summarise_day(day, start, incidents, ranked, store.plan_changes(start), log)
