"""Recorded intervals of a store, hot and sealed days alike, for a replay."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from dbplanmon_pipeline.core.grouping import Group
from dbplanmon_pipeline.core.model import DatabaseRef
from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline.core.readings.intervals import IntervalFrame
from dbplanmon_pipeline.core.verdict.rows.series import DETECTOR_COLUMNS
from dbplanmon_pipeline.store.recorded.files import Wanted

_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


class IntervalStore(Protocol):
    """What is asked of the store; see `IntervalPart`."""

    def known_databases(self) -> list[DatabaseRef]:
        """Every database ever read."""
        ...

    def latest_interval_end(self) -> datetime | None:
        """End of the newest interval."""
        ...

    def interval_ends(self, start: datetime, end: datetime) -> Longs:
        """Ends of intervals in (start, end]."""
        ...

    def interval_frame(
        self,
        start: datetime,
        end: datetime,
        *,
        columns: Sequence[str] | None = None,
        databases: Sequence[DatabaseRef] | None = None,
    ) -> IntervalFrame:
        """Rows whose interval ended in (start, end]."""
        ...


class StoredIntervals:
    """The rows of a store, group by group.

    Args:
        store: opened.
        wanted: which rows.
    """

    def __init__(self, store: IntervalStore, wanted: Wanted) -> None:
        self._store, self._wanted = store, wanted
        self._since = wanted.since or _ALWAYS
        self._until = wanted.until or store.latest_interval_end() or _ALWAYS

    def databases(self) -> list[DatabaseRef]:
        """Databases that are wanted, whether they have rows or not: what is learnt from together depends on them."""
        return sorted(ref for ref in self._store.known_databases() if self._wanted.chooses(ref))

    def ends(self) -> Longs:
        """Ends of all intervals of the wanted time, also those of databases that are not wanted."""
        return self._store.interval_ends(self._since, self._until)

    def frames(self, groups: Sequence[Group]) -> Iterator[IntervalFrame]:
        """The rows of each group."""
        for group in groups:
            yield self._store.interval_frame(self._since, self._until, columns=DETECTOR_COLUMNS, databases=group)
