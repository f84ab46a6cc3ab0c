"""What analysing needs from our store: intervals, baselines, incidents, plans and facts."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.incidents.incident import Incident, IncidentChange
from dbplanmon_pipeline.core.model import CapturedPlan, DatabaseRef, StatementText
from dbplanmon_pipeline.core.ports.collection import JobState
from dbplanmon_pipeline.core.ports.intervals import IntervalStore
from dbplanmon_pipeline.core.verdict.model import BaselineSet


@dataclass(frozen=True, slots=True)
class PlanChange:
    """A statement runs with another plan than before, since `changed_at` (start of the interval, aware UTC)."""

    ref: DatabaseRef
    query_hash: int
    changed_at: datetime
    plan_hash: int
    previous_plan_hash: int
    summary: str = ""


@dataclass(frozen=True, slots=True)
class FactChange:
    """A fact of a database that changed: seen at `seen_at` (aware UTC) with another value than before."""

    ref: DatabaseRef
    name: str
    seen_at: datetime
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Hotspot:
    """One of the dearest statements of a window; totals over the window, shares of all recorded work 0..1.

    `rank_by` is `elapsed_time_us`, `worker_time_us`, `logical_reads_pages` or `combined`.
    """

    ref: DatabaseRef
    query_hash: int
    rank_by: str
    rank: int
    execution_count: float
    elapsed_time_us: float
    worker_time_us: float
    logical_reads_pages: float
    share: float


class AnalysisStore(IntervalStore, Protocol):
    """What `analyse` and `rebuild_baselines` need."""

    def known_databases(self) -> list[DatabaseRef]:
        """Every database ever read, by name."""
        ...

    def latest_interval_end(self) -> datetime | None:
        """End of the newest recorded interval, None in an empty store."""
        ...

    def save_baselines(self, baselines: BaselineSet) -> int:
        """Add a version (or the same one again); older versions stay. Returns the rows written."""
        ...

    def baselines(self, as_of: datetime, layout: str) -> BaselineSet:
        """Per statement the newest version not younger than `as_of` in this layout; empty when there is none."""
        ...

    def open_incidents(self) -> list[Incident]:
        """Incidents in the states new and acknowledged."""
        ...

    def recent_incidents(self, since: datetime) -> list[Incident]:
        """Incidents closed since then, for reopening and for excluded spans."""
        ...

    def save_incident_changes(self, changes: Sequence[IncidentChange]) -> None:
        """Incidents and their audit rows in one transaction; repeating it changes nothing."""
        ...

    def facts(self, ref: DatabaseRef, at: datetime | None = None) -> dict[str, str]:
        """Value of every fact of one database, by name, now or as known then; empty for an unknown database."""
        ...

    def fact_changes(self, ref: DatabaseRef, start: datetime, end: datetime) -> list[FactChange]:
        """Facts of one database that changed in [start, end], oldest first; first sights are no changes."""
        ...

    def changes_of_facts(self, names: Collection[str], start: datetime, end: datetime) -> list[FactChange]:
        """The same for every database together, of the facts of these names."""
        ...

    def save_plan_changes(self, changes: Sequence[PlanChange]) -> int:
        """Insert those not yet there; returns how many were new."""
        ...

    def plan(self, plan_hash: int) -> CapturedPlan | None:
        """A stored plan body with its context."""
        ...

    def statement_texts(self, keys: Sequence[tuple[DatabaseRef, int]]) -> dict[tuple[DatabaseRef, int], StatementText]:
        """Redacted texts of those that are known."""
        ...

    def save_hotspots(self, window_start: datetime, window_end: datetime, hotspots: Sequence[Hotspot]) -> None:
        """Replace the hotspots of this window."""
        ...

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name."""
        ...

    def save_job_states(self, states: Sequence[JobState]) -> None:
        """Insert or replace."""
        ...
