"""Hold the newest work of one statement against that of the same hours of earlier days."""

from datetime import datetime, timedelta
from typing import Protocol

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports.intervals import IntervalStore
from dbplanmon_pipeline.core.ports.workload import WorkloadStore
from dbplanmon_pipeline.core.workload.changes import WorkloadChange, WorkloadPolicy
from dbplanmon_pipeline.services.compare_workload import compare_workload, dearest_of


class StatementWorkloadStore(WorkloadStore, IntervalStore, Protocol):
    """What it reads."""

    def latest_interval_end(self) -> datetime | None:
        """End of the newest recorded interval, None in an empty store."""
        ...


def statement_growth(
    store: StatementWorkloadStore, ref: DatabaseRef, query_hash: int, *, window: timedelta, policy: WorkloadPolicy
) -> WorkloadChange | None:
    """Why it costs more than usual in the window that ends with the newest reading; None where it does not."""
    end = store.latest_interval_end()
    if end is None:
        return None
    columns = ("execution_count", "elapsed_time_us")
    frame = store.interval_frame(end - window, end, columns=columns, databases=[ref], query_hash=query_hash)
    if frame.rows.empty:
        return None
    return compare_workload(store, dearest_of(frame), end - window, end, policy).of(ref, query_hash)
