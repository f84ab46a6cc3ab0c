"""When a channel may be used."""

from datetime import time
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from dbplanmon_pipeline.settings.base import Section
from dbplanmon_pipeline.settings.channel_values import not_empty
from dbplanmon_pipeline.settings.values import Line, format_clock, parse_clock


class Weekday(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Outside(StrEnum):
    """What becomes of a message outside of the hours."""

    HOLD = "hold"
    DROP = "drop"


def _local_time(value: Any) -> time:
    try:
        return parse_clock(value).replace(tzinfo=None)
    except ValueError:
        raise ValueError('expected a time of day such as "08:00"') from None


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError("expected the name of a time zone such as Europe/Berlin or UTC") from None
    return name


LocalTime = Annotated[
    time, BeforeValidator(_local_time), PlainSerializer(format_clock, return_type=str, when_used="json")
]
"""`time` on the clock of a zone that stands beside it, written as `HH:MM`."""


class ChannelSchedule(Section):
    """When a channel may be used, on the clock of a time zone."""

    weekdays: Annotated[tuple[Weekday, ...], AfterValidator(not_empty)] = Field(
        default=tuple(Weekday), max_length=7, description="Days on which the time begins: mon to sun."
    )
    start: LocalTime = Field(default=time(0, 0), description="Time of day at which it begins.")
    end: LocalTime = Field(
        default=time(0, 0), description="Time of day at which it ends; not after the start: on the next day."
    )
    time_zone: Annotated[Line, AfterValidator(_zone)] = Field(
        default="UTC", description="Time zone of both, such as Europe/Berlin; daylight saving is followed."
    )
    outside: Outside = Field(default=Outside.HOLD, description="Messages outside of it wait for it, or are dropped.")
