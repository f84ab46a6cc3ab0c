"""What collecting needs from a place outside the store, for as long as the store cannot be reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from dbplanmon_pipeline.core.model import DatabaseRef, Engine
from dbplanmon_pipeline.core.readings.counters import CounterReading


@dataclass(frozen=True, slots=True)
class SpooledReading:
    """One reading of one database as it came from the server; nothing was subtracted from it yet."""

    ref: DatabaseRef
    engine: Engine
    reading: CounterReading


@dataclass(frozen=True, slots=True)
class SpooledBatch:
    """Readings of one tick that are kept together; `name` tells them apart, times aware UTC."""

    name: str
    tick: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SpoolLoss:
    """What had to be let go of, and why, in one line."""

    batches: int = 0
    readings: int = 0
    reason: str = ""

    def __add__(self, other: "SpoolLoss") -> "SpoolLoss":
        reasons = dict.fromkeys(reason for reason in (self.reason, other.reason) if reason)
        return SpoolLoss(self.batches + other.batches, self.readings + other.readings, "; ".join(reasons))


class ReadingSpool(Protocol):
    """Readings on their way to the store; bounded in size and age, safe for several processes."""

    def keep(self, tick: datetime, readings: Sequence[SpooledReading]) -> SpoolLoss:
        """Keep these, whole or not at all; the oldest go where there is no room.

        Raises:
            StoreUnavailable: they cannot be written, or are larger than the spool may be.
        """
        ...

    def waiting(self) -> list[SpooledBatch]:
        """What is kept, in the order of ticks."""
        ...

    def load(self, batch: SpooledBatch) -> list[SpooledReading]:
        """The readings of a batch; empty where another process has recorded it meanwhile.

        Raises:
            StoreError: it is damaged, or of another version of this program.
        """
        ...

    def remove(self, batch: SpooledBatch) -> None:
        """Let go of a batch; nothing happens where it is gone already.

        Raises:
            StoreError: it cannot be removed.
        """
        ...

    def expire(self, now: datetime) -> SpoolLoss:
        """Let go of what is too old to be recorded.

        Raises:
            StoreError: it cannot be removed.
        """
        ...

    def left_off(self) -> dict[DatabaseRef, CounterReading]:
        """Where the newest reading of each database left off: its moment and span, without counters."""
        ...
