"""The time of all worlds: ticks of five minutes from a Monday on, a week of which is only learnt from."""

from datetime import UTC, datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.readings.counters import Floats, Longs

STEP = timedelta(minutes=5)
STEP_US = STEP // timedelta(microseconds=1)
HOUR, DAY = 12, 288
WEEK = 7 * DAY
EPOCH = datetime(2025, 1, 6, tzinfo=UTC)


def hour_of_day(ticks: int) -> Floats:
    """Hour of the day of each tick, 0 to 24 [ticks]."""
    found: Floats = np.arange(ticks) % DAY / HOUR
    return found


def day_of(ticks: int) -> Longs:
    """Number of the day of each tick; day 0 is a Monday [ticks]."""
    found: Longs = np.arange(ticks) // DAY
    return found


def wander(rng: np.random.Generator, series: int, ticks: int, spread: Floats, memory: Floats) -> Floats:
    """Autocorrelated noise about 0 [series, ticks].

    Args:
        rng: source of chance.
        series: how many.
        ticks: how long.
        spread: standard deviation of each [series].
        memory: correlation of neighbouring ticks of each [series].
    """
    steps = rng.normal(size=(ticks, series)) * (spread * np.sqrt(1 - memory**2))
    steps[0] = rng.normal(size=series) * spread
    for tick in range(1, ticks):
        steps[tick] += memory * steps[tick - 1]
    return np.ascontiguousarray(steps.T)
