"""When a maintenance window is open: clocks on the wall, read with the daylight saving time of their zone."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dbplanmon_pipeline.core.ports.alert_rules import MaintenanceWindow
from dbplanmon_pipeline.errors import DbPlanMonError

DAY = timedelta(days=1)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_WAIT = timedelta(days=8)
"""Windows that follow each other without end hold a message no longer."""

_SECOND = timedelta(seconds=1)


class UnknownTimeZone(DbPlanMonError, ValueError):
    """No time zone has this name."""


def zone_of(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises:
        UnknownTimeZone: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownTimeZone(f"no time zone {name!r}; use an IANA name such as Europe/Berlin or UTC") from error


def open_until(window: MaintenanceWindow, now: datetime) -> datetime | None:
    """When the window ends that is open now (aware UTC), None where it is closed.

    A start that exists twice, as clocks go back, is the first one, an end the second one. Where clocks go forward over
    a start or an end, it is the moment at which they do.
    """
    zone = zone_of(window.time_zone)
    today = now.astimezone(zone).date()
    for day in (today - DAY, today, today + DAY):
        if day.weekday() not in window.weekdays:
            continue
        begins, ends = _span(window, day, zone)
        if begins <= now < ends:
            return ends
    return None


def held_until(windows: Iterable[MaintenanceWindow], now: datetime) -> datetime | None:
    """When the last of the windows ends that follow each other without a gap; None where none is open."""
    known = list(windows)
    until = now
    while until < now + LONGEST_WAIT:
        ends = [end for window in known if (end := open_until(window, until))]
        if not ends:
            break
        until = max(ends)
    return until if until > now else None


def _span(window: MaintenanceWindow, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    last = day + DAY if window.ends <= window.starts else day
    return _moment(day, window.starts, zone, fold=0), _moment(last, window.ends, zone, fold=1)


def _moment(day: date, clock: time, zone: ZoneInfo, *, fold: int) -> datetime:
    local = datetime.combine(day, clock)
    early, late = (local.replace(tzinfo=zone, fold=side).astimezone(UTC) for side in (0, 1))
    moment = late if fold else early
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    return _jump(min(early, late), max(early, late), zone)


def _jump(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after `before` at which the clocks of the zone show another offset."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) / 2
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)
