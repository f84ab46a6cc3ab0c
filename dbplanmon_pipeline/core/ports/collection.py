"""What collecting needs from our store: the last readings, a place for the new ones, and a memory between runs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from dbplanmon_pipeline.core.model import CapturedPlan, CollectionOutcome, DatabaseRef, Engine, StatementText
from dbplanmon_pipeline.core.readings.counters import CounterReading, IntervalRows


@dataclass(frozen=True, slots=True)
class KnownStatement:
    """What the store knows of one statement: its plan at the last look, and when that was (aware UTC)."""

    plan_hash: int
    plan_checked_at: datetime | None
    has_text: bool


@dataclass(frozen=True, slots=True)
class CaptureState:
    """What the last collection of one database left behind.

    Attributes:
        previous: the last reading; None before the first one, and where another version of this program stored it in
            a form that cannot be used.
        statements: by query hash.
        plans: hashes of plans that need not be asked for: their body is stored, or lately a reason why there is none.
        read_at: moment of the last reading, also where `previous` cannot be used; aware UTC, None before the first.
        tables: `schema.table` of tables that its plans read, those that changed last first; empty for an engine
            whose plans are read again and again.
        blind: the store could not be asked. `previous` then says at most where to begin, and counters alone are read.
    """

    previous: CounterReading | None
    statements: Mapping[int, KnownStatement]
    plans: frozenset[int]
    read_at: datetime | None = None
    blind: bool = False
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectedDatabase:
    """Everything one reading of one database adds to the store, in one transaction.

    Attributes:
        outcome: the row of the collection log.
        reading: becomes the counter state; None when nothing could be read.
        previous_read_at: moment of the state that the rows go on from; the store refuses the whole database when its
            state has moved on since (another run was faster), so that no work counts twice.
        rows: interval rows; None when there are none.
        texts: statements seen for the first time.
        plans: plans or reasons, as read now.
        facts: what else is true of the database now and may explain a change later, by name (`setting work_mem`);
            the store keeps each value with the moment since when it holds.
        facts_are_whole: the database told all its facts, so that one of a statement (`forced plan ...`) that is not
            among them has ended.
        counters: the reading as it came from the server, for the spool; None when there is none to keep.
    """

    outcome: CollectionOutcome
    engine: Engine
    reading: CounterReading | None = None
    previous_read_at: datetime | None = None
    rows: IntervalRows | None = None
    texts: tuple[StatementText, ...] = ()
    plans: tuple[CapturedPlan, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    facts_are_whole: bool = False
    counters: CounterReading | None = None


class ImportStatus(StrEnum):
    """How the import of one day of history of one database ended."""

    IMPORTED = "imported"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"
    SEALED = "sealed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class ImportedDay:
    """History of one UTC day of one database, replacing what an earlier import of that day brought.

    Attributes:
        rows: intervals that were over before the live collection began; None when nothing could be read.
        texts / plans: of statements and plans seen for the first time.
        status: `imported`, `unavailable` or `failed`; of the last two only the attempt is kept.
        message: why not, one line; empty when all went well.
    """

    ref: DatabaseRef
    day: date
    status: ImportStatus
    rows: IntervalRows | None = None
    texts: tuple[StatementText, ...] = ()
    plans: tuple[CapturedPlan, ...] = ()
    message: str = ""


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


class HistoryStore(Protocol):
    """What `import_history` needs."""

    def capture_states(self, refs: Sequence[DatabaseRef]) -> dict[DatabaseRef, CaptureState]:
        """State per database; unknown databases have an empty one."""
        ...

    def recorded_from(self) -> dict[DatabaseRef, datetime]:
        """Since when the live collection knows everything, for every database it has read; aware UTC."""
        ...

    def record_history(self, imported: ImportedDay) -> bool:
        """Store one day in one transaction, in place of what an earlier import of it brought.

        Returns:
            False, with nothing changed, where the day was sealed since its earlier import: its rows cannot be told
            apart any more.
        """
        ...

    def history_attempts(self) -> dict[DatabaseRef, datetime]:
        """When an import was last tried, for every database it was tried for; aware UTC."""
        ...

    def last_history_import(self) -> datetime | None:
        """When an import last brought rows; None when none ever did."""
        ...
