"""What was written to a log since it was last read: nothing twice, and nothing lost that was committed late."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

RowT = TypeVar("RowT")

OVERLAP = timedelta(hours=1)
"""A row may become visible so much later than the moment it carries; no transaction of ours takes longer."""

TIDY_EVERY = timedelta(minutes=10)

LONGEST = timedelta(days=1)
"""After a longer pause only the rows of the last day are counted."""


class Tail(Generic[RowT]):
    """Remembers the rows of the last hour by key.

    Args:
        key: what tells two rows apart.
        at: the moment a row carries.
    """

    def __init__(self, key: Callable[[RowT], Hashable], at: Callable[[RowT], datetime]) -> None:
        self._key = key
        self._at = at
        self._seen: dict[Hashable, datetime] = {}
        self._counts: Counter[datetime] = Counter()
        self._tidied_at: datetime | None = None
        self._read_at: datetime | None = None

    def since(self, now: datetime) -> datetime:
        """From when on the log is to be read."""
        begin = min(self._read_at or now, now) - OVERLAP
        return max(begin, now - LONGEST)

    def counts(self) -> Counter[datetime]:
        """How many rows of each moment are known."""
        return self._counts

    def new(self, rows: Iterable[RowT], now: datetime) -> list[RowT]:
        """Those of the rows that were never given before; the first time none, as they were there already."""
        fresh = {key: row for row in rows if (key := self._key(row)) not in self._seen}
        self._seen.update((key, self._at(row)) for key, row in fresh.items())
        self._counts.update(map(self._at, fresh.values()))
        self._tidy(now)
        first, self._read_at = self._read_at is None, now
        return [] if first else list(fresh.values())

    def _tidy(self, now: datetime) -> None:
        """Forget what is never read again; seldom, as thousands of rows are remembered."""
        if self._tidied_at is None or abs(now - self._tidied_at) >= TIDY_EVERY:
            limit, self._tidied_at = self.since(now), now
            self._seen = {key: at for key, at in self._seen.items() if at >= limit}
            self._counts = Counter(self._seen.values())
