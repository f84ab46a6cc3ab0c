"""What the use cases need from outside: monitored targets, our own store, and channels.

Adapters in `providers/`, `store/` and `notify/` satisfy these protocols; services take them as arguments.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

from dbplanmon_pipeline.core.counters import CounterReading, IntervalRows
from dbplanmon_pipeline.core.incidents import Incident, IncidentChange
from dbplanmon_pipeline.core.intervals import IntervalFrame
from dbplanmon_pipeline.core.model import (
    Capabilities,
    CapturedPlan,
    CollectionOutcome,
    DatabaseRef,
    Engine,
    StatementText,
)
from dbplanmon_pipeline.core.verdict.model import BaselineSet

Clock = Callable[[], datetime]
"""Returns the present moment, aware UTC."""


# ---------------------------------------------------------------- monitored targets


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one database may take, and whether somebody asked to stop.

    Attributes:
        deadline: on the scale of `monotonic` [seconds].
        monotonic: the clock of the deadline.
        cancelled: true as soon as the run was asked to stop.
    """

    deadline: float
    monotonic: Callable[[], float]
    cancelled: Callable[[], bool] = lambda: False

    def remaining(self) -> float:
        """Seconds left, 0 when spent or cancelled."""
        return 0.0 if self.cancelled() else max(0.0, self.deadline - self.monotonic())


@dataclass(frozen=True, slots=True)
class StatementKey:
    """How a provider finds a statement or plan again: our hashes and its own counter key."""

    query_hash: int
    plan_hash: int
    counter_key: str


class DatabaseReader(Protocol):
    """One open connection to one database; every method may raise a `ProviderError`."""

    @property
    def cost_ms(self) -> float | None:
        """Time the target spent on our statements so far, where it tells."""
        ...

    def capabilities(self) -> Capabilities:
        """Version, features and rights, each missing one with its remedy."""
        ...

    def read_counters(self) -> CounterReading:
        """All counters of the database, our own statements left out."""
        ...

    def read_texts(self, statements: Sequence[StatementKey]) -> list[StatementText]:
        """Texts, redacted; statements the target has forgotten are left out."""
        ...

    def read_plans(self, statements: Sequence[StatementKey]) -> list[CapturedPlan]:
        """One answer per statement while the budget lasts; a failure is an answer with a reason."""
        ...


class Provider(Protocol):
    """One monitored instance; safe to use from several threads, one reader per thread."""

    @property
    def engine(self) -> Engine:
        """Kind of server."""
        ...

    def databases(self) -> list[str]:
        """Databases the settings name, or those discovery finds."""
        ...

    def open(self, database: str, budget: Budget) -> AbstractContextManager[DatabaseReader]:
        """Connect to one database; the connection is closed at the end of the block, whatever happens."""
        ...

    def cancel(self) -> None:
        """Break every statement that runs now, from any thread; must return within a second."""
        ...

    def close(self) -> None:
        """Give back everything that is held."""
        ...


# ---------------------------------------------------------------- our store: collection


@dataclass(frozen=True, slots=True)
class KnownStatement:
    """What the store knows of one statement: its plan at the last look, and when that was (aware UTC)."""

    plan_hash: int
    plan_checked_at: datetime | None
    has_text: bool


@dataclass(frozen=True, slots=True)
class CaptureState:
    """What the last collection of one database left behind; `previous` is None before the first reading."""

    previous: CounterReading | None
    statements: Mapping[int, KnownStatement]
    plans: frozenset[int]


