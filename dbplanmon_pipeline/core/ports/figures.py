"""What health and metrics read from our store: how the fleet stands now, and what was written lately."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.model import CollectionStatus, DatabaseRef
from dbplanmon_pipeline.core.ports.collection import JobState


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """How the collection of one database stands.

    Attributes:
        ref: which database.
        logged_at: start of its newest outcome, aware UTC; None before the first.
        last_success_at: moment of its last reading, aware UTC; None before the first.
        status, error_class, lag_seconds, duration_ms, cost_ms: of its newest outcome, as in `CollectionOutcome`.
    """

    ref: DatabaseRef
    logged_at: datetime | None
    last_success_at: datetime | None
    status: CollectionStatus | None = None
    error_class: str = ""
    lag_seconds: float | None = None
    duration_ms: float = 0.0
    cost_ms: float | None = None


@dataclass(frozen=True, slots=True)
class LoggedReading:
    """One row of the collection log as counters need it."""

    ref: DatabaseRef
    started_at: datetime
    recorded_at: datetime
    status: CollectionStatus
    error_class: str
    rows: int
    duration_ms: float


@dataclass(frozen=True, slots=True)
class LoggedIncident:
    """An incident that was opened or reopened, as the audit tells it; `instance` is empty once it is gone."""

    audit_id: int
    at: datetime
    instance: str
    label: str
    severity: str


@dataclass(frozen=True, slots=True)
class LoggedDelivery:
    """One attempt to send one alert."""

    alert_id: str
    at: datetime
    channel: str
    succeeded: bool


@dataclass(frozen=True, slots=True)
class LoggedKpi:
    """One reading of one KPI."""

    name: str
    at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What is in the store now.

    Attributes:
        open_incidents: by severity.
        alerts: by channel and state, those that wait and those that were given up.
        overdue_since: by channel, when the oldest alert was queued that is due and not sent; aware UTC.
        given_up_lately: alerts that were given up within the last day.
        jobs: every memory of a job or breaker.
        store_bytes: size of the database; archive_bytes: of the sealed days.
    """

    open_incidents: Mapping[str, int]
    alerts: Mapping[tuple[str, str], int]
    overdue_since: Mapping[str, datetime]
    given_up_lately: int
    jobs: Sequence[JobState]
    store_bytes: int
    archive_bytes: int


class FigureStore(Protocol):
    """What health and metrics need."""

    def database_states(self) -> list[DatabaseState]:
        """Every database ever read, by name."""
        ...

    def named_shares(self, since: datetime) -> dict[DatabaseRef, float]:
        """Share of the time of each database since then that belongs to statements kept by name, 0..1."""
        ...

    def newest_baseline(self, as_of: datetime, layout: str) -> tuple[datetime, int] | None:
        """Moment of the newest baseline not younger than `as_of`, and of how many statements it is."""
        ...

    def busiest_databases(self, limit: int) -> list[DatabaseRef]:
        """Databases by the time they spent on statements in the last hours, the busiest first."""
        ...

    def store_figures(self, now: datetime) -> StoreFigures:
        """What is in the store now."""
        ...

    def logged_batches(self, since: datetime) -> dict[datetime, int]:
        """How many readings were logged at each moment since then."""
        ...

    def logged_readings(self, moments: Sequence[datetime]) -> list[LoggedReading]:
        """Readings logged at these moments."""
        ...

    def logged_incidents(self, since: datetime) -> list[LoggedIncident]:
        """Incidents that were opened or reopened since then."""
        ...

    def logged_deliveries(self, since: datetime) -> list[LoggedDelivery]:
        """Attempts to send alerts since then."""
        ...

    def logged_kpis(self, since: datetime) -> list[LoggedKpi]:
        """Readings of KPIs that began since then."""
        ...
