"""Whether the workload grew while a whole instance or database was slow, in one line."""

from datetime import timedelta
from typing import Protocol

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.plain_words import seconds_words
from dbplanmon_pipeline.core.ports.intervals import IntervalStore
from dbplanmon_pipeline.core.ports.workload import WorkloadStore
from dbplanmon_pipeline.core.workload.changes import WorkloadPolicy
from dbplanmon_pipeline.core.workload.words import changes_words
from dbplanmon_pipeline.services.compare_workload import compare_workload, dearest_of

WINDOW = timedelta(hours=1)
"""So much is looked at, up to the last time it was seen to be slow."""

_TELLING_SHARE = 0.05
"""Of the work of the window; growth below it explains nothing."""


class IncidentWorkloadStore(WorkloadStore, IntervalStore, Protocol):
    """What the line needs."""

    def known_databases(self) -> list[DatabaseRef]:
        """Every database ever read, by name."""
        ...


def workload_lines(
    store: IncidentWorkloadStore, incident: Incident, policy: WorkloadPolicy | None = None
) -> tuple[str, ...]:
    """One line where statements ran more often than usual, or were new, while it was slow; else none."""
    end = incident.last_bad_at
    start = end - WINDOW
    databases = [
        ref
        for ref in store.known_databases()
        if ref.instance == incident.instance and incident.database in ("", ref.database)
    ]
    frame = store.interval_frame(start, end, columns=("execution_count", "elapsed_time_us"), databases=databases)
    if frame.rows.empty:
        return ()
    found = compare_workload(store, dearest_of(frame), start, end, policy or WorkloadPolicy())
    grown = [change for change in found.changes if change.is_growth]
    extra = sum(change.extra_seconds_per_hour for change in grown)
    whole = float(frame.rows["elapsed_time_us"].sum()) / 1e6 / max(1.0, (end - start) / timedelta(hours=1))
    if not grown or extra < _TELLING_SHARE * whole:
        return ()
    share = f"{100 * extra / whole:.0f} % of the work"
    return (f"the workload grew by {seconds_words(extra)} per hour, {share}: {changes_words(grown)}",)