@dataclass(frozen=True, slots=True)
class CollectedDatabase:
    """Everything one reading of one database adds to the store, in one transaction.

    Attributes:
        outcome: the row of the collection log.
        reading: becomes the counter state; None when nothing could be read.
        previous_read_at: moment of the state the rows were differenced against; the store refuses the whole
            database when its state has moved on since (another run was faster), so that no work counts twice.
        rows: interval rows; None when there are none.
        texts: statements seen for the first time.
        plans: plans or reasons, as read now.
        facts: what else is true of the database now and may explain a change later, by name (`setting work_mem`);
            the store keeps each value with the moment since when it holds.
    """

    outcome: CollectionOutcome
    engine: Engine
    reading: CounterReading | None = None
    previous_read_at: datetime | None = None
    rows: IntervalRows | None = None
    texts: tuple[StatementText, ...] = ()
    plans: tuple[CapturedPlan, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JobState:
    """Memory of a job or of a circuit breaker (`collection`, `breaker:<instance>`) between runs; times aware UTC."""

    name: str
    consecutive_failures: int = 0
    last_failure_at: datetime | None = None
    last_success_at: datetime | None = None
    next_attempt_at: datetime | None = None
    detail: str = ""


class CollectionStore(Protocol):
    """What `collect` needs."""

    def capture_states(self, refs: Sequence[DatabaseRef]) -> dict[DatabaseRef, CaptureState]:
        """State per database; unknown databases have an empty one."""
        ...

    def record(self, collected: Sequence[CollectedDatabase]) -> frozenset[DatabaseRef]:
        """Store all of them in one transaction; returns the databases refused because their state had moved on."""
        ...

    def job_states(self, names: Iterable[str]) -> dict[str, JobState]:
        """Memory by name; a fresh `JobState` where there is none."""
        ...

    def save_job_states(self, states: Sequence[JobState]) -> None:
        """Insert or replace."""
        ...


# ---------------------------------------------------------------- our store: analysis


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


class AnalysisStore(Protocol):
    """What `analyse` and `rebuild_baselines` need."""

    def latest_interval_end(self) -> datetime | None:
        """End of the newest recorded interval, None in an empty store."""
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
        """Rows whose interval ended in (start, end], hot and sealed days alike; key columns are always there."""
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

    def fact_changes(self, ref: DatabaseRef, start: datetime, end: datetime) -> list[FactChange]:
        """Facts of one database that changed in [start, end], oldest first; first sights are no changes."""
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


# ---------------------------------------------------------------- our store: alerts and suggestions


@dataclass(frozen=True, slots=True)
class Alert:
    """One message about one incident for one channel.

    Attributes:
        alert_id: idempotency key, the same for the same event of the same incident and channel.
        event: of `IncidentEvent`.
        subject / body: plain text, no literal of a statement, no secret.
        facts: the same in fields, for machines; JSON-able.
    """

    alert_id: str
    incident_id: str
    event: str
    channel: str
    severity: str
    created_at: datetime
    subject: str
    body: str
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt to send one alert."""

    alert_id: str
    attempted_at: datetime
    succeeded: bool
    error: str = ""
    next_attempt_at: datetime | None = None


class AlertStore(Protocol):
    """What `process_alerts` needs."""

    def add_alerts(self, alerts: Sequence[Alert]) -> int:
        """Queue those not yet known by id; returns how many were new."""
        ...

    def pending_alerts(self, now: datetime, limit: int) -> list[Alert]:
        """Undelivered alerts that are due, oldest first."""
        ...

    def record_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        """Log attempts; a success or an attempt without a next one ends the alert."""
        ...


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A way back for one incident, never executed by itself.

    `script` and `undo_script` are statements for the monitored database; risk is `low`, `medium` or `high`.
    """

    suggestion_id: str
    incident_id: str
    kind: str
    risk: str
    rationale: str
    script: str
    undo_script: str
    created_at: datetime


class SuggestionStore(Protocol):
    """What `suggest` needs besides `AnalysisStore`."""

    def save_suggestions(self, suggestions: Sequence[Suggestion]) -> int:
        """Insert those not yet known by id; returns how many were new."""
        ...

    def suggestions(self, incident_ids: Sequence[str] | None = None) -> list[Suggestion]:
        """All, or those of some incidents, newest first."""
        ...


# ---------------------------------------------------------------- our store: days, log, upkeep


@dataclass(frozen=True, slots=True)
class SealedDay:
    """A finished UTC day in the archive."""

    day: date
    rows: int
    bytes: int
    location: str


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """State of the store's schema: revision found and expected, and tables that are missing."""

    url: str
    revision: str
    expected: str
    missing_tables: tuple[str, ...] = ()

    @property
    def is_current(self) -> bool:
        """True when nothing is to be done."""
        return self.revision == self.expected and not self.missing_tables


class UpkeepStore(Protocol):
    """What daily assets, checks and the CLI need."""

    def roll_up_day(self, day: date) -> int:
        """Hourly totals of one UTC day, replacing what was there; returns rows written."""
        ...

    def seal_day(self, day: date) -> SealedDay | None:
        """Write a finished UTC day to Parquet and drop its hot rows; None without rows. Repeating changes nothing.

        Raises:
            StoreError: the day has not ended.
        """
        ...

    def collection_log(self, since: datetime) -> list[CollectionOutcome]:
        """Outcomes by start time, oldest first."""
        ...

    def schema_status(self) -> SchemaStatus:
        """What is there; never changes anything."""
        ...

    def upgrade(self) -> SchemaStatus:
        """Bring the schema to this program's version; safe to repeat and to run twice at a time."""
        ...


class Store(CollectionStore, AnalysisStore, AlertStore, SuggestionStore, UpkeepStore, Protocol):
    """All of it: what the composition root builds."""

    def close(self) -> None:
        """Give back connections."""
        ...


# ---------------------------------------------------------------- channels


class Channel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """Unique among the channels of the settings."""
        ...

    def send(self, alert: Alert) -> None:
        """Hand over one alert; `alert.alert_id` is the idempotency key.

        Raises:
            NotificationError: it was not taken; says whether trying again can help.
        """
        ...
