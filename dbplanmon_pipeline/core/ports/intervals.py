"""Reading recorded intervals, as every service that judges, explains or compares them does."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame


class IntervalStore(Protocol):
    """Rows of intervals out of our store."""

    def interval_frame(
        self,
        start: datetime,
        end: datetime,
        *,
        columns: Sequence[str] | None = None,
        databases: Sequence[DatabaseRef] | None = None,
        query_hash: int | None = None,
    ) -> IntervalFrame:
        """Rows whose interval ended in (start, end], hot and sealed days alike; key columns are always there."""
        ...

    def work_by_statement(
        self,
        start: datetime,
        end: datetime,
        columns: Sequence[str],
        *,
        databases: Sequence[DatabaseRef] | None = None,
    ) -> IntervalFrame:
        """The same rows added up: `database_id`, `query_hash` and the sums of these counters, one row per statement."""
        ...
