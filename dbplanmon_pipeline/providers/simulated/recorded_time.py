"""What of the past Query Store shows at a moment: which stretches of time, and whether they are on disk yet."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.providers.simulated.faults import FaultKind, SimulatedFault

MINUTE_US = 60_000_000
DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Cadence:
    """How Query Store is set up.

    Attributes:
        interval_us: length of its intervals, which begin at multiples of it.
        flush_us: time between two flushes. `flush_phase_us`: of the first one, below `flush_us`.
        stale_us: intervals older than this are cleaned up.
    """

    interval_us: int
    flush_us: int
    flush_phase_us: int = 0
    stale_us: int = 30 * DAY_US

    @property
    def overlap_us(self) -> int:
        """How long an interval that is over may still change."""
        return min(max(2 * self.flush_us, self.interval_us), DAY_US)

    def interval_start(self, moment_us: int) -> int:
        """Beginning of the interval a moment lies in."""
        return moment_us - moment_us % self.interval_us


@dataclass(frozen=True, slots=True)
class Piece:
    """Time after `after_us` up to and with `until_us`, within the interval that begins at `interval_us`."""

    interval_us: int
    after_us: int
    until_us: int
    in_memory: bool


class RecordedTime:
    """A pure function of the faults and time, like all of the history."""

    def __init__(self, faults: Sequence[SimulatedFault], cadence: Cadence, begin_us: int) -> None:
        self.cadence = cadence
        self._begin_us = begin_us
        self._faults = [fault for fault in faults if fault.kind in _CHANGES]

    def since(self, now_us: int) -> int:
        """First moment that is still remembered."""
        emptied = [fault.start_us for fault in self._of(FaultKind.EVICTION) if fault.start_us <= now_us]
        kept = self.cadence.interval_start(now_us - self.cadence.stale_us)
        return max(self._begin_us, kept, *emptied)

    def flushed_until(self, now_us: int) -> int:
        """Last moment whose work is on disk."""
        phase, length = self.cadence.flush_phase_us, self.cadence.flush_us
        flushes = [now_us - (now_us - phase) % length]
        for fault in self._faults:
            at_once = fault.kind in (FaultKind.RESTART, FaultKind.UPDATE, FaultKind.QUERY_STORE_OFF)
            if at_once and fault.start_us <= now_us:
                flushes.append(fault.start_us - 1)
        return max(flushes)

    def pieces(self, now_us: int, from_us: int) -> list[Piece]:
        """Recorded time of all intervals that began at or after a moment, in order."""
        after = max(self.cadence.interval_start(from_us - 1) + self.cadence.interval_us, self.since(now_us)) - 1
        flushed = self.flushed_until(now_us)
        found = []
        for begin, end in _without(after, now_us, self._holes(now_us)):
            for interval, part_begin, part_end in self._by_interval(begin, end):
                if part_begin < flushed:
                    found.append(Piece(interval, part_begin, min(part_end, flushed), in_memory=False))
                if part_end > flushed:
                    found.append(Piece(interval, max(part_begin, flushed), part_end, in_memory=True))
        return found

    def is_on(self, now_us: int) -> bool:
        """False while it was switched off."""
        return not any(fault.is_on(now_us) for fault in self._of(FaultKind.QUERY_STORE_OFF))

    def _of(self, kind: FaultKind) -> list[SimulatedFault]:
        return [fault for fault in self._faults if fault.kind is kind]

    def _holes(self, now_us: int) -> list[tuple[int, int]]:
        """Time that is not shown at a moment, after the first up to and with the second."""
        holes = [(fault.start_us - 1, fault.end_us - 1) for fault in self._of(FaultKind.QUERY_STORE_OFF)]
        lost = [fault.start_us for fault in self._of(FaultKind.CRASH) if fault.start_us <= now_us]
        late = [fault for fault in self._of(FaultKind.LATE_FLUSH) if now_us < fault.shows_us]
        holes += [(self.flushed_until(moment - 1), moment - 1) for moment in lost]
        holes += [(fault.start_us - 1, fault.end_us - 1) for fault in late]
        return sorted(holes)

    def _by_interval(self, begin: int, end: int) -> list[tuple[int, int, int]]:
        """Time cut at the edges of intervals: (interval, after, until)."""
        found = []
        while begin < end:
            interval = self.cadence.interval_start(begin + 1)
            until = min(end, interval + self.cadence.interval_us - 1)
            found.append((interval, begin, until))
            begin = until
        return found


_CHANGES = frozenset(
    {
        FaultKind.RESTART,
        FaultKind.UPDATE,
        FaultKind.CRASH,
        FaultKind.EVICTION,
        FaultKind.QUERY_STORE_OFF,
        FaultKind.LATE_FLUSH,
    }
)


def _without(begin: int, end: int, holes: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a stretch of time."""
    found = []
    for hole_begin, hole_end in holes:
        if hole_begin > begin:
            found.append((begin, min(hole_begin, end)))
        begin = max(begin, hole_end)
        if begin >= end:
            return [part for part in found if part[0] < part[1]]
    return [part for part in [*found, (begin, end)] if part[0] < part[1]]
