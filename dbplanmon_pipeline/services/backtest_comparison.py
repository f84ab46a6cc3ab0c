"""Two back-tests of the same record side by side: what only one of them says, what both say, and which is first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.incidents.machine import Key
from dbplanmon_pipeline.services.backtest import BacktestReport, Notification


@dataclass(frozen=True, slots=True)
class Pair:
    """One trouble that both tell of.

    Attributes:
        first / second: what each says of it first.
        said_by_first / said_by_second: how often.
    """

    first: Notification
    second: Notification
    said_by_first: int = 1
    said_by_second: int = 1

    @property
    def delay(self) -> timedelta:
        """How much later the second one tells of it; negative where it is the earlier one."""
        return self.second.raised_at - self.first.raised_at


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports against each other, in order of time.

    Attributes:
        both: troubles that both tell of.
        only_first / only_second: what one says of troubles that the other does not tell of.
    """

    both: tuple[Pair, ...]
    only_first: tuple[Notification, ...]
    only_second: tuple[Notification, ...]

    @property
    def earlier(self) -> int:
        """How often the second one is first."""
        return sum(pair.delay < timedelta() for pair in self.both)

    @property
    def later(self) -> int:
        """How often the second one comes later."""
        return sum(pair.delay > timedelta() for pair in self.both)

    @property
    def median_delay(self) -> timedelta | None:
        """Of the second one; None where they tell of nothing in common."""
        seconds = [pair.delay.total_seconds() for pair in self.both]
        return timedelta(seconds=float(np.median(seconds))) if seconds else None


def compare(first: BacktestReport, second: BacktestReport) -> Comparison:
    """Notifications are about one trouble where they name the same statement or instance and overlap in time.

    Each covers the time from its first bad interval until the incident ends.
    """
    both: list[Pair] = []
    only: tuple[list[Notification], list[Notification]] = ([], [])
    for ours, theirs in _troubles(first.notifications, second.notifications):
        if ours and theirs:
            both.append(Pair(ours[0], theirs[0], len(ours), len(theirs)))
        else:
            only[0].extend(ours)
            only[1].extend(theirs)
    both.sort(key=lambda pair: (pair.first.raised_at, pair.first.incident.key))
    alone = [tuple(sorted(one, key=lambda single: (single.raised_at, single.incident.key))) for one in only]
    return Comparison(tuple(both), alone[0], alone[1])


def _troubles(
    first: Sequence[Notification], second: Sequence[Notification]
) -> Iterator[tuple[list[Notification], list[Notification]]]:
    """What each side says of one trouble, in order of time."""
    by_key: dict[Key, list[tuple[int, Notification]]] = {}
    for side, notifications in enumerate((first, second)):
        for one in notifications:
            by_key.setdefault(one.incident.key, []).append((side, one))
    for said in by_key.values():
        said.sort(key=lambda item: (_begun(item[1]), item[1].raised_at, item[0]))
        for trouble in _overlapping(said):
            trouble.sort(key=lambda item: (item[1].raised_at, item[0]))
            yield [one for side, one in trouble if side == 0], [one for side, one in trouble if side == 1]


def _overlapping(said: Sequence[tuple[int, Notification]]) -> Iterator[list[tuple[int, Notification]]]:
    """Stretches without a moment between them that nobody calls slow."""
    trouble: list[tuple[int, Notification]] = []
    ended: datetime | None = None
    for side, one in said:
        if trouble and (ended is None or _begun(one) <= ended):
            ended = None if ended is None or one.ended_at is None else max(ended, one.ended_at)
        else:
            if trouble:
                yield trouble
            trouble, ended = [], one.ended_at
        trouble.append((side, one))
    if trouble:
        yield trouble


def _begun(one: Notification) -> datetime:
    # What came back keeps the beginning of its first time.
    return one.raised_at if one.incident.reopened_count else min(one.incident.began_at, one.raised_at)
