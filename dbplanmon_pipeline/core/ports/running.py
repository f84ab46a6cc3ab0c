"""What the analysis needs to judge only what is new: questions to the store, and files it may lose at any time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from numpy.typing import NDArray

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.ports.intervals import IntervalStore
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame

RecordedWork = dict[tuple[DatabaseRef, int], tuple[float, ...]]
"""Executions, their elapsed time [microseconds] and those that failed, by database and start of the hour.

Hours begin at whole hours of the epoch [microseconds].
"""

Arrays = Mapping[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class BaselineVersion:
    """Differs whenever baselines were written or removed.

    Attributes:
        text: of all versions together.
        as_of: of the newest one, aware UTC; None where there is none.
    """

    text: str
    as_of: datetime | None


class StepStore(IntervalStore, Protocol):
    """What judging one more tick reads."""

    def statement_frame(
        self,
        start: datetime,
        end: datetime,
        statements: Sequence[tuple[int, int]],
        *,
        columns: Sequence[str] | None = None,
    ) -> IntervalFrame:
        """The same of some statements only, each a database id and a query hash."""
        ...

    def recorded_work(self, start: datetime, databases: Sequence[DatabaseRef]) -> RecordedWork:
        """All work that ended since the hour of `start`; changes with every row that is recorded or added to."""
        ...

    def baseline_version(self, layout: str) -> BaselineVersion:
        """Tells whether baselines changed."""
        ...


class StateFiles(Protocol):
    """Arrays by name, each set whole or not there at all; whatever is damaged is not there."""

    def load(self, name: str) -> Arrays | None:
        """What was saved last; None where there is nothing, or nothing whole."""
        ...

    def save(self, name: str, arrays: Arrays) -> None:
        """Replace what is there; what cannot be written is not there afterwards."""
        ...
