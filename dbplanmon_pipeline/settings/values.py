"""Texts of a settings file that stand for a quantity: durations, times of day, names."""

import re
from datetime import UTC, time, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
    "y": timedelta(days=365),
}
_DURATION = re.compile(r"(?:[0-9]{1,15}(?:ms|[smhdwy]))+")
_PART = re.compile(r"([0-9]+)(ms|[smhdwy])")
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_SHOWN_UNITS = ("y", "d", "h", "m", "s", "ms")


def parse_duration(value: object) -> timedelta:
    """Read `5m`, `1h30m` or `500ms`; a year is 365 days.

    Raises:
        ValueError: no such text, or longer than Python can hold.
    """
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else str(value)
    if not _DURATION.fullmatch(text):
        unit = "has no unit; " if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) else ""
        raise ValueError(f"{unit}expected a duration such as 30s, 5m, 4h or 90d")
    try:
        return sum((int(number) * _UNITS[unit] for number, unit in _PART.findall(text)), timedelta())
    except OverflowError:
        raise ValueError("is too long") from None


def format_duration(value: timedelta) -> str:
    """The shortest text that `parse_duration` reads back: whole units, largest first."""
    for unit in _SHOWN_UNITS:
        if value >= _UNITS[unit] and value % _UNITS[unit] == timedelta():
            return f"{value // _UNITS[unit]}{unit}"
    return "0s" if not value else f"{value // _UNITS['ms']}ms"


def parse_clock(value: object) -> time:
    """Read `02:00` as a time of day in UTC.

    Raises:
        ValueError: no such text.
    """
    if isinstance(value, time):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    match = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('expected a time of day in UTC such as "02:00"')
    return time(int(match[1]), int(match[2]), tzinfo=UTC)


def format_clock(value: time) -> str:
    """A time of day as `02:00`."""
    return value.strftime("%H:%M")


def _refuse_bool(value: Any) -> Any:
    """Keep true and false from passing for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("expected a number, not true or false")  # noqa: TRY004 - pydantic collects ValueError only
    return value


def _refuse_control_characters(value: Any) -> Any:
    if isinstance(value, str) and (value != value.strip() or not value.isprintable()):
        raise ValueError("expected text without line breaks, control characters or spaces around it")
    return value


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str, when_used="json")
]
"""`timedelta`, written as text with a unit."""

ClockTime = Annotated[
    time, BeforeValidator(parse_clock), PlainSerializer(format_clock, return_type=str, when_used="json")
]
"""`time` in UTC, written as `HH:MM`."""

Count = Annotated[int, BeforeValidator(_refuse_bool)]
"""A whole number."""

Quantity = Annotated[float, BeforeValidator(_refuse_bool)]
"""A number that may have a fraction."""

Line = Annotated[str, BeforeValidator(_refuse_control_characters), Field(min_length=1, max_length=256)]
"""One line of text, such as a name."""
