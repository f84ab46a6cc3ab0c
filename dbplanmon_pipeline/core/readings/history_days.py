"""Which engine intervals an import of history takes, and to which day of the import each belongs.

Engine intervals begin at whole minutes of a server clock that is measured a little differently each time. So every
border lies half a minute before one of their beginnings: what is this side of it today is so tomorrow.
"""

from datetime import date, datetime, timedelta

import numpy as np

from dbplanmon_pipeline.core.moments import epoch_us, from_epoch_us
from dbplanmon_pipeline.core.readings.counters import IntervalRows
from dbplanmon_pipeline.core.readings.merging import take_rows

MARGIN_US = 30_000_000

_DAY_US = 86_400_000_000
_EPOCH = date(1970, 1, 1)


def window_us(day: date) -> tuple[int, int]:
    """The intervals of a day begin within [first, last), epoch microseconds."""
    first = (day - _EPOCH).days * _DAY_US - MARGIN_US
    return first, first + _DAY_US


def limit_us(recorded_from: datetime) -> int:
    """Imported intervals begin before this moment, those of the live collection at or after it."""
    return epoch_us(recorded_from) - MARGIN_US


def span_of(day: date, recorded_from: datetime) -> tuple[datetime, datetime] | None:
    """Beginnings of the intervals to ask for, half open; None where all of the day is recorded live."""
    first, last = window_us(day)
    last = min(last, limit_us(recorded_from))
    return (from_epoch_us(first), from_epoch_us(last)) if first < last else None


def importable(rows: IntervalRows, day: date, recorded_from: datetime) -> IntervalRows:
    """Those rows of the day that the live collection cannot know.

    Where the live collection did not begin with an interval, the one that was running then is known in part and left
    out.
    """
    first, last = window_us(day)
    start = rows.interval_start_us
    taken = (start >= first) & (start < min(last, limit_us(recorded_from)))
    taken &= rows.interval_end_us <= epoch_us(recorded_from) + MARGIN_US
    return rows if taken.all() else take_rows(rows, np.flatnonzero(taken))


def days_before(today: date, count: int) -> list[date]:
    """The last `count` days, the present one included, oldest first."""
    return [today - timedelta(days=back) for back in reversed(range(count))]
