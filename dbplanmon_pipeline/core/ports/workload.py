"""What a comparison of the present workload with that of earlier days reads from our store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import Floats
from dbplanmon_pipeline.core.workload.changes import IncidentIds


@dataclass(frozen=True, slots=True)
class RecordedHours:
    """Work of one database: elapsed time [microseconds] of some hours, NaN where nothing is recorded.

    `since_us` is the first hour that was ever recorded [epoch microseconds].
    """

    elapsed_us: Floats
    since_us: int


class WorkloadStore(Protocol):
    """Reads of some hours and some statements; their cost does not depend on the length of the history."""

    def statement_hours(self, statements: Sequence[tuple[DatabaseRef, int]], hours_us: Sequence[int]) -> Floats:
        """Float64 [statements, hours, 2]: executions and elapsed time [us] that ended within; 0 without any."""
        ...

    def hours_of_databases(self, hours_us: Sequence[int]) -> dict[DatabaseRef, RecordedHours]:
        """Of every database with recorded work."""
        ...

    def statements_first_seen(
        self, statements: Sequence[tuple[DatabaseRef, int]]
    ) -> dict[tuple[DatabaseRef, int], datetime]:
        """When each known statement was first recorded."""
        ...

    def incident_ids(self, start: datetime, end: datetime) -> IncidentIds:
        """Incidents that began by `end` and are open or were closed since `start`; of two about the same the later."""
        ...
