"""From values to coordinates, and where the ticks of an axis stand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LOG_FROM = 12.0
"""An axis is logarithmic where the largest value is more than so many times the smallest."""

_STEPS = (1, 2, 5)
_TIME_STEPS = (
    *(timedelta(minutes=minutes) for minutes in (1, 5, 10, 15, 30)),
    *(timedelta(hours=hours) for hours in (1, 2, 3, 6, 12)),
    *(timedelta(days=days) for days in (1, 2, 7, 14, 28)),
)


@dataclass(frozen=True, slots=True)
class ValueScale:
    """Vertical place of a value between `bottom` and `top` [px, downwards].

    Attributes:
        low / high: ends of the axis; both above 0 where it is logarithmic.
    """

    low: float
    high: float
    bottom: float
    top: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The coordinate; values outside stick to the edge."""
        inside = min(max(value, self.low), self.high)
        if self.logarithmic:
            share = math.log(inside / self.low) / math.log(self.high / self.low)
        else:
            share = (inside - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - self.top)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values within the axis, at most about so many."""
        return _log_ticks(self.low, self.high, most) if self.logarithmic else _linear_ticks(self.low, self.high, most)


def value_scale(values: Sequence[float], bottom: float, top: float, *, may_be_logarithmic: bool = True) -> ValueScale:
    """An axis that holds all finite values with some room; linear ones begin at 0, or below where a value does."""
    known = [value for value in values if math.isfinite(value)]
    positive = [value for value in known if value > 0]
    highest = max(positive, default=1.0)
    lowest = min(positive, default=highest)
    if may_be_logarithmic and lowest > 0 and len(positive) == len(known) and highest / lowest > LOG_FROM:
        return ValueScale(lowest / 1.4, highest * 1.4, bottom, top, logarithmic=True)
    if known and min(known) < 0:
        low = min(known)
        room = (max(*known, 0.0) - low) * 0.08
        return ValueScale(low - room, max(*known, 0.0) + room, bottom, top)
    return ValueScale(0.0, highest * 1.08, bottom, top)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    step = _round_step((high - low) / most)
    first = math.ceil(low / step)
    return [count * step for count in range(first, math.floor(high / step) + 1)]


def _round_step(least: float) -> float:
    size = 10.0 ** math.floor(math.log10(least))
    return next(size * factor for factor in (*_STEPS, 10) if size * factor >= least * 0.999)


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        found = [f * 10.0**d for d in decades for f in factors if low <= f * 10.0**d <= high]
        if len(found) <= most + 2:
            return found
    return found[:: math.ceil(len(found) / most)]


@dataclass(frozen=True, slots=True)
class TimeScale:
    """Horizontal place of a moment between `left` and `right` [px]."""

    start: datetime
    end: datetime
    left: float
    right: float

    def __call__(self, moment: datetime) -> float:
        """The coordinate; moments outside stick to the edge."""
        share = (moment - self.start) / (self.end - self.start)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def ticks(self, most: int = 8) -> list[tuple[datetime, str]]:
        """Round moments in UTC with their words; the first of a day names it."""
        length = self.end - self.start
        step = next((step for step in _TIME_STEPS if length / step <= most), _TIME_STEPS[-1])
        midnight = datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)
        first = midnight + math.ceil((self.start - midnight) / step) * step
        moments = [first + step * count for count in range(math.floor((self.end - first) / step) + 1)]
        named: set[object] = set()
        found = []
        for moment in moments:
            whole_days = step >= timedelta(days=1)
            day = f"{moment:%d %b}".lstrip("0")
            is_new = moment.date() not in named and moment.hour == 0
            named.add(moment.date())
            found.append((moment, day if whole_days or is_new else f"{moment:%H:%M}"))
        return found
