"""What a daily or weekly summary reads from our store, already added up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import DatabaseRef, StatementText
from dbplanmon_pipeline.core.ports.analysis import PlanChange
from dbplanmon_pipeline.core.ports.workload import WorkloadStore


@dataclass(frozen=True, slots=True)
class DayWork:
    """Work of one UTC day: one entry per hour, database and statement.

    Attributes:
        hours: of the day, 0 to 23; what began on the day before counts in hour 0.
        database_ids / query_hashes: int64.
        totals: float64 of shape (entries, 4): executions, elapsed [us], CPU [us], logical reads [pages]; NaN unknown.
        databases: name of each id.
    """

    hours: NDArray[np.int64]
    database_ids: NDArray[np.int64]
    query_hashes: NDArray[np.int64]
    totals: NDArray[np.float64]
    databases: Mapping[int, DatabaseRef]


@dataclass(frozen=True, slots=True)
class Watch:
    """How one database was read within a span.

    Attributes:
        good / failed: readings by how they ended; skipped ones are neither.
        gap_seconds: time no reading covers.
        cost_ms: what the target spent on our statements, as far as it tells.
        duration_ms: wall time on our side.
    """

    ref: DatabaseRef
    readings: int
    good: int
    failed: int
    gaps: int
    gap_seconds: float
    cost_ms: float
    duration_ms: float


@dataclass(frozen=True, slots=True)
class KpiSpan:
    """Readings of one KPI within a span, and how the last one ended; `value` is None where there was none."""

    name: str
    readings: int
    breaches: int
    errors: int
    state: str
    value: float | None
    message: str


class SummaryStore(WorkloadStore, Protocol):
    """What `summarise` needs; spans are half open."""

    def latest_interval_end(self) -> datetime | None:
        """End of the newest recorded interval, None in an empty store."""
        ...

    def day_work(self, day: date) -> DayWork:
        """Work of one UTC day; of a sealed day from its hourly totals."""
        ...

    def watches(self, start: datetime, end: datetime) -> list[Watch]:
        """One per database with an entry in the collection log, by name."""
        ...

    def kpi_spans(self, start: datetime, end: datetime) -> list[KpiSpan]:
        """One per KPI that was read, by name."""
        ...

    def alert_totals(self, start: datetime, end: datetime) -> dict[str, int]:
        """Alerts that were created in the span, summaries aside, by what became of them."""
        ...

    def open_incidents(self) -> list[Incident]:
        """Incidents in the states new and acknowledged."""
        ...

    def recent_incidents(self, since: datetime) -> list[Incident]:
        """Incidents closed since then."""
        ...

    def plan_changes(self, since: datetime) -> list[PlanChange]:
        """Changes since then, newest first."""
        ...

    def statement_texts(self, keys: Sequence[tuple[DatabaseRef, int]]) -> dict[tuple[DatabaseRef, int], StatementText]:
        """Redacted texts of those that are known."""
        ...
