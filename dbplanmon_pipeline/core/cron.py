"""Times in the five fields of cron, in UTC: minute, hour, day of month, month, day of week."""

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PART = re.compile(r"(?P<all>\*)|(?P<low>\w+)(?:-(?P<high>\w+))?", re.ASCII)
_DAY = timedelta(days=1)
_DAYS = 31
_LEAP_CYCLE_DAYS = 8 * 366
"""Within so many days every date that there is comes at least once, whichever century begins meanwhile."""


@dataclass(frozen=True, slots=True)
class Cron:
    """Moments at which something is due, whole minutes in UTC.

    As in cron a day counts when the day of month or the day of week fits, where both are narrowed.

    Attributes:
        minutes / hours / days / months / weekdays: values that fit; weekdays from 0, Sunday.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Read `*/5 8-18 * * mon-fri` and the like.

        Raises:
            ValueError: it is no cron, or no date ever fits.
        """
        fields = text.lower().split()
        if len(fields) != 5:
            raise ValueError('expected five fields in UTC such as "0 6 * * mon"')
        weekdays = frozenset(day % 7 for day in _values(fields[4], 0, 7, _WEEKDAYS))
        cron = cls(
            minutes=tuple(sorted(_values(fields[0], 0, 59))),
            hours=tuple(sorted(_values(fields[1], 0, 23))),
            days=_values(fields[2], 1, 31),
            months=_values(fields[3], 1, 12, _MONTHS, first_name=1),
            weekdays=weekdays,
        )
        first = date(2024, 1, 1)
        if not any(cron._fits(first + number * _DAY) for number in range(_LEAP_CYCLE_DAYS)):
            raise ValueError("names a date that never comes")
        return cron

    def latest(self, now: datetime, after: datetime) -> datetime | None:
        """The last moment that fits, later than `after` and up to and with `now` (both aware UTC); None without one."""
        day = now.date()
        while day >= after.date():
            if self._fits(day):
                found = self._latest_of(day, now)
                if found is not None:
                    return found if found > after else None
            day -= _DAY
        return None

    def _latest_of(self, day: date, now: datetime) -> datetime | None:
        for hour in reversed(self.hours):
            for minute in reversed(self.minutes):
                moment = datetime.combine(day, time(hour, minute), now.tzinfo)
                if moment <= now:
                    return moment
        return None

    def _fits(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if len(self.days) == _DAYS or len(self.weekdays) == len(_WEEKDAYS):
            return by_day and by_weekday
        return by_day or by_weekday


def _values(field: str, low: int, high: int, names: tuple[str, ...] = (), *, first_name: int = 0) -> frozenset[int]:
    found: set[int] = set()
    for item in field.split(","):
        part, slash, step_text = item.partition("/")
        match = _PART.fullmatch(part)
        if match is None or (slash and not step_text.isdecimal()):
            raise ValueError(f"expected a list of numbers, ranges and steps from {low} to {high} in each field")
        step = int(step_text) if slash else 1
        first = low if match["all"] else _number(match["low"], names, first_name)
        open_end = match["all"] or (slash and match["high"] is None)
        last = high if open_end else _number(match["high"] or match["low"], names, first_name)
        if not (low <= first <= last <= high and step >= 1):
            raise ValueError(f"a field goes from {low} to {high}, and each range upwards")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(word: str, names: tuple[str, ...], first_name: int) -> int:
    if word in names:
        return names.index(word) + first_name
    if not word.isdecimal():
        raise ValueError("holds a word that is no name of a month or a day of the week")
    return int(word)
