"""Readings made while the store was away: where they begin, and how they are fitted to the state that is found later.

A reading of counters that live on is whole by itself. One of engine intervals begins where the last one left off, which
only the store knows; so it begins early enough without, and is cut to fit afterwards.
"""

from datetime import datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import COUNTERS, EXTREMA, CounterReading
from dbplanmon_pipeline.core.readings.query_store import interval_start_of

REACHES_BACK = timedelta(hours=3)
"""Begin of a reading by interval without any state: intervals of an hour settle an hour after their end, and the last
reading that was stored may be up to an hour old. What changes for longer is left to Query Store itself."""

_TOLERANCE_US = 30_000_000


def left_off_at(read_at: datetime, covers_from_us: int, next_from_us: int = 0) -> CounterReading:
    """What a provider has to know of an earlier reading to go on from it: its moment and its span, without counters.

    Args:
        read_at: moment of the reading, aware UTC.
        covers_from_us: its own [epoch microseconds]; 0 where counters live on.
        next_from_us: the same.
    """
    none = np.empty(0, dtype=np.int64)
    return CounterReading(
        read_at=read_at,
        keys=(),
        lives=(),
        query_hash=none,
        plan_hash=none,
        values=np.empty((0, len(COUNTERS))),
        extrema=np.empty((0, len(EXTREMA))),
        interval_start_us=none,
        interval_end_us=none,
        life_began_us=none,
        covers_from_us=max(covers_from_us, next_from_us),
        next_from_us=next_from_us,
    )


def without_a_state(tick: datetime) -> CounterReading:
    """Stands for the last recorded reading where nobody knows it: an engine with intervals then reaches far back."""
    return left_off_at(tick, epoch_us(tick - REACHES_BACK))


def as_read_after(previous: CounterReading | None, reading: CounterReading) -> CounterReading | None:
    """The reading as it would be, had `previous` been known when it was made.

    Args:
        previous: the recorded state; None where there is none.
        reading: made without it.

    Returns:
        Without the intervals that `previous` settled; None where it begins too late, so that work between the two is
        missing. The engine still has that work by interval, and the next reading that knows the state finds it.
    """
    if previous is None or not reading.by_interval:
        return reading
    if not previous.by_interval:
        return reading if reading.covers_from_us <= epoch_us(previous.read_at) else None
    begin_us = previous.covers_from_us + _server_ahead_us(previous) - _server_ahead_us(reading, previous)
    if reading.covers_from_us > begin_us + _TOLERANCE_US:
        return None
    stays = np.flatnonzero(reading.interval_start_us >= begin_us - _TOLERANCE_US)
    return reading.take(
        stays,
        covers_from_us=max(reading.covers_from_us, begin_us),
        next_from_us=max(reading.next_from_us, begin_us),
    )


def _server_ahead_us(reading: CounterReading, other: CounterReading | None = None) -> int:
    """How far the clock of the server was taken to be ahead of ours; as in `other` where the reading cannot tell."""
    if len(reading):
        return interval_start_of(reading.keys[0]) - int(reading.interval_start_us[0])
    return _server_ahead_us(other) if other is not None else 0
