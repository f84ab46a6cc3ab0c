"""When what ran is seen: readings that fail, restarts that lose counters, engines that tell once an hour."""

from dataclasses import dataclass

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Longs
from dbplanmon_pipeline_tests.bench.worlds.clock import DAY


@dataclass(frozen=True)
class Collection:
    """The readings of one instance.

    Attributes:
        lands: int64 [ticks], the tick at whose end what ran in a tick is seen; -1 where it is lost.
        since: int64 [ticks], first tick of the interval that ends with each.
    """

    lands: Longs
    since: Longs


def every_tick(ticks: int) -> Collection:
    """All is seen at once."""
    return Collection(np.arange(ticks), np.arange(ticks))


def in_steps(ticks: int, length: int) -> Collection:
    """Seen once in `length` ticks, as one long interval; the last one may be cut off."""
    number = np.arange(ticks)
    end = number // length * length + length - 1
    return Collection(np.where(end < ticks, end, -1), number // length * length)


def with_gaps(rng: np.random.Generator, ticks: int, gaps_per_day: float, restarts_per_day: float) -> Collection:
    """Readings fail for a while, and what ran lands in the next; a restart loses what was not read yet."""
    number, days = np.arange(ticks), ticks / DAY
    read = np.ones(ticks, np.bool_)
    for begin in rng.integers(1, ticks - 60, rng.poisson(gaps_per_day * days)).tolist():
        read[begin : begin + int(rng.choice([1, 1, 2, 3, 6, 12, 36]))] = False
    lands = np.minimum.accumulate(np.where(read, number, ticks)[::-1])[::-1]
    since = np.zeros(ticks, np.int64)
    since[1:] = np.maximum.accumulate(np.where(read, number, -1))[:-1] + 1
    for at in rng.integers(1, ticks - 60, rng.poisson(restarts_per_day * days)).tolist():
        lands[(number < at) & (lands >= at)] = -1
        since[at:] = np.maximum(since[at:], at)
    return Collection(np.where(lands < ticks, lands, -1), since)
