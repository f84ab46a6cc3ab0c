"""Levels of single weekdays, where days differ from each other and do so at midnight."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dbplanmon_pipeline.core.readings.counters import Floats, Longs
from dbplanmon_pipeline.core.verdict.rows.calendar import HOURS, SATURDAY, WEEKDAYS, HourRuns

_QUARTERS, _PAIRS = 4, 12
"""Parts of a day: quarters, and two hours each."""

_LEAST_JUMPS = 4
_USUAL = 2.0
"""From so many times the change between quarters of a day on, the change at midnight is more than chance."""

_DISTANCE_TO_SD = 1.25
_TINY = 1e-12

_SHARPLY = 2.0
"""One over the share of the change at midnight that must lie within the two hours before and after it."""


def weekday_levels(
    runs: HourRuns, day: NDArray[np.int64], weight: Floats, rest: Floats, series: int
) -> tuple[Floats, Floats]:
    """What each weekday costs more than the week, as far as that is believed.

    Costs that drift, or remember what they were, change between the quarters of a day as much as they do at midnight;
    a weekday with a level of its own begins there. One week shows each weekday once, so what is believed is that a
    level which begins and ends at midnight comes back after a week. What began some hours before or after it, such as
    an improvement that lasted for a day, does not.

    Args:
        runs: hours of each series.
        day: int64 [runs], weekday of each.
        weight: float64 [runs].
        rest: float64 [runs], mean distance from normal, natural logarithm.
        series: how many there are.

    Returns:
        Levels [series, 7], NaN for a day not seen where others have levels of their own, and their variance [series].
    """
    quarters = _parts(runs, day, weight, rest, series, _QUARTERS)
    jump, usual, jumps = _at_midnight(quarters)
    trust = np.where(jumps >= _LEAST_JUMPS, np.maximum(1.0 - _USUAL * usual / np.maximum(jump, _TINY), 0.0), 0.0)
    asked = np.flatnonzero(trust)
    if len(asked):
        trust[asked] *= _sharpness(_parts(runs, day, weight, rest, series, _PAIRS).at(asked), jump[asked])
    days, pulled = quarters.days()
    level = pulled / np.where(days > 0, days, 1.0)
    known = (days > 0) | (trust == 0)[:, None]
    return np.where(known, trust[:, None] * level, np.nan), trust * usual / _QUARTERS


def weekend_trust(runs: HourRuns, day: NDArray[np.int64], weight: Floats, rest: Floats, series: int) -> Floats:
    """How far it is believed that weekends cost more or less than other days, 0 to 1 [series].

    Days of a kind must resemble each other more than those of the other kind. And a cheaper weekend must begin and end
    at midnight: what is cheaper from some other hour on got better, and may as well be what it was before.

    Args:
        runs: hours of each series.
        day: int64 [runs], weekday of each.
        weight: float64 [runs].
        rest: float64 [runs], mean distance from normal without a weekend, natural logarithm.
        series: how many there are.
    """
    pairs = _parts(runs, day, weight, rest, series, _PAIRS)
    days, pulled = pairs.days()
    on, seen = np.arange(WEEKDAYS) >= SATURDAY, days > 0
    level = np.where(seen, pulled / np.where(seen, days, 1.0), 0.0)
    kinds = [seen & on, seen & ~on]
    counts = [np.maximum(kind.sum(axis=1), 1) for kind in kinds]
    means = [np.where(kind, level, 0.0).sum(axis=1) / count for kind, count in zip(kinds, counts, strict=True)]
    astray = sum(
        np.where(kind, (level - mean[:, None]) ** 2, 0.0).sum(axis=1) for kind, mean in zip(kinds, means, strict=True)
    )
    spread = astray / np.maximum(counts[0] + counts[1] - 2, 1) * (1 / counts[0] + 1 / counts[1])
    apart = means[0] - means[1]
    trust = np.maximum(1.0 - _USUAL * spread / np.maximum(apart**2, _TINY), 0.0)
    changes = pairs.changes()
    edges = changes[:, [SATURDAY * _PAIRS, 0]] * np.array([-1.0, 1.0])
    known = ~np.isnan(edges)
    noise = _DISTANCE_TO_SD * _mean(np.abs(changes))
    least = np.where(known, edges, np.inf).min(axis=1)
    share = np.clip(_SHARPLY * (least + noise) / np.maximum(-apart, _TINY), 0.0, 1.0)
    found: Floats = trust * np.where((apart < 0) & known.any(axis=1), share, 1.0)
    return found


@dataclass(frozen=True)
class _Parts:
    """Parts of the days of a week.

    Attributes:
        total / pulled: float64 [series, parts], weight and weighted sum of each.
        seam: int64 [series], the weekday seen first; -1 where it was seen again a week later.
    """

    total: Floats
    pulled: Floats
    seam: Longs

    def at(self, series: Longs) -> "_Parts":
        return _Parts(self.total[series], self.pulled[series], self.seam[series])

    def days(self) -> tuple[Floats, Floats]:
        """Weight and weighted sum of whole days [series, 7]."""
        total, pulled = (part.reshape(len(part), WEEKDAYS, -1).sum(axis=2) for part in (self.total, self.pulled))
        return total, pulled

    def changes(self) -> Floats:
        """Change from the part before [series, parts]; NaN where one of them was not seen, or almost a week later."""
        seen = self.total > 0
        level = self.pulled / np.where(seen, self.total, 1.0)
        found: Floats = np.where(seen & np.roll(seen, 1, axis=1), level - np.roll(level, 1, axis=1), np.nan)
        once = np.flatnonzero(self.seam >= 0)
        found[once, self.seam[once] * (seen.shape[1] // WEEKDAYS)] = np.nan
        return found


def _parts(runs: HourRuns, day: NDArray[np.int64], weight: Floats, rest: Floats, series: int, parts: int) -> _Parts:
    cell = (runs.series * WEEKDAYS + day) * parts + runs.hour // (HOURS // parts)
    shape, size = (series, WEEKDAYS * parts), series * WEEKDAYS * parts
    total: Floats = np.bincount(cell, weight, minlength=size).reshape(shape).astype(np.float64, copy=False)
    pulled: Floats = np.bincount(cell, weight * rest, minlength=size).reshape(shape).astype(np.float64, copy=False)
    bounds = np.searchsorted(runs.series, np.arange(series + 1))
    first, last = bounds[:-1], bounds[1:] - 1
    again = runs.day[last] - runs.day[first] >= WEEKDAYS
    return _Parts(total, pulled, np.where(again, -1, day[first]))


def _at_midnight(parts: _Parts) -> tuple[Floats, Floats, Longs]:
    """Mean square change over midnight and within days, and how many midnights are known [series]."""
    squares = parts.changes() ** 2
    at_midnight = np.arange(squares.shape[1]) % (squares.shape[1] // WEEKDAYS) == 0
    jumps = np.count_nonzero(~np.isnan(squares[:, at_midnight]), axis=1)
    return _mean(squares[:, at_midnight]), _mean(squares[:, ~at_midnight]), jumps


def _sharpness(pairs: _Parts, jump: Floats) -> Floats:
    """1 where enough of the change from quarter to quarter lies around midnight itself, or nobody knows [series]."""
    sharp, usual, jumps = _at_midnight(pairs)
    share = np.clip(_SHARPLY * np.maximum(sharp - usual, 0.0) / np.maximum(jump, _TINY), 0.0, 1.0)
    return np.where(jumps >= _LEAST_JUMPS, share, 1.0)


def _mean(values: Floats) -> Floats:
    """Mean of the known figures of each line, 0 for none."""
    known = ~np.isnan(values)
    found: Floats = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return found
