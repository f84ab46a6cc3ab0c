"""What the use cases need from a monitored target."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from dbplanmon_pipeline.core.kpis.statement import KpiRow, KpiStatement
from dbplanmon_pipeline.core.model import Capabilities, CapturedPlan, Engine, StatementText
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.statement_trial import StatementTrial

Clock = Callable[[], datetime]
"""Returns the present moment, aware UTC."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long one database may take, and whether somebody asked to stop.

    Attributes:
        deadline: on the scale of `monotonic` [seconds].
        monotonic: the clock of the deadline.
        cancelled: true as soon as the run was asked to stop.
        computing: held, and never while waiting for a server, by a thread that computes: many threads that compute at
            once only take the interpreter away from each other.
    """

    deadline: float
    monotonic: Callable[[], float]
    cancelled: Callable[[], bool] = lambda: False
    computing: AbstractContextManager[Any] = field(default_factory=nullcontext)

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

    def read_counters(self, previous: CounterReading | None = None) -> CounterReading:
        """All counters of the database, our own statements left out.

        An engine that keeps its counters per interval goes on where `previous`, the last recorded reading, says.
        """
        ...

    def read_facts(self) -> Mapping[str, str]:
        """What is true of the database now and may explain a slower statement later, by name; empty where unknown.

        A fact that cannot be read is left out, never a reason to fail.
        """
        ...

    def read_table_facts(self, tables: Sequence[str]) -> Mapping[str, str]:
        """The same of tables that plans read, by name (`core/causes/table_facts.py`).

        Args:
            tables: `schema.table` of those that are known to matter; an engine that reads its plans again and again
                may take those of the plans read last instead.
        """
        ...

    def read_history(self, start: datetime, end: datetime) -> CounterReading:
        """Counters of every engine interval that began within [start, end) and is over, each whole.

        Raises:
            FeatureUnavailable: the engine, or this database, keeps no history.
        """
        ...

    def try_statements(self) -> Sequence[StatementTrial]:
        """Run each of our statements once and tell how that went; empty where an engine has no such test."""
        ...

    def read_figures(self, statement: KpiStatement, timeout: float) -> KpiRow:
        """Run one statement of a user within `timeout` seconds and take its first row; nothing is ever changed.

        Raises:
            StatementRefused: it is not one reading statement, or nothing guarantees that it changes nothing.
        """
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
