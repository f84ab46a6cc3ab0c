"""Which earlier hours a stretch of work is compared with: the same hours of days of the same kind."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us
from dbplanmon_pipeline.core.readings.counters import Floats

HOUR_US = 3_600_000_000
_DAY = timedelta(days=1)
_DAY_HOURS = 24
_SATURDAY = 5
_RECENT_DAYS = range(1, 15)
_WEEKS = (7, 14, 21, 28)
_SHORT_HOURS = 3


@dataclass(frozen=True, slots=True)
class Compared:
    """A window and the earlier windows it is compared with.

    Attributes:
        start / end: of the window, aware UTC.
        days_back: how many days before each of the earlier windows lies, the nearest first.
    """

    start: datetime
    end: datetime
    days_back: tuple[int, ...]

    @property
    def length_hours(self) -> int:
        """Whole hours the window stands for, at least one."""
        return max(1, -(-int((self.end - self.start) / timedelta(microseconds=1)) // HOUR_US))

    @property
    def divisor_hours(self) -> float:
        """What sums over the window are divided by to be per hour; a shorter one counts as an hour."""
        return max(1.0, (self.end - self.start) / timedelta(hours=1))

    @property
    def own_hours(self) -> list[int]:
        """Beginnings of the hours the window touches [epoch microseconds]."""
        first, last = epoch_us(self.start) // HOUR_US, -(-epoch_us(self.end) // HOUR_US)
        # A window within an hour and one of its length must be comparable.
        return [hour * HOUR_US for hour in range(first, max(last, first + self.length_hours))]

    @property
    def hours_before(self) -> list[int]:
        """Hours just before the window: without work in them, what comes next may be that of a long gap."""
        first = self.own_hours[0]
        return [first - HOUR_US * back for back in range(1, max(1, self.length_hours // 4) + 1)]

    @property
    def earlier_hours(self) -> list[int]:
        """The hours of all earlier windows, window by window, each with as many as `own_hours`."""
        step = _DAY_HOURS * HOUR_US
        return list(chain.from_iterable([hour - back * step for hour in self.own_hours] for back in self.days_back))

    @property
    def is_short(self) -> bool:
        """True where a gap within the window would show as growth."""
        return self.length_hours <= _SHORT_HOURS

    @property
    def is_same_weekday(self) -> tuple[bool, ...]:
        """Of each earlier window."""
        return tuple(back % 7 == 0 for back in self.days_back)

    def ends(self) -> list[datetime]:
        """End of each earlier window."""
        return [self.end - _DAY * back for back in self.days_back]


def compared(start: datetime, end: datetime) -> Compared:
    """The windows to compare with.

    Days of the same kind (Monday to Friday, weekend) of the last two weeks, and the same weekday up to four weeks back;
    of a window longer than a day, whole weeks only.
    """
    if end - start > _DAY:
        return Compared(start, end, _WEEKS)
    last = end - timedelta(microseconds=1)
    alike = [back for back in _RECENT_DAYS if _is_weekend(last - _DAY * back) == _is_weekend(last)]
    return Compared(start, end, tuple(sorted({*alike, *_WEEKS})))


def per_hour(work: Floats, days: Compared) -> Floats:
    """What earlier windows did per hour.

    A window that does not begin with an hour is held against the dearer of the stretches of whole hours around it, so
    that a job which begins on the hour is no growth because the window ends just after it.

    Args:
        work: float64 [statements, hours, 2] in the order of `earlier_hours`: executions and elapsed time [us]; NaN
            where nobody looked.
        days: the windows.

    Returns:
        float64 [statements, windows, 2]: executions and seconds per hour; NaN where an hour of it is not known.
    """
    hours, length = len(days.own_hours), days.length_hours
    windows = work.reshape(len(work), len(days.days_back), hours, 2)
    running = np.concatenate([np.zeros((*windows.shape[:2], 1, 2)), np.cumsum(windows, axis=2)], axis=2)
    stretches = running[:, :, length:] - running[:, :, :-length]
    # One unknown hour makes a whole window unknown, whichever stretch is the dearest.
    stretches[np.isnan(windows).any(axis=(2, 3))] = np.nan
    dearest = np.argmax(np.nan_to_num(stretches[..., 1]), axis=2)[:, :, None, None]
    found = np.take_along_axis(stretches, dearest, axis=2)[:, :, 0]
    return np.asarray(found / (length * np.array([1.0, 1e6])))


def _is_weekend(moment: datetime) -> bool:
    return moment.weekday() >= _SATURDAY
