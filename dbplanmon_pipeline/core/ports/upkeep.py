"""What daily work, checks and the command line need from our store, and the store as a whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from dbplanmon_pipeline.core.incidents.incident import Incident
from dbplanmon_pipeline.core.model import CollectionOutcome
from dbplanmon_pipeline.core.ports.alerts import AlertStore, SuggestionStore
from dbplanmon_pipeline.core.ports.analysis import AnalysisStore
from dbplanmon_pipeline.core.ports.collection import CollectionStore


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


@dataclass(frozen=True, slots=True)
class SchemaDowngrade:
    """The way to an older schema, gone or only tried.

    Attributes:
        previous_revision / revision: before and after it; empty for no schema at all.
        tables: rows that are lost with their table, by its name.
        columns: `table.column` of what is lost in tables that stay.
    """

    url: str
    previous_revision: str
    revision: str
    tables: Mapping[str, int]
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpiryMark:
    """Everything of one kind before a moment has expired; it is removed once the grace period is over.

    Attributes:
        subject: kind of rows or days, the name of their table.
        before: limit, aware UTC.
        marked_at: when it was marked, aware UTC.
        rows: how many rows or days were newly marked by it.
    """

    subject: str
    before: datetime
    marked_at: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class UpkeepStep:
    """One step of the upkeep of the store: what was done, how long it took, and what it brought, in words."""

    name: str
    seconds: float
    outcome: str


class RetentionStore(Protocol):
    """What `apply_retention` needs."""

    def expired(self, subject: str, before: datetime) -> int:
        """How many days or rows of a kind are superfluous for this limit; changes nothing."""
        ...

    def expiry_marks(self) -> list[ExpiryMark]:
        """All marks, by kind, oldest limit first."""
        ...

    def mark_expired(self, marks: Sequence[ExpiryMark]) -> None:
        """Add marks; one that is there already stays as it is."""
        ...

    def unmark_expired(self, marks: Sequence[ExpiryMark]) -> None:
        """Take marks away."""
        ...

    def removals(self, subject: str, before: datetime, batch: int = ...) -> Iterator[int]:
        """Remove what is superfluous, one transaction per step; each step tells how many days or rows went."""
        ...

    def sweep_archive(self) -> list[str]:
        """Remove files of the archive that nothing names any more; returns their names."""
        ...

    def open_incidents(self) -> list[Incident]:
        """Incidents in the states new and acknowledged."""
        ...

    def append_audit(self, actor: str, action: str, subject: str, detail: Mapping[str, object]) -> None:
        """Write down who did what to what."""
        ...


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

    def downgrade(self, revision: str, *, dry_run: bool = False) -> SchemaDowngrade:
        """Take the schema back to an older revision, with nobody else in the store; `base` removes all data."""
        ...


class Store(CollectionStore, AnalysisStore, AlertStore, SuggestionStore, UpkeepStore, RetentionStore, Protocol):
    """All of it: what the composition root builds."""

    def close(self) -> None:
        """Give back connections."""
        ...
