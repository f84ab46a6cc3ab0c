"""What daily work, checks and the command line need from our store, and the store as a whole."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

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
