"""Which intervals of Query Store one reading has to hold: the clock of the server decides, never what was seen last."""

from collections.abc import Sequence
from dataclasses import dataclass

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import CounterReading
from dbplanmon_pipeline.core.readings.query_store import ReadingSpan, interval_start_of

LONGEST_BACK_US = 24 * 3_600 * 1_000_000
"""After an outage a reading goes back at most this far; older work is a matter of the import of history."""

_SECOND_US = 1_000_000
_SNAP_US = 30 * _SECOND_US
_LEAST_SKEW_US = 5 * _SECOND_US


@dataclass(frozen=True, slots=True, order=True)
class EngineInterval:
    """One row of sys.query_store_runtime_stats_interval; epoch microseconds on the clock of the server, half open."""

    start_us: int
    end_us: int
    interval_id: int


@dataclass(frozen=True, slots=True)
class IntervalPolicy:
    """Attributes: how long an interval lasts, and how long Query Store keeps figures in memory [microseconds]."""

    length_us: int
    flush_us: int

    @property
    def overlap_us(self) -> int:
        """How long an interval may still change after it ended: twice the flush interval, one length, at most a day."""
        return min(max(2 * self.flush_us, self.length_us), LONGEST_BACK_US)


def skew_between(server_us: int, our_us: int) -> int:
    """How far the clock of the server is ahead of ours [microseconds, whole seconds]; 0 below five seconds."""
    ahead = server_us - our_us
    return round(ahead / _SECOND_US) * _SECOND_US if abs(ahead) >= _LEAST_SKEW_US else 0


def reading_span(
    intervals: Sequence[EngineInterval],
    previous: CounterReading | None,
    policy: IntervalPolicy,
    *,
    now_us: int,
    skew_us: int,
) -> ReadingSpan:
    """Where this reading and the next one begin.

    Args:
        intervals: those that ended within the last day or still run, in any order.
        previous: the last recorded reading, of whichever source.
        policy: of this Query Store.
        now_us: present moment of the server [epoch microseconds].
        skew_us: how far its clock is ahead of ours.
    """
    changing = _oldest(intervals, now_us - policy.overlap_us, policy)
    if previous is None:
        return ReadingSpan(changing, changing, skew_us)
    earliest = _oldest(intervals, now_us - LONGEST_BACK_US, policy)
    if previous.by_interval:
        begin = _snapped(intervals, _left_off(previous, skew_us))
    else:
        begin = _oldest(intervals, epoch_us(previous.read_at) + skew_us, policy)
    covers = max(begin, earliest)
    return ReadingSpan(covers, max(covers, changing), skew_us)


def _oldest(intervals: Sequence[EngineInterval], moment_us: int, policy: IntervalPolicy) -> int:
    """Beginning of the oldest interval that had not ended at that moment, where it stands if none is recorded."""
    ongoing = [interval.start_us for interval in intervals if interval.end_us > moment_us]
    return min([*ongoing, moment_us - moment_us % policy.length_us])


def _left_off(previous: CounterReading, skew_us: int) -> int:
    """Where the last reading says to go on, on the clock of the server; exact where it holds a counter."""
    if not len(previous):
        return previous.covers_from_us + skew_us
    shift = interval_start_of(previous.keys[0]) - int(previous.interval_start_us[0])
    return previous.covers_from_us + shift


def _snapped(intervals: Sequence[EngineInterval], moment_us: int) -> int:
    """The interval that begins there, give or take what two measurements of the skew differ by."""
    near = [interval.start_us for interval in intervals if abs(interval.start_us - moment_us) <= _SNAP_US]
    return min(near, default=moment_us)
